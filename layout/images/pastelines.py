"""Text that shows memory, as tools print it and people paste it: its lines, taken apart.

Known are ``hexdump -C`` and ``xxd``, this project's own dumps, crash's ``rd``, gdb's ``x``,
drgn's ``prog.read()``, annotated memory and structs, and the kernel's ``mt_dump``, also out of
its log with the prefixes of that. Lines between them, such as prompts, are left out.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

HEXDUMP, XXD, DUMP, FIELDS = "hexdump -C", "xxd", "a dump of maple-layout", "annotated dump"
RD, GDB, ANNOTATED, READ = "crash rd", "gdb x", "drgn's annotated memory", "drgn's prog.read()"
STRUCT, MT_DUMP = "a struct of drgn", "mt_dump text"

_INDENT = re.compile(r"\ufeff?(?:[ \t]|>[ >]*)*")
"""Blanks before a line, and the mark of a quotation."""

_PREFIX = re.compile(
    r"(?:<\d+>)?"
    r"(?:(?:[A-Z][a-z]{2} +\d+ [\d:.]+|\d{4}-\d\d-\d\dT\S+) \S+ kernel: *)?"
    r"(?:\[ *\d+\.\d+\] ?(?:\[ *[TC]\d+\] ?)?)?"
)
"""What dmesg, journalctl and syslog often put before a line of the kernel's log.

Lines of mt_dump are found behind anything.
"""

_H = "[0-9a-fA-F]"
_A = f"{_H}{{1,16}}"
_BYTES = re.compile(rf"({_H}{{4,16}}) {{1,3}}({_H}{{2}}(?: {{1,2}}{_H}{{2}}){{0,15}}) *(?:[|>].*)?")
_XXD = re.compile(rf"({_H}{{8,16}}): ((?:(?:{_H}{{2}}){{1,8}} )+)(?: (.*))?")
_WORDS = re.compile(
    rf"(?:0x)?({_H}{{6,16}})(?: <[^>]*>)?:[ \t]+((?:0x)?{_H}+(?:[ \t]+(?:0x)?{_H}+)*)(?:[ \t].*)?"
)
_FIELD = re.compile(rf" *(\d{{1,3}})  ((?:{_H}{{2}} ?)+)(?: .*)?")
_HEADING = re.compile(
    rf"(\w+) tree ({_A}), flags ({_H}{{1,8}}) \(.*\), root (?:(\w+) node ({_A})|(.*))"
)
_NODE = re.compile(rf"(\w+) node ({_A}), (?:depth \d+|not in the tree), .*")
_TREE_LINE = re.compile(
    rf"maple_tree\((?:0x)?({_A})\) flags ({_H}{{1,8}}), height (\d+) root (?:0x)?({_A}|\(null\))"
)
_NODE_LINE = re.compile(
    rf"(?<![^\s;]){_H}{{1,20}}(?:-({_H}{{1,20}}))?: node (?:0x)?({_A}) depth (\d+) type (\d{{1,4}})"
    rf" parent (?:0x)?({_A}|\(null\)) contents: (.*)"
)
_READ = re.compile(r"(?:>>> )?.*\bread\((0x[0-9a-fA-F]{1,16}|\d{1,20}), *(?:0x[0-9a-fA-F]+|\d+)")
_ELEMENT = re.compile(rf"\s*(?:\[(\d{{1,3}})\] = )?(?:\([^)]*\))?(0x{_A}|\d{{1,20}})\s*")
_STRUCT = re.compile(r"\*\(struct (maple_\w+) \*\)0x([0-9a-fA-F]{1,16}) = \{")


class Piece(NamedTuple):
    """Bytes at an address, as they lie in memory."""

    address: int
    data: bytes


class Number(NamedTuple):
    """A number of ``width`` bytes at an address, in whatever byte order the machine has."""

    address: int
    width: int
    value: int


class NodeText(NamedTuple):
    """A node of mt_dump: its numbers by field, ``words`` in the order of print, pivots between."""

    address: int
    type: int
    parent: int
    gaps: tuple[int, ...]
    meta: tuple[int, int] | None
    words: tuple[int, ...]
    digits: int


class StructText(NamedTuple):
    """A struct as drgn prints it: name, address and its members' text."""

    name: str
    address: int
    text: str


class TreeText(NamedTuple):
    """A tree that a heading names: machine if it says so, address, flags, root word if known."""

    arch: str | None
    address: int
    flags: int
    root: int | None
    digits: int


Item = Piece | Number | NodeText | StructText | TreeText


def paste_format(text: str) -> str | None:
    """What prints text like this, None if no line of it shows memory."""
    at = 0
    for _ in range(_FIRST_LINES):
        end = text.find("\n", at)
        found = _format_of(_bare(text[at:end] if end >= 0 else text[at:]))
        if found or end < 0:
            return found
        at = end + 1
    for hint in _HINT.finditer(text, at):
        start = text.rfind("\n", 0, hint.start()) + 1
        end = text.find("\n", hint.end())
        found = _format_of(_bare(text[start:end] if end >= 0 else text[start:]))
        if found:
            return found
    return None


def _bare(line: str) -> str:
    """A line without what logs, mails and people put around it; none of any tool is that long."""
    line = _INDENT.sub("", line[:_MOST_CHARACTERS], count=1)
    return _PREFIX.sub("", line, count=1).rstrip()


def _format_of(line: str) -> str | None:  # noqa: PLR0911 - one a format
    if _HEADING.fullmatch(line):
        return DUMP
    if _TREE_LINE.search(line) or _NODE_LINE.search(line):
        return MT_DUMP
    if _STRUCT.match(line):
        return STRUCT
    if _READ.match(line):
        return READ
    if re.fullmatch(r"ADDRESS +VALUE", line):
        return ANNOTATED
    if _BYTES.fullmatch(line):
        return HEXDUMP
    match = _XXD.fullmatch(line)
    if match and _xxd_bytes(match) is not None:
        return XXD
    if _WORDS.fullmatch(line):
        return GDB if line.startswith("0x") else RD
    return None


def _xxd_bytes(match: re.Match[str], *, swapped: bool = False) -> bytes | None:
    """The bytes of a line of xxd, None for one of numbers, as other tools print them.

    These have 8 digits behind two blanks, or 16, where xxd has a short address and text beside.
    """
    groups = match[2].split()
    wide = len(groups[0])
    if wide == 8 and match[2].startswith(" "):
        return None
    if wide == 16 and (match[2].startswith(" ") or len(match[1]) == 16 or not match[3]):
        return None
    return b"".join(bytes.fromhex(group)[:: -1 if swapped else 1] for group in groups)


def _is_swapped(lines: Iterable[str]) -> bool:
    """Whether groups are little-endian numbers, as of ``xxd -e``: the text beside them tells."""
    votes = 0
    for line in lines:
        match = _XXD.fullmatch(_bare(line))
        if match and match[3] and len(match[2].split()[0]) > 2:
            plain, swapped = _xxd_bytes(match), _xxd_bytes(match, swapped=True)
            if plain is not None and swapped is not None:
                votes += _shows(match[3], swapped) - _shows(match[3], plain)
    return votes > 0


def _is_octal(lines: Iterable[str]) -> bool:
    """Whether addresses before bytes are octal, as od prints them: their steps tell."""
    votes = 0
    last: re.Match[str] | None = None
    for line in lines:
        match = _BYTES.fullmatch(_bare(line))
        if match and last and not re.search("[89a-fA-F]", match[1] + last[1]):
            size = len(bytes.fromhex(last[2]))
            octal, wide = (int(match[1], base) - int(last[1], base) == size for base in (8, 16))
            votes += octal - wide
        last = match
    return votes > 0


def _shows(text: str, data: bytes) -> bool:
    """Whether the column of text beside bytes is theirs."""
    return text.rstrip() == "".join(chr(c) if 32 <= c < 127 else "." for c in data).rstrip()


def items(lines: Sequence[str]) -> Iterator[tuple[int, Item]]:
    """What the lines show, each with its line number from 1; other lines are left out.

    Raises ValueError with a line number and a reason where a line breaks off.
    """
    reader = _Reader(swapped=_is_swapped(lines), octal=_is_octal(lines))
    margin = ""
    for n, raw in enumerate(lines, 1):
        if len(raw) > _MOST_CHARACTERS:
            continue
        line = _bare(raw)
        if reader.struct is None:
            margin = raw[: raw.find(line)]
        else:
            line = raw.removeprefix(margin).rstrip()
            reader.struct[2].append(line)
            if line == "}":
                name, address, parts = reader.struct
                reader.struct = None
                yield n, StructText(name, address, "\n".join(parts))
            continue
        try:
            for item in reader.read(line):
                yield n, item
        except ValueError as error:
            raise ValueError(f"line {n}: {error}") from None


class _Reader:
    """Reads line after line; some need what came before."""

    def __init__(self, *, swapped: bool, octal: bool) -> None:
        self._base = 8 if octal else 16
        self._swapped = swapped
        self.struct: tuple[str, int, list[str]] | None = None
        self._last: Piece | None = None
        self._repeat = False
        self._repeated = 0
        self._node: int | None = None
        self._read_at: int | None = None

    def read(self, line: str) -> Iterator[Item]:  # noqa: C901, PLR0912 - one case a format
        if self._read_at is not None and re.match(r"b['\"]", line):
            yield Piece(self._read_at, _literal(line))
            self._read_at = None
        elif line == "*" and self._last:
            self._repeat = True
        elif match := _HEADING.fullmatch(line):
            arch, tree, flags, kind, node = match.groups()[:5]
            root = _root_word(kind, node) if node else _root_entry(match[6])
            yield TreeText(arch, int(tree, 16), int(flags, 16), root, 0)
        elif match := _NODE.fullmatch(line):
            self._node = int(match[2], 16)
        elif match := _TREE_LINE.search(line):
            word = _pointer(match[4])
            yield TreeText(None, int(match[1], 16), int(match[2], 16), word, len(match[1]))
        elif match := _NODE_LINE.search(line):
            yield _node_text(match)
        elif match := _STRUCT.match(line):
            self.struct = (match[1], int(match[2], 16), [line[match.end() :]])
        elif match := _READ.match(line):
            self._read_at = _c_number(match[1])
        elif match := _BYTES.fullmatch(line):
            yield from self._bytes(int(match[1], self._base), bytes.fromhex(match[2]))
        elif self._repeat and re.fullmatch(rf"{_H}{{4,16}}", line):
            yield from self._bytes(int(line, self._base), b"")
        elif (match := _XXD.fullmatch(line)) and (
            data := _xxd_bytes(match, swapped=self._swapped)
        ) is not None:
            yield from self._bytes(int(match[1], 16), data)
        elif match := _WORDS.fullmatch(line):
            yield from _numbers(int(match[1], 16), match[2])
        elif self._node is not None and (match := _FIELD.fullmatch(line)):
            yield Piece(self._node + int(match[1]), bytes.fromhex(match[2]))

    def _bytes(self, address: int, data: bytes) -> Iterator[Item]:
        """A line of bytes; where a ``*`` was before it, what lies between is like the last."""
        last = self._last
        if self._repeat and last and address > last.address:
            gap = address - last.address - len(last.data)
            self._repeated += max(gap, 0)
            if self._repeated > _MOST_REPEATED:
                raise ValueError(f"lines of * stand for more than {_MOST_REPEATED >> 20} MiB")
            if gap > 0:
                whole = (last.data * (gap // max(len(last.data), 1) + 1))[:gap]
                yield Piece(last.address + len(last.data), whole)
        self._repeat = False
        if data:
            self._last = Piece(address, data)
            yield self._last


_TYPES = {"dense": 0, "leaf_64": 1, "range_64": 2, "arange_64": 3}
_MOST_REPEATED = 1 << 26
"""The most bytes that all ``*`` of a text may stand for."""

_FIRST_LINES = 400
_HINT = re.compile(
    r"maple_tree\(| contents: | tree [0-9a-f]+, flags |struct maple_|\bread\(0x"
    rf"|^[ \t>]*(?:0x)?{_H}{{6,16}}(?: <[^>\n]*>)?(?::[ \t]|  )",
    re.MULTILINE,
)
"""What lines of memory have; of a long text only such lines are looked at closely."""

_BYTE_MAX = 0xFF
_MOST_CHARACTERS = 1 << 16
"""A longer line is none of any tool."""


def _root_word(kind: str, node: str) -> int | None:
    """The root word of a tree with this root node."""
    return int(node, 16) | _TYPES[kind] << 3 | 6 if kind in _TYPES else None


def _root_entry(text: str) -> int | None:
    """The root word of a tree without nodes, from what a heading calls it."""
    what, _, number = text.partition(" ")
    if what == "NULL":
        return 0
    if not re.fullmatch(_A, number):
        return None
    return {"value": int(number, 16) << 1 | 1, "entry": int(number, 16)}.get(what)


def _literal(line: str) -> bytes:
    """A bytes literal of Python. Raises ValueError."""
    try:
        value = ast.literal_eval(line)
    except (SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, bytes):
        raise ValueError("a bytes literal that breaks off")  # noqa: TRY004 - it is the text
    return value


def _pointer(text: str) -> int:
    return 0 if text == "(null)" else int(text, 16)


def _c_number(text: str) -> int:
    """A number as drgn prints it: decimal, or hex with 0x."""
    return int(text, 16) if text.startswith("0x") else int(text)


def _numbers(address: int, text: str) -> Iterator[Number]:
    """Numbers side by side; how wide one is, its digits tell."""
    for part in text.split():
        digits = part.removeprefix("0x")
        if len(digits) not in {2, 4, 8, 16}:
            return
        width = len(digits) // 2
        yield Number(address, width, int(digits, 16))
        address += width


def _node_text(match: re.Match[str]) -> NodeText:
    last, address, _, kind, parent, contents = match.groups()
    gaps: list[str] = []
    meta = None
    if "|" in contents:
        before, between, contents = contents.split("|", 2)
        gaps = before.split()
        end, gap = between.split()
        meta = (int(end, 16), int(gap, 16))
        if max(meta) > _BYTE_MAX or min(meta) < 0:
            raise ValueError(f"metadata {end} {gap} are no two bytes")
    decimal = re.fullmatch(r"\d{12,}|4294967295", last or "") is not None
    base = 10 if decimal else 16
    words = []
    for i, part in enumerate(contents.split()):
        words.append(_pointer(part.removeprefix("0x")) if i % 2 == 0 else int(part, base))
    return NodeText(
        int(address, 16),
        int(kind),
        _pointer(parent),
        tuple(int(gap, base) for gap in gaps),
        meta,
        tuple(words),
        len(address),
    )


def struct_numbers(text: str, member: str) -> dict[int, int] | None:
    """The numbers of a member in what drgn prints, by index; None where it is not there."""
    match = re.search(rf"\.{member} = \([^)]*\)(?:\{{([^}}]*)\}}|(0x{_A}|\d{{1,20}})(?!\w))", text)
    if match is None:
        return None
    if match[2]:
        return {0: _c_number(match[2])}
    found: dict[int, int] = {}
    at = 0
    for part in match[1].split(","):
        element = _ELEMENT.fullmatch(part)
        if element:
            at = int(element[1]) if element[1] else at
            found[at] = _c_number(element[2])
            at += 1
    return found
