"""Logs of strace: makes calls from lines, for all options of strace and with interruptions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_PREFIX = re.compile(
    r"\s*(?:\[pid\s+(?P<bracket>\d{1,10})(?:<[^>]*>)?\]\s+|(?P<plain>\d{1,10})(?:<[^>]*>)?\s+(?=[^\s.]))?"
    r"(?:\d\d:\d\d:\d\d(?:\.\d+)?\s+|\d+\.\d+\s+)?"  # -t, -tt, -ttt, -r
    r"(?:\(\+\s*\d+\.\d+\)\s+)?"  # -r together with -t
    r"(?:\[\s*(?:[0-9a-f]+|\?+)\]\s+)*"  # -n, -i
)
_CALL = re.compile(r"(?P<name>[a-z_][a-z0-9_]*)\(")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>\s?")
_RESULT = re.compile(
    r"\s*=\s*(?P<value>0x[0-9a-fA-F]{1,16}|-?\d{1,20}|\?)(?![0-9a-fA-F])(?:\s+(?P<errno>E[A-Z0-9]+)\b)?"
)
_ENDED = re.compile(r"\+\+\+ (exited with|killed by|superseded by execve)")
_NOISE = re.compile(r"---|\+\+\+|strace: |Process \d+|> |<detached|\?\?\?\?\(")
_ATTACHED = re.compile(r"(.*\S)strace: Process \d+ attached")
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_LONGEST_NUMBER = 40
_WORD_BITS = 64
_WORD = (1 << _WORD_BITS) - 1
_UNFINISHED = "<unfinished ...>"


@dataclass(slots=True)
class Call:
    """One system call, or the end of a process (``name`` is "+++").

    ``begun`` and ``line`` are the lines of its beginning and its result, from 1; ``pid`` is None
    where the log names none. ``args`` are the arguments as text; ``result`` is None where strace
    saw none ("?"), ``errno`` the name of the error.
    """

    begun: int
    line: int
    pid: int | None
    name: str
    args: list[str] = field(default_factory=list)
    result: int | None = None
    errno: str | None = None
    text: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether it returned, and not with an error."""
        return self.result is not None and self.errno is None and self.result != -1


@dataclass(slots=True)
class Log:
    """The content of a log: calls in the order of their results, and the lines not understood."""

    calls: list[Call] = field(default_factory=list)
    unknown: list[tuple[int, str]] = field(default_factory=list)
    seen: dict[int | None, list[int]] = field(default_factory=dict)
    """The lines of each process."""


def parse(text: str, names: frozenset[str]) -> Log:
    """The calls of a log whose name is in ``names``; all others only show that it is a log.

    A line that is none of strace's, or a call of those names that is cut short, is put into
    ``unknown`` with the reason.
    """
    return _Reader(names).read(text)


class _Reader:
    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self.log = Log()
        self.pending: dict[int | None, tuple[int, str]] = {}

    def read(self, text: str) -> Log:
        before = ""
        for n, line in enumerate(text.split("\n"), 1):
            attached = _ATTACHED.fullmatch(line.rstrip())
            if attached:  # strace on a terminal says so in the middle of the call
                before = attached[1]
            elif line.strip():
                self._line(n, before + line)
                before = ""
        for n, rest in self.pending.values():
            match = _CALL.match(rest)
            if match and match["name"] in self.names - {"exit", "exit_group"}:
                self.log.unknown.append((n, f"{match['name']} never returns in this log"))
        return self.log

    def _line(self, n: int, line: str) -> None:
        prefix = _PREFIX.match(line)
        assert prefix is not None  # everything in it is optional
        number = prefix["bracket"] or prefix["plain"]
        pid = int(number) if number else None
        rest = line[prefix.end() :]
        begun = n
        resumed = _RESUMED.match(rest)
        if resumed:
            taken = self._take(pid, resumed["name"])
            if taken is None:
                if resumed["name"] in self.names:
                    self._unknown(n, f"{resumed['name']} is resumed, but was never begun")
                return
            begun, before = taken
            rest = before + rest[resumed.end() :]
        if _ENDED.match(rest):
            self._add(Call(n, n, pid, "+++", text=rest))
            return
        if _NOISE.match(rest):
            return
        match = _CALL.match(rest)
        if not match:
            self._unknown(n, "no line of strace")
            return
        self.log.seen.setdefault(pid, []).append(n)
        if rest.rstrip().endswith(_UNFINISHED):
            self.pending[pid] = begun, rest.rstrip().removesuffix(_UNFINISHED).rstrip()
            if match["name"] in ("exit", "exit_group"):  # does not come back
                self._add(Call(begun, n, pid, match["name"], text=rest))
            return
        if match["name"] in self.names:
            self._call(Call(begun, n, pid, match["name"], text=rest), rest, match.end())

    def _take(self, pid: int | None, name: str) -> tuple[int, str] | None:
        if pid in self.pending:
            return self.pending.pop(pid)
        if name in ("execve", "execveat"):  # a thread has become the process: its pid changed
            for other, (begun, rest) in self.pending.items():
                if rest.startswith(f"{name}("):
                    del self.pending[other]
                    return begun, rest
        return None

    def _call(self, call: Call, rest: str, at: int) -> None:
        args, end = split_args(rest, at)
        result = _RESULT.match(rest, end) if end else None
        if result is None:
            why = "has no number as its result" if end and "=" in rest[end:] else "is cut short"
            self._unknown(call.line, f"{call.name} {why}")
            return
        call.args = args
        value = result["value"]
        call.result = None if value == "?" else int(value, 16 if value.startswith("0x") else 10)
        call.errno = result["errno"]
        self._add(call)

    def _add(self, call: Call) -> None:
        self.log.calls.append(call)
        if call.name == "+++":
            self.pending.pop(call.pid, None)

    def _unknown(self, n: int, why: str) -> None:
        self.log.unknown.append((n, why))


def split_args(text: str, at: int) -> tuple[list[str], int]:
    """The arguments from after a call's opening parenthesis on, and where they end; 0 if cut.

    >>> split_args('f(1, {a=2, b="x,)"}, [3]) = 0', 2)
    (['1', '{a=2, b="x,)"}', '[3]'], 25)
    """
    args: list[str] = []
    closing: list[str] = []
    start = at
    last_angle, last_comment = text.rfind(">"), text.rfind("*/")
    while at < len(text):
        char = text[at]
        if char == '"':
            at = _after_string(text, at)
            continue
        if char == "<" and at < last_angle and text[at + 1 : at + 2] in "/a[pst":
            at = text.find(">", at)  # a file's name, as -y prints it
        elif char == "/" and at < last_comment and text.startswith("/*", at):
            at = text.find("*/", at)
        elif char in _CLOSING:
            closing.append(_CLOSING[char])
        elif closing and char == closing[-1]:
            closing.pop()
        elif char == ")" and not closing:
            last = text[start:at].strip()
            return [*args, last] if last or args else [], at + 1
        elif char == "," and not closing:
            args.append(text[start:at].strip())
            start = at + 1
        at += 1
    return args, 0


def _after_string(text: str, at: int) -> int:
    at += 1
    while at < len(text) and text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return at + 1


def _without_comments(text: str) -> str:
    return _COMMENT.sub("", text) if "*/" in text else text


def number(text: str) -> int | None:
    """An argument as a number: decimal, hex or NULL; None if it is something else."""
    text = _without_comments(text).strip()
    text = text.rpartition("=")[2] if re.match(r"[a-z_]+=", text) else text
    if text == "NULL":
        return 0
    if len(text) > _LONGEST_NUMBER:
        return None
    try:
        return int(text, 0)
    except ValueError:
        return None


def flags(text: str, known: dict[str, int]) -> tuple[int, list[str]]:
    """An argument's flags ("A|B|0x40") as a number, and the names that are not known.

    >>> flags("PROT_READ|0x2|PROT_ODD", {"PROT_READ": 1})
    (3, ['PROT_ODD'])
    """
    value, unknown = 0, []
    text = _without_comments(text)
    text = text.rpartition("=")[2] if re.match(r"[a-z_]+=", text) else text
    for part in text.split("|"):
        name = part.strip()
        shift = re.fullmatch(r"(\w+)<<(\w+)", name)
        if shift:
            base, by = number(shift[1]), known.get(shift[2], number(shift[2]))
            if base is not None and by is not None and 0 <= by < _WORD_BITS:
                value |= base << by & _WORD
                continue
        bits = known.get(name, number(name))
        if bits is None:
            unknown.append(name if len(name) <= _LONGEST_NUMBER else f"{name[:_LONGEST_NUMBER]}...")
        else:
            value |= bits & _WORD
    return value, unknown
