"""What a wrong answer shows by itself, where no simulated mistake gives exactly this answer.

The rows that should not be there are looked up in the bytes of the image, and held against the
rows that should. What comes out is a cause in words that other cases share, and where it shows:
"0xe00000000000000 is the word at the metadata of leaf 1000000800, byte 248".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layout.images.decode import decode
from layout.memory.errors import MachineFault
from layout.memory.meaning import node_fields
from layout.memory.nodeview import view
from layout.memory.pointers import LEAF_64, TYPE_NAMES, mte_to_node

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layout.images.image import Image
    from layout.memory.meaning import NodeField
    from layout.memory.nodeview import Visit
    from layout.testing.conformance.answer import Row

_LOW_BITS = (0x1, 0x3, 0x7, 0xF, 0xFF, 0xFFF)
_WIDTHS = (8, 16, 32, 47, 48, 56)
_SHIFTS = (1, 2, 8, 12)


class Evidence(NamedTuple):
    """A cause that cases have in common, and where it shows in this one."""

    cause: str
    where: str


def find_evidence(image: Image, expected: Sequence[Row], told: Sequence[Row]) -> Evidence | None:
    """What the first odd row of an answer shows; None if it shows nothing.

    O(nodes + rows). Rows are (first, last, entry), or entries alone.
    """
    right, answer = set(expected), set(told)
    nodes = _Nodes(image)
    if len(answer) < len(told) and answer <= right:
        twice = next(row for i, row in enumerate(told) if row in told[:i])
        return Evidence("ranges told more than once", _text(twice))
    for row in told:
        if row in right:
            continue
        for found in _about(nodes, expected, row):
            return found
    missing = [row for row in expected if row not in answer]
    if missing and answer <= right:
        return _missing(nodes, expected, missing)
    return None


def _about(nodes: _Nodes, expected: Sequence[Row], row: Row) -> Iterator[Evidence]:
    """What may be said of a row that should not be there, the surest first."""
    entry = row[-1]
    same = [each for each in expected if each[-1] == entry]
    if len(row) == 3 and same:
        yield from _about_range(nodes, expected, min(same, key=lambda each: _apart(each, row)), row)
    if not same:
        yield from nodes.words_of(entry)
        entries = [each[-1] for each in expected]
        at_place = [each[-1] for each in expected if len(row) == 3 and each[:2] == row[:2]]
        yield from _about_entry(nodes.image, at_place or entries, entry)


def _apart(one: Row, two: Row) -> int:
    return (one[0] != two[0]) + (one[1] != two[1])


def _about_entry(image: Image, entries: Sequence[int], told: int) -> Iterator[Evidence]:
    """How a value comes from one of the entries."""
    size = image.arch.word_size
    for entry in entries:
        swapped = int.from_bytes(entry.to_bytes(size, "little"), "big")
        causes = {
            "entries read in the wrong byte order": told == swapped,
            "low bits of entries cut off": told in {entry & ~bits for bits in _LOW_BITS},
            **{f"entries cut to {n} bits": told == entry & (1 << n) - 1 for n in _WIDTHS},
            **{f"entries shifted right by {n}": told == entry >> n for n in _SHIFTS},
            **{f"entries shifted left by {n}": told == entry << n for n in _SHIFTS},
            "numbers printed as signed": told in {entry - (1 << n) for n in (*_WIDTHS, 8 * size)},
        }
        yield from _shown(causes, f"{told:#x} for {entry:#x}")


def _shown(causes: dict[str, bool], text: str) -> Iterator[Evidence]:
    """The causes that show."""
    for cause, shows in causes.items():
        if shows:
            yield Evidence(cause, text)


def _about_range(
    nodes: _Nodes, expected: Sequence[Row], right: Row, told: Row
) -> Iterator[Evidence]:
    """What became of the range of an entry."""
    first, last, _ = right
    got = told[:2]
    neighbours = {row[:2] for row in expected if row[-1] != told[-1]}
    causes = {
        "ends told as exclusive": got == (first, last + 1),
        "sizes told in place of the last index": got == (first, last - first + 1),
        "distances told in place of the last index": got == (first, last - first),
        "an entry told with its neighbour's range": got in neighbours,
        **{
            f"indexes cut to {n} bits": got == (first & (1 << n) - 1, last & (1 << n) - 1)
            for n in _WIDTHS
        },
        **{f"indexes shifted right by {n}": got == (first >> n, last >> n) for n in _SHIFTS},
        "numbers printed as signed": min(got) < 0,
    }
    if visit := nodes.leaf(first):
        inside = (first - visit.min, last - visit.min)
        causes["indexes counted from the node's first"] = got == inside
    if told[0] == first:
        causes |= _wrong_end(nodes, expected, right, told)
    elif told[1] == last:
        causes |= _wrong_start(nodes, expected, right, told)
    else:
        borders = nodes.pivots() | {0, nodes.image.arch.ulong_max}
        ends = [bool({number, number - 1} & borders) for number in got]
        causes["other slots' pivots taken for a range"] = all(ends)
    yield from _shown(causes, f"{_text(told)} for {_text(right)}")


def _wrong_end(nodes: _Nodes, expected: Sequence[Row], right: Row, told: Row) -> dict[str, bool]:
    """What a range is drawn to that begins where it should."""
    first, last, _ = right
    got = told[1]
    visit = nodes.leaf(first)
    later = [row for row in expected if row[0] > first]
    return {
        "a range drawn to the end of its node": visit is not None and got == visit.max,
        "a range drawn to ULONG_MAX": got == nodes.image.arch.ulong_max,
        "a pivot of 0 taken for the end of a range": got < first,
        "neighbours merged into one range": got in {row[1] for row in later},
        "ends told one too low": got == last - 1,
        "a range drawn to the next one, over NULL": bool({got, got + 1} & {r[0] for r in later}),
        "another slot's pivot taken for the end of a range": got in nodes.pivots(),
    }


def _wrong_start(nodes: _Nodes, expected: Sequence[Row], right: Row, told: Row) -> dict[str, bool]:
    """What a range is drawn from that ends where it should."""
    first = right[0]
    got = told[0]
    visit = nodes.leaf(first)
    ends = {row[1] for row in expected}
    return {
        "starts told one off": got in {first - 1, first + 1},
        "a range drawn from the start of its node": visit is not None and got == visit.min,
        "a range drawn from 0": got == 0,
        "a range drawn from the one before, over NULL": bool({got, got - 1} & ends),
        "another slot's pivot taken for the start of a range": bool(
            {got, got - 1} & nodes.pivots()
        ),
    }


def _missing(nodes: _Nodes, expected: Sequence[Row], missing: Sequence[Row]) -> Evidence:
    """What the rows that are not told have in common."""
    text = f"{len(missing)} of {len(expected)}, {_text(missing[0])} first"
    gone = set(missing)
    rest = [row for row in expected if row not in gone]
    causes = {"no range told": not rest}
    if rest:
        if len(missing[0]) == 3:
            causes |= _missing_places(nodes, missing, rest)
        causes |= _missing_entries(nodes.image, missing, rest)
    causes["ranges dropped"] = True
    return next(_shown(causes, text))


def _missing_places(nodes: _Nodes, missing: Sequence[Row], rest: Sequence[Row]) -> dict[str, bool]:
    """Whether the rows that are not told lie where others do not."""
    leaves = {nodes.leaf(row[0]) for row in missing}
    slots = {nodes.slot(row[0]) for row in missing}
    last_told = max(row[1] for row in rest)
    return {
        "whole leaves not read": leaves.isdisjoint(nodes.leaf(row[0]) for row in rest),
        f"slot {min(slots)} of leaves dropped": len(slots) == 1
        and slots.isdisjoint(nodes.slot(row[0]) for row in rest),
        "slot at the data end dropped": all(
            nodes.slot(row[0]) == nodes.end(row[0]) for row in missing
        ),
        "ranges of a single index dropped": all(row[0] == row[1] for row in missing),
        "the walk ends too early": all(row[0] > last_told for row in missing),
    }


def _missing_entries(image: Image, missing: Sequence[Row], rest: Sequence[Row]) -> dict[str, bool]:
    """Whether the entries that are not told look as others do not."""
    ones = [row[-1] for row in missing]
    others = [row[-1] for row in rest]
    causes = {"small entries dropped": max(ones) < min(others)}
    for bit in range(8 * image.arch.word_size):
        mine, theirs = ({word >> bit & 1 for word in words} for words in (ones, others))
        causes[f"entries with bit {bit} set dropped"] = mine == {1} and theirs == {0}
        causes[f"entries without bit {bit} dropped"] = mine == {0} and theirs == {1}
    return causes


def _text(row: Row) -> str:
    return f"{row[0]:#x}-{row[1]:#x} {row[2]:#x}" if len(row) == 3 else f"{row[0]:#x}"


class _Nodes:
    """The nodes of an image's tree, as far as they can be read."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.visits: list[Visit] = decode(image.memory, image.tree).nodes
        self._pivots: set[int] | None = None

    def leaf(self, index: int) -> Visit | None:
        """The leaf that an index lies in."""
        for visit in self.visits:
            if visit.type == LEAF_64 and visit.min <= index <= visit.max:
                return visit
        return None

    def slot(self, index: int) -> int:
        """The number of the slot that an index lies in, -1 if there is none."""
        visit = self.leaf(index)
        if visit is None:
            return -1
        seen = view(self.image.memory, visit.address, visit.type, visit.min, visit.max)
        return next((each.slot for each in seen.ranges if each.first <= index <= each.last), -1)

    def end(self, index: int) -> int:
        """The last slot in use of the leaf that an index lies in, -1 if there is none."""
        visit = self.leaf(index)
        if visit is None:
            return -1
        return view(self.image.memory, visit.address, visit.type, visit.min, visit.max).end

    def pivots(self) -> set[int]:
        """All pivots of all nodes."""
        if self._pivots is None:
            self._pivots = {
                field.value
                for visit in self.visits
                for field in self._fields(visit)
                if field.name.startswith("pivot")
            }
        return self._pivots

    def _fields(self, visit: Visit) -> Sequence[NodeField]:
        return node_fields(self.image.memory, *visit[:4])

    def words_of(self, value: int) -> Iterator[Evidence]:
        """Where the bytes of the image hold this word, that is no entry."""
        size = self.image.arch.word_size
        swapped = int.from_bytes((value & (1 << 8 * size) - 1).to_bytes(size, "little"), "big")
        orders = ((value, ""), (swapped, " in the wrong byte order"))
        if value == self.image.memory.ma_root(self.image.tree):
            yield Evidence("ma_root told as an entry", f"{value:#x}")
        addresses = {mte_to_node(value)} if value > 0xFFF else set()
        for visit in self.visits:
            name = f"{TYPE_NAMES[visit.type]} {visit.address:x}"
            if visit.address in addresses:
                yield Evidence("a pointer to a node told as an entry", f"{value:#x} is {name}")
            for word, how in orders:
                if word:
                    yield from self._in_node(visit, name, word, f"{value:#x}{how}")

    def _in_node(self, visit: Visit, name: str, word: int, text: str) -> Iterator[Evidence]:
        mem = self.image.memory
        size = mem.word_size
        try:
            at = mem.meta_offset[visit.type] // size * size
            meta = mem.read_word(visit.address + at, "metadata")
            seen = view(mem, visit.address, visit.type, visit.min, visit.max)
        except MachineFault:
            return
        if word == meta and seen.has_meta:
            place = f"the word at the metadata of {name}, byte {mem.meta_offset[visit.type]}"
            yield Evidence("metadata read as an entry", f"{text} is {place}")
        for field in self._fields(visit):
            if field.value != word or field.size != size:
                continue
            kind = field.name.partition("[")[0]
            place = f"{field.name} of {name}, byte {field.offset}"
            if kind == "slot" and not field.used:
                yield Evidence("entries behind the data end of a leaf read", f"{text} is {place}")
            elif kind in ("pivot", "gap", "parent"):
                yield Evidence(f"a {kind} told as an entry", f"{text} is {place}")
