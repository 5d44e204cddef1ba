"""The memory of a reader: the bytes before operations, and those of their stores that are visible.

Sets of stores are numbers with one bit for each. A *view* is such a set, closed under what must be
visible earlier. A load has a view that contains all that earlier loads force on it:

- in TSO the views of all loads before it;
- else the view of each load whose value went into its address (the address dependency that
  rcu_dereference() keeps), the views of all loads before the last smp_rmb(), and what the same
  bytes have shown already.

From there it may see any later store to its bytes, with what that store implies. Loads do not see
values out of thin air, and branches order nothing.
"""

from __future__ import annotations

import functools
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from layout.interleave.barriers import TSO
from layout.interleave.stores import FREED
from layout.memory.errors import MachineFault
from layout.memory.node import NodeMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from arches import Arch
    from layout.interleave.schedule import Schedule
    from layout.interleave.stores import Store
    from layout.memory.structs import Profile

OBJECT = "object"
"""The field of the store by which the writer made what a new entry points to."""

MAX_LOADS = 1 << 16
"""Loads of one reader beyond which it goes round in a cycle."""


_PATIENCE = 2
"""How often a reader is sent back without news: once to wait, once with all stores."""


class Seen(int):
    """A number that was loaded, or made of such; ``view`` is what its loads saw, as bits."""

    view: int


def seen(value: int, view: int) -> int:
    """A number with a view; a plain one where the view is empty."""
    if not view:
        return int(value)
    number = Seen(value)
    number.view = view
    return number


def _computed(name: str) -> Callable[..., Any]:
    plain = getattr(int, name)

    @functools.wraps(plain)
    def operator(self: Seen, *others: int) -> Any:
        result = plain(self, *others)
        if result is NotImplemented:
            return result
        view = self.view
        for other in others:
            view |= getattr(other, "view", 0)
        return seen(result, view)

    return operator


_TWO = ("add", "sub", "mul", "floordiv", "mod", "and", "or", "xor", "lshift", "rshift")
for _name in ("invert", "neg", *_TWO, *(f"r{name}" for name in _TWO)):
    setattr(Seen, f"__{_name}__", _computed(f"__{_name}__"))


class Plan(NamedTuple):
    """What readers beside the same operations have in common.

    ``closed`` has a view for each store: itself and what is visible no later. ``order`` and
    ``without`` are those of :mod:`layout.interleave.barriers`. With ``reload`` a pivot that the C
    code names twice in one function is loaded twice. ``objects`` has for each new entry the address
    of the word that a store before made not 0.
    """

    stores: Sequence[Store]
    closed: Sequence[int]
    order: str
    without: frozenset[str]
    reload: bool = False
    objects: Mapping[int, int] = MappingProxyType({})

    @property
    def everything(self) -> int:
        """The view of all stores."""
        return (1 << len(self.stores)) - 1


class Load(NamedTuple):
    """A load of bytes that the operation stores to: what it saw, and what it did not."""

    address: int
    name: str
    value: int
    visible: tuple[int, ...]
    hidden: tuple[int, ...]


class _Place(NamedTuple):
    """Bytes that are loaded: what is there before the operation, and which stores overlap them.

    ``words`` are the addresses of their words; ``values`` what they show, by the visible stores.
    """

    address: int
    data: bytes
    hits: tuple[int, ...]
    mask: int
    words: tuple[int, ...]
    values: dict[int, int]


class ViewMemory(NodeMemory):
    """Node memory of a reader. :meth:`begin` starts a reader, and then nothing can be written."""

    twin = ""

    def __init__(self, arch: Arch, profile: Profile) -> None:
        super().__init__(arch, profile)
        self._reading = False
        self._plan = Plan((), (), TSO, frozenset())
        self._hits: dict[int, list[int]] = {}
        self._places: dict[tuple[int, int], _Place] = {}
        self._taken_out: dict[str, bool] = {}
        self._schedule: Schedule | None = None
        self._name = ""
        self.log: list[Load] = []
        self.loads = 0
        self._floor = self._seen_all = self._fenced = 0
        self._shown: dict[int, int] = {}
        self._restarted_at = -1
        self._spins = 0

    # -- what is read

    def watch(self, plan: Plan) -> None:
        """Take the stores of operations; the bytes before them are in memory."""
        self._plan = plan
        self._hits = {}
        self._places = {}
        self._taken_out = {"ma_root": "mas_root" in plan.without, "slot": "mt_slot" in plan.without}
        width = self.word_size
        for number, store in enumerate(plan.stores):
            end = store.address + len(store.data)
            for word in range(store.address & -width, end, width):
                self._hits.setdefault(word, []).append(number)

    def end(self) -> None:
        """No reader runs: memory is as before the operation, and can be written."""
        self._reading = False

    def begin(self, schedule: Schedule | None, floor: int) -> None:
        """A reader starts, who must see ``floor``; without a schedule it sees that alone."""
        self._reading = True
        self._schedule = schedule
        self.log = []
        self.loads = 0
        self._floor = self._seen_all = floor
        self._fenced = 0
        self._shown = {}
        self._restarted_at = -1
        self._spins = 0

    @property
    def view(self) -> int:
        """All that the reader has seen so far."""
        return self._seen_all

    def see_everything(self) -> None:
        """From here on the reader sees all stores."""
        self._floor = self._seen_all = self._plan.everything

    def follow(self, entry: int) -> int:
        """What callers do with an entry: read what it points to. The entry as a plain number.

        Raises MachineFault where that is not written yet.
        """
        plain = int(entry)
        made = self._plan.objects.get(plain)
        if made is not None and not self._load(entry - plain + made, self.word_size, OBJECT):
            message = "an entry is seen before what it points to"
            raise MachineFault("unwritten", plain, message, arch=self.arch.name, doing="its caller")
        return plain

    # -- barriers of readers

    def read_barrier(self, function: str) -> None:
        """smp_rmb() in a function of the kernel."""
        if function not in self._plan.without:
            self._fenced = self._seen_all

    def restart(self, doing: str, node: int) -> None:
        """A dead node sends the reader back. Raises MachineFault where that goes on for ever.

        A reader who has seen nothing new since it was last sent back waits for the stores: it is
        given all of them.
        """
        if self._restarted_at == self._seen_all:
            self._spins += 1
            if self._spins > _PATIENCE:
                message = "the kernel would loop for ever"
                raise MachineFault("livelock", node, message, arch=self.arch.name, doing=doing)
            self.see_everything()
        self._restarted_at = self._seen_all

    # -- loads

    def _load(self, address: int, width: int, doing: str) -> int:
        view = getattr(address, "view", 0)
        self.loads += 1
        if self.loads > MAX_LOADS:
            message = "the reader finds no end"
            raise MachineFault("livelock", int(address), message, arch=self.arch.name, doing=doing)
        plan = self._plan
        place = self._places.get((address, width))
        if place is None:
            place = self._places[int(address), width] = self._place(int(address), width, doing)
        ordered = plan.order == TSO
        floor = self._floor | (self._seen_all if ordered else self._fenced | view)
        floor = self._see(place, doing, floor)
        self._seen_all |= floor
        value = place.values.get(floor & place.mask)
        if value is None:
            value = place.values[floor & place.mask] = self._value(place, floor)
        if value < 0:
            message = "a reader uses a node that was freed"
            raise MachineFault(
                "freed node", place.address, message, arch=self.arch.name, doing=doing
            )
        if ordered or self._taken_out.get(doing):
            return value
        return seen(value, floor)

    def _see(self, place: _Place, doing: str, floor: int) -> int:
        """The view of a load; it is no older than what the same bytes have shown."""
        if not place.hits:
            return floor
        for word in place.words:
            shown = self._shown.get(word, 0) & place.mask & ~floor
            while shown:
                floor |= self._plan.closed[(shown & -shown).bit_length() - 1]
                shown &= shown - 1
        if place.mask & ~floor:
            floor = self._choose(place, doing, floor)
        for word in place.words:
            self._shown[word] = self._shown.get(word, 0) | floor & place.mask
        return floor

    def _place(self, address: int, width: int, doing: str) -> _Place:
        """The bytes at an address before the operation, and the stores that overlap them."""
        data = super().read(address, width, doing)
        words = range(address & -self.word_size, address + width, self.word_size)
        found = sorted({number for word in words for number in self._hits.get(word, ())})
        hits = []
        for number in found:
            store = self._plan.stores[number]
            if store.address < address + width and address < store.address + len(store.data):
                hits.append(number)
        mask = sum(1 << number for number in hits)
        return _Place(address, data, tuple(hits), mask, tuple(words), {})

    def _choose(self, place: _Place, doing: str, floor: int) -> int:
        """The view of a load; the schedule chooses where several show different bytes."""
        views = [floor]
        if self._schedule is not None:
            for number in place.hits:
                for view in tuple(views):
                    wider = view | self._plan.closed[number]
                    if wider not in views:
                        views.append(wider)
        # a view that shows what a smaller one shows can do nothing that that one cannot
        options: list[tuple[int, int]] = []
        for view in sorted(views, key=int.bit_count):
            value = self._value(place, view)
            if any(value == other and view & known == known for known, other in options):
                if self._schedule is not None:
                    self._schedule.pruned += 1
                continue
            options.append((view, value))
        at = 0 if self._schedule is None else self._schedule.choose(len(options))
        view, value = options[at]
        visible = tuple(number for number in place.hits if view >> number & 1)
        hidden = tuple(number for number in place.hits if not view >> number & 1)
        self.log.append(Load(place.address, self._name or doing, value, visible, hidden))
        return view

    def _value(self, place: _Place, view: int) -> int:
        """What a load with this view shows; -1 if the node was freed."""
        result = bytearray(place.data)
        address, end = place.address, place.address + len(result)
        freed = False
        for number in place.hits:
            if view >> number & 1:
                store = self._plan.stores[number]
                freed = store.field == FREED
                first = max(address, store.address)
                last = min(end, store.address + len(store.data))
                part = store.data[first - store.address : last - store.address]
                result[first - address : last - address] = part
        return -1 if freed else int.from_bytes(result, self.arch.byteorder)

    # -- accessors

    def read(self, address: int, width: int, doing: str = "bytes") -> bytes:  # noqa: D102
        if not self._reading:
            return super().read(address, width, doing)
        return self._load(address, width, doing).to_bytes(width, self.arch.byteorder)

    def read_word(self, address: int, doing: str = "a word") -> int:  # noqa: D102
        if not self._reading:
            return super().read_word(address, doing)
        self.locate(int(address), self.word_size, doing, write=False, align=self.word_size)
        return self._load(address, self.word_size, doing)

    def read_words(self, address: int, count: int, doing: str = "words") -> tuple[int, ...]:  # noqa: D102
        if not self._reading:
            return super().read_words(address, count, doing)
        width = self.word_size
        return tuple(self.read_word(address + i * width, doing) for i in range(count))

    def read_u32(self, address: int, doing: str = "an int") -> int:  # noqa: D102
        return self._load(address, 4, doing) if self._reading else super().read_u32(address, doing)

    def read_u8(self, address: int, doing: str = "a byte") -> int:  # noqa: D102
        return self._load(address, 1, doing) if self._reading else super().read_u8(address, doing)

    def slot(self, node: int, mt: int, i: int) -> int:  # noqa: D102
        self._name = f"slot[{int(i)}]"
        try:
            return super().slot(node, mt, i)
        finally:
            self._name = ""

    def pivot(self, node: int, i: int) -> int:  # noqa: D102
        self._name = f"pivot[{int(i)}]"
        try:
            return super().pivot(node, i)
        finally:
            self._name = ""

    def pivots(self, node: int, mt: int, count: int) -> Any:  # noqa: ARG002
        """Pivots of a node, each loaded when it is used."""
        self.check_pivots(node, mt)
        return _Later(self, node)

    def write(self, address: int, data: bytes, doing: str = "bytes", *, align: int = 1) -> None:  # noqa: D102
        assert not self._reading, f"a reader writes {doing} at {address:x}"
        super().write(address, data, doing, align=align)

    def write_word(self, address: int, value: int, doing: str = "a word") -> None:  # noqa: D102
        assert not self._reading, f"a reader writes {doing} at {address:x}"
        super().write_word(address, value, doing)

    def write_words(self, address: int, values: Sequence[int], doing: str = "words") -> None:  # noqa: D102
        assert not self._reading, f"a reader writes {doing} at {address:x}"
        super().write_words(address, values, doing)

    def write_u8(self, address: int, value: int, doing: str = "a byte") -> None:  # noqa: D102
        assert not self._reading, f"a reader writes {doing} at {address:x}"
        super().write_u8(address, value, doing)

    @property
    def reloads(self) -> bool:
        """Whether a pivot named twice is loaded twice."""
        return self._plan.reload


class _Later:
    """The pivots of a node, loaded at their first use; kept unless compilers reload."""

    def __init__(self, mem: ViewMemory, node: int) -> None:
        self._mem = mem
        self._node = node
        self._kept: dict[int, int] = {}

    def __getitem__(self, i: int) -> int:
        if i in self._kept:
            return self._kept[i]
        value = self._mem.pivot(self._node, i)
        if not self._mem.reloads:
            self._kept[i] = value
        return value
