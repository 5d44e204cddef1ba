"""What the API says: operations' answers, held against a plain model of ranges.

The answers are transcript lines, of the emulator or of the kernel's own code. What a line does not
say of the kernel is asked of a :class:`~layout.traces.witness.Witness`. Wrong answers that are
known are in :mod:`layout.traces.quirks`.
"""

from __future__ import annotations

import errno
from collections import Counter
from typing import TYPE_CHECKING

from layout.memory.pointers import (
    LEAF_64,
    MT_FLAGS_ALLOC_RANGE,
    MT_FLAGS_ALLOC_WRAPPED,
    MT_FLAGS_HEIGHT_MASK,
    mt_is_reserved,
    mte_node_type,
    xa_is_advanced,
    xa_is_node,
    xa_is_zero,
)
from layout.traces.language import NO_LIMIT
from layout.traces.model import Model, first_difference
from layout.traces.quirks import QUIRKS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from layout.traces.session import Line
    from layout.traces.trace import Operation
    from layout.traces.witness import Witness


class WrongResultError(AssertionError):
    """An operation whose result, or the tree after it, differs from the model."""


class Judge:
    """A model of each tree of a machine, and what each operation should answer.

    ``top`` is the largest index, ``forgiven`` counts the quirks that were met. ``forgiving``
    names those that are no errors.
    """

    def __init__(
        self, top: int, trees: int, witness: Witness, forgiving: frozenset[str] = frozenset(QUIRKS)
    ) -> None:
        self.models = [Model(top) for _ in range(trees)]
        self.number = 0
        self.cursor_tree = 0
        self.adopt: int | None = None
        self.forgiven: Counter[str] = Counter()
        self._top = top
        self._witness = witness
        self._forgiving = forgiving
        self._limited = False
        self._made_root = False
        self._at: Operation | None = None
        self._checks: dict[str, Callable[..., None]] = {
            name[7:]: getattr(self, name) for name in dir(self) if name.startswith("_check_")
        }

    @property
    def model(self) -> Model:
        """The model of the current tree."""
        return self.models[self.number]

    def leave_out(self, operation: str) -> None:
        """Judge an operation no more; what it changes must be adopted."""
        self._checks.pop(operation, None)

    def begin(self, operation: Operation) -> None:
        """Name this operation, the first, for what is wrong before any was judged."""
        self._at = self._at or operation

    def judge(self, operation: Operation, line: Line) -> None:
        """Look at what an operation answered, and carry it out on the model.

        Raises WrongResultError.
        """
        self._at = operation
        if "error" in line:
            return  # this kernel has no such function
        if "fault" in line:
            self.wrong(f"the machine stops: {line['fault']['message']}")
        if line.get("warn") and not any(map(mt_is_reserved, operation.args)):
            self.wrong(f"the kernel warns: {line.get('printk', 'WARN_ON')}")
        check = self._checks.get(operation.op)
        if check is not None:
            check(line, *operation.args)

    def compare(self, number: int, ranges: Sequence[tuple[int, int, int]]) -> None:
        """Hold a tree's ranges against its model. Raises WrongResultError."""
        model = self.models[number]
        if number == self.adopt:
            model.ranges = {first: (last, entry) for first, last, entry in ranges}
            self.adopt = None
        wanted = model.items()
        if list(ranges) != wanted:
            self.wrong(f"tree {number} has {first_difference(list(ranges), wanted)}")

    def wrong(self, message: str) -> None:
        """Say that the last operation is wrong. Raises WrongResultError."""
        assert self._at is not None
        raise WrongResultError(f"line {self._at.n} ({self._at}): {message}")

    def forgives(self, name: str) -> bool:
        """Whether a quirk, which is met here, is forgiven; it is counted."""
        if name not in self._forgiving:
            return False
        self.forgiven[name] += 1
        return True

    def _equal(self, line: Line, key: str, wanted: int | str) -> None:
        wanted = f"{wanted:x}" if isinstance(wanted, int) and key not in {"ret", "err"} else wanted
        if line.get(key) != wanted:
            self.wrong(f"{key} is {line.get(key)}, it should be {wanted}")

    def _range(self, line: Line, found: tuple[int, int, int]) -> None:
        for key, wanted in zip(("entry", "index", "last"), (found[2], *found[:2]), strict=True):
            self._equal(line, key, wanted)

    # -- trees

    def _check_init(self, _line: Line, _flags: int) -> None:
        self.model.ranges.clear()

    def _check_sel(self, _line: Line, number: int) -> None:
        self.number = number

    def _check_destroy(self, _line: Line) -> None:
        self.model.ranges.clear()

    def _check_dup(self, line: Line, number: int) -> None:
        self.models[number] = Model(self._top)
        self._copied(line, number)

    def _check_dup_noinit(self, line: Line, number: int) -> None:
        flags = self._witness.flags(self.number) ^ self._witness.flags(number)
        if self.models[number].ranges or flags & ~MT_FLAGS_HEIGHT_MASK:
            self._equal(line, "ret", -errno.EINVAL)
        else:
            self._copied(line, number)

    def _copied(self, line: Line, number: int) -> None:
        if not self._is_refused(line):
            self._equal(line, "ret", 0)
            self.models[number] = self.model.copy()

    def _check_validate(self, line: Line) -> None:
        if not line["ok"]:
            self.wrong(f"tree {self.number} does not pass mt_validate: {line.get('printk', '')}")

    def _check_fail(self, _line: Line, after: int, calls: int | None = None) -> None:
        self._limited = after != NO_LIMIT and calls != 0

    _check_failnw = _check_fail

    def _is_refused(self, line: Line, key: str = "ret") -> bool:
        return self._limited and line[key] == -errno.ENOMEM and self.forgives("refused")

    # -- writes

    def _check_store(self, line: Line, first: int, last: int, entry: int) -> None:
        if xa_is_advanced(entry) or first > last:
            self._equal(line, "ret", -errno.EINVAL)
        elif not self._is_refused(line):
            self._equal(line, "ret", 0)
            self.model.store(first, last, entry)

    _check_storenw = _check_store

    def _check_mstore(self, line: Line, first: int, last: int, entry: int) -> None:
        if first > last:
            self._equal(line, "err", -errno.EINVAL)
        elif not self._is_refused(line, "err"):
            self._equal(line, "err", 0)
            before = [e for *_, e in self.model.items(first, last)]
            wanted = f"{before[0] if before else 0:x}"
            _, end, at_first = self.model.span(first)
            if line["entry"] != wanted and (end < last or not entry):
                plain = line["entry"] == f"{at_first:x}"
                name = "entry at A" if plain else "anything from mas_store"
                wanted = line["entry"] if self.forgives(name) else wanted
            self._equal(line, "entry", wanted)
            self.model.store(first, last, entry)

    def _check_insert(self, line: Line, first: int, last: int, entry: int) -> None:
        if xa_is_advanced(entry) or first > last:
            self._equal(line, "ret", -errno.EINVAL)
        elif not self._is_refused(line):
            free = self.model.is_free(first, last)
            if not free and line["ret"] == 0:
                free = self._overwrites(first, last, entry)
            self._equal(line, "ret", 0 if free else -errno.EEXIST)
            if free:
                self.model.store(first, last, entry)

    def _overwrites(self, first: int, last: int, entry: int) -> bool:
        """Whether an insertion does not ask what is there."""
        if not entry:
            first, last = self.model.widened(first, last)
        root = self._witness.root(self.number)
        is_leaf = xa_is_node(root) and mte_node_type(root) == LEAF_64
        return is_leaf and (first, last) == (0, self._top) and self.forgives("inserted over all")

    def _check_erase(self, line: Line, index: int) -> None:
        found = self.model.at(index)
        self._equal(line, "entry", found[2] if found else 0)
        if not self._stays(self.number, index):
            self.model.erase(index)

    def _stays(self, number: int, index: int) -> bool:
        """Whether an erase was refused."""
        refused = self._limited and self._witness.entry_at(number, index) != 0
        return refused and self.forgives("refused")

    def _check_prealloc(self, line: Line, first: int, last: int, entry: int) -> None:
        if not self._is_refused(line):
            self._equal(line, "ret", 0)
            self.model.store(first, last, entry)

    def _check_bulk(  # noqa: PLR0913 - the operation's arguments
        self, line: Line, _expected: int, count: int, first: int, step: int, size: int, value: int
    ) -> None:
        if self._is_refused(line):
            return
        self._equal(line, "ret", 0)
        top = self._top
        for i in range(line.get("err_at", count)):
            index = first + i * step & top
            self.model.store(index, index + size - 1 & top, value + i * 0x1000 & top)
        if "err_at" in line and not self._limited:
            self.wrong(f"store {line['err_at']} fails")

    def _check_alloc_range(self, line: Line, entry: int, size: int, low: int, high: int) -> None:
        self._check_alloc(line, entry, size, (low, high), reverse=False)

    def _check_alloc_rrange(self, line: Line, entry: int, size: int, low: int, high: int) -> None:
        self._check_alloc(line, entry, size, (low, high), reverse=True)

    def _check_alloc(
        self, line: Line, entry: int, size: int, bounds: tuple[int, int], *, reverse: bool
    ) -> None:
        if not self._tracks_gaps or mt_is_reserved(entry):
            self._equal(line, "ret", -errno.EINVAL)
        elif not self._is_refused(line):
            start = self._check_area(line, *bounds, size, reverse=reverse)
            if start is not None:
                self._allocated(line, entry, start, size)

    @property
    def _tracks_gaps(self) -> bool:
        return bool(self._witness.flags(self.number) & MT_FLAGS_ALLOC_RANGE)

    def _allocated(self, line: Line, entry: int, start: int, size: int) -> None:
        if not entry and line.get("start") != f"{start:x}":
            widened, _ = self.model.widened(start, start + size - 1)
            if xa_is_node(self._witness.root(self.number)) and self.forgives("start of a NULL"):
                start = widened
        self._equal(line, "start", start)
        if "next" in line:
            self._equal(line, "next", start + 1 & self._top)
        if entry:
            self.model.store(start, start + size - 1, entry)

    def _check_alloc_cyclic(self, line: Line, entry: int, low: int, high: int, after: int) -> None:
        if not self._tracks_gaps or mt_is_reserved(entry):
            self._equal(line, "ret", -errno.EINVAL)
            return
        if self._is_refused(line):
            return
        begin = max(low, after)
        start, error = self._lowest(line, begin, high)
        wrapped = self._witness.flags(self.number) & MT_FLAGS_ALLOC_WRAPPED
        ret = error or int(bool(wrapped))
        if start is None and begin > low:
            start, error = self._lowest(line, low, high)
            ret = error or 1
        self._equal(line, "ret", ret)
        if start is not None:
            self._allocated(line, entry, start, 1)

    def _lowest(self, line: Line, low: int, high: int) -> tuple[int | None, int]:
        """The lowest free index, or an error."""
        if low > high:
            return None, -errno.EINVAL
        start = self.model.free_area(1, low, high, reverse=False)
        if line["ret"] == -errno.EBUSY and self._nothing_but_room(low, high):
            start = None
        return start, 0 if start is not None else -errno.EBUSY

    def _nothing_but_room(self, low: int, high: int) -> bool:
        """Whether a forward search misses all there is."""
        whole = (low, high) == (0, self._top) and not self.model.ranges
        is_node = whole and xa_is_node(self._witness.root(self.number))
        return is_node and self.forgives("nothing but room")

    def _check_area(
        self, line: Line, low: int, high: int, size: int, *, reverse: bool = False
    ) -> int | None:
        """Where the area is that should be found, None if none should be."""
        if low > high or not size or high - low < size - 1:
            self._equal(line, "ret", -errno.EINVAL)
            return None
        start = self.model.free_area(size, low, high, reverse=reverse)
        if start is not None and line["ret"] == -errno.EBUSY:
            misses = self._overlooked(start, high) if reverse else self._nothing_but_room(low, high)
            start = None if misses else start
        self._equal(line, "ret", -errno.EBUSY if start is None else 0)
        return start

    def _overlooked(self, start: int, high: int) -> bool:
        """Whether a reverse search misses this run."""
        if not xa_is_node(self._witness.root(self.number)):
            return False
        first = self._witness.first_end(self.number)
        return start <= first and self._top in (high, first) and self.forgives("overlooked")

    # -- reads

    def _check_load(self, line: Line, index: int) -> None:
        self._equal(line, "entry", self.model.load(index))

    def _check_find(self, line: Line, index: int, limit: int) -> None:
        found = [(last, e) for _, last, e in self.model.items(index, limit) if not xa_is_zero(e)]
        self._equal(line, "entry", found[0][1] if found else 0)
        self._equal(line, "index", found[0][0] + 1 & self._top if found else index)

    def _check_find_after(self, line: Line, index: int, limit: int) -> None:
        if index:  # 0 is what the index before wrapped to
            self._check_find(line, index, limit)
        else:
            self._equal(line, "entry", 0)

    def _check_next(self, line: Line, index: int, limit: int) -> None:
        later = [e for first, _, e in self.model.items() if index < first <= limit]
        self._equal(line, "entry", later[0] if later else 0)

    def _check_prev(self, line: Line, index: int, low: int) -> None:
        earlier = [e for _, last, e in self.model.items() if low <= last < index]
        self._found_below(line, self.number, earlier, low)

    def _found_below(self, line: Line, number: int, earlier: list[int], low: int) -> None:
        if not earlier and low and not xa_is_node(self._witness.root(number)):
            only = self.models[number].at(0)
            below = only is not None and line["entry"] == f"{only[2]:x}"
            if below and self.forgives("below the limit"):
                return
        self._equal(line, "entry", earlier[-1] if earlier else 0)

    def _check_walk(self, line: Line, index: int) -> None:
        self._range(line, self.model.span(index))

    def _check_iter(self, line: Line, low: int, high: int) -> None:
        wanted = [[f"{n:x}" for n in found] for found in self.model.items(low, high)]
        if line["ranges"] != wanted:
            self.wrong(f"there are {first_difference(line['ranges'], wanted)}")

    def _check_empty_area(self, line: Line, low: int, high: int, size: int) -> None:
        self._check_found_area(line, low, high, size, reverse=False)

    def _check_empty_area_rev(self, line: Line, low: int, high: int, size: int) -> None:
        self._check_found_area(line, low, high, size, reverse=True)

    def _check_found_area(
        self, line: Line, low: int, high: int, size: int, *, reverse: bool
    ) -> None:
        if self._tracks_gaps:  # without, the caller must not ask
            start = self._check_area(line, low, high, size, reverse=reverse)
            if start is not None:
                self._equal(line, "index", start)
                self._equal(line, "last", start + size - 1)

    # -- the cursor

    def _check_cset(self, _line: Line, _index: int, _last: int | None = None) -> None:
        self.cursor_tree = self.number
        self._made_root = False

    def _check_creset(self, _line: Line) -> None:
        self._made_root = False

    def _check_cwalk(self, line: Line) -> None:
        before = self._witness.cursor()
        self._made_root = False
        if before is not None and before[0] != "error":
            self._range(line, self.models[self.cursor_tree].span(before[1]))

    def _check_cstore(self, line: Line, entry: int) -> None:
        before = self._witness.cursor()
        if self._is_refused(line):
            return
        self._made_root = not xa_is_node(self._witness.root(self.cursor_tree))
        if before is not None and before[0] in {"start", "active"} and before[1] <= before[2]:
            self._equal(line, "ret", 0)
            self.models[self.cursor_tree].store(before[1], before[2], entry)
        elif self.forgives("stored from an end"):
            self.adopt = self.cursor_tree

    def _check_cerase(self, line: Line) -> None:
        before = self._witness.cursor()
        if before is None:
            self.adopt = self.cursor_tree
            return
        model, index = self.models[self.cursor_tree], before[1]
        found = model.at(index)
        self._equal(line, "entry", found[2] if found else 0)
        if not self._stays(self.cursor_tree, index):
            model.erase(index)

    def _check_cfind(self, line: Line, limit: int) -> None:
        self._check_forward(line, limit, here=True)

    def _check_cnext(self, line: Line, limit: int) -> None:
        self._check_forward(line, limit, here=False)

    def _check_cfind_rev(self, line: Line, low: int) -> None:
        self._check_backward(line, low, here=True)

    def _check_cprev(self, line: Line, low: int) -> None:
        self._check_backward(line, low, here=False)

    def _check_cnext_range(self, line: Line, limit: int) -> None:
        self._check_found(line)
        before = self._witness.cursor()
        if before is None or before[0] != "active" or before[2] >= limit:
            return
        if not self._ends_early(line):
            self._range(line, self.models[self.cursor_tree].span(before[2] + 1))

    _check_cfind_range = _check_cnext_range

    def _check_cprev_range(self, line: Line, low: int) -> None:
        self._check_found(line)
        before = self._witness.cursor()
        if before is not None and before[0] == "active" and before[1] > low:
            self._range(line, self.models[self.cursor_tree].span(before[1] - 1))

    _check_cfind_range_rev = _check_cprev_range

    def _check_forward(self, line: Line, limit: int, *, here: bool) -> None:
        self._check_found(line)
        before = self._witness.cursor()
        if before is None or before[0] not in {"active", "start", "pause"}:
            self.forgives("moved from an end")
            return
        status, index, last = before
        items = self.models[self.cursor_tree].items()
        if (index if here and status == "start" else last + 1) > limit:
            after = []
        elif here and status == "start":
            after = [e for first, end, e in items if end >= index and first <= limit]
        elif here or status == "active":
            after = [e for first, end, e in items if end > last and first <= limit]
        else:
            after = [e for first, _, e in items if index < first <= limit]
        if not (after and self._ends_early(line)):
            self._equal(line, "entry", after[0] if after else 0)

    def _ends_early(self, line: Line) -> bool:
        """Whether the cursor takes the first slots of the node that it made for all of it."""
        ends = self._made_root and line["entry"] == "0" and line["status"] == "overflow"
        return ends and self.forgives("end of a new root")

    def _check_backward(self, line: Line, low: int, *, here: bool) -> None:
        self._check_found(line)
        before = self._witness.cursor()
        if before is None or before[0] not in {"active", "start", "pause"}:
            self.forgives("moved from an end")
            return
        status, index, _ = before
        items = self.models[self.cursor_tree].items()
        if (index if here and status == "start" else index - 1) < low:
            earlier = []
        elif here and status == "start":
            earlier = [e for first, end, e in items if first <= index and end >= low]
        elif here and status == "pause":
            earlier = [e for first, end, e in items if first < index and end >= low]
        else:
            earlier = [e for _, end, e in items if low <= end < index]
        self._found_below(line, self.cursor_tree, earlier, low)

    def _check_found(self, line: Line) -> None:
        """Check that the entry and the range that a cursor found exist."""
        if entry := int(line["entry"], 16):
            found = (int(line["index"], 16), int(line["last"], 16), entry)
            if self.models[self.cursor_tree].at(found[0]) != found:
                first, last, entry = found
                self.wrong(f"{entry:x} is found at {first:x}-{last:x}, where it is not")
