"""What a text shows, laid out as a machine's memory has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from layout.images.pastelines import NodeText, Number, Piece, StructText, struct_numbers
from layout.memory import structs
from layout.memory.errors import InputError
from layout.memory.node import NODE_SIZE, NodeMemory
from layout.memory.pointers import ARANGE_64, DENSE, LEAF_64, NODE_MASK

if TYPE_CHECKING:
    from arches import Arch
    from layout.images.pastelines import Item

_NODE_STRUCTS = {"maple_range_64": LEAF_64, "maple_arange_64": ARANGE_64, "maple_node": DENSE}
"""The type as which to lay a struct out: the first slots of maple_node are those of a dense one."""


class Layout:
    """Collects bytes by address; later ones replace earlier ones."""

    def __init__(self, machine: Arch, source: str, base: int) -> None:
        self._machine = machine
        self._source = source
        self._base = base
        self._profile = structs.profile(machine)
        self._bytes: dict[int, bytes] = {}

    def _fail(self, n: int, why: str) -> NoReturn:
        message = f"{self._source}, line {n}: {why}"
        raise InputError(message)

    def _put(self, n: int, address: int, data: bytes) -> None:
        address += self._base
        if address + len(data) > self._machine.ulong_max + 1:
            self._fail(n, f"{address:x} is no address of {self._machine.name}: give another --arch")
        self._bytes[address] = data

    def add(self, n: int, item: Item) -> None:
        """Lay out what line ``n`` shows. Raises InputError."""
        if isinstance(item, Piece):
            self._put(n, item.address, item.data)
        elif isinstance(item, Number):
            data = item.value.to_bytes(item.width, self._machine.byteorder)
            self._put(n, item.address, data)
        elif isinstance(item, NodeText):
            self._node(n, item)
        elif isinstance(item, StructText):
            self._struct(n, item)

    def _word(self, n: int, value: int) -> bytes:
        if not 0 <= value <= self._machine.ulong_max:
            self._fail(n, f"{value:x} is no word of {self._machine.name}: give another --arch")
        return value.to_bytes(self._machine.word_size, self._machine.byteorder)

    def _node(self, n: int, item: NodeText) -> None:
        if item.address & NODE_MASK:
            self._fail(
                n,
                f"node {item.address:x} lies at no multiple of 256: its address was hashed when "
                "it was printed, boot with no_hash_pointers",
            )
        sizes = self._profile.sizes
        if not 1 <= item.type <= ARANGE_64:
            self._fail(n, f"a node of type {item.type}, which trees don't use")
        slots, pivots = sizes.slots[item.type], sizes.pivots[item.type]
        wanted = slots + pivots
        if len(item.words) != wanted or (item.type == ARANGE_64 and len(item.gaps) != slots):
            self._fail(
                n,
                f"a node of {self._machine.name} has {slots} slots and {pivots} pivots, this line "
                f"has {len(item.words)} of {wanted} numbers: it is cut short, or give another "
                "--arch",
            )
        self._words(n, item.address, item.type, (item.parent, *item.words[1::2]), item.words[::2])
        if item.type == ARANGE_64:
            self._words(n, item.address, item.type, (), (), item.gaps, item.meta)

    def _words(  # noqa: PLR0913 - the fields of a node
        self,
        n: int,
        address: int,
        mt: int,
        head: tuple[int, ...],
        slots: tuple[int, ...],
        gaps: tuple[int, ...] = (),
        meta: tuple[int, int] | None = None,
    ) -> None:
        memory = NodeMemory(self._machine, self._profile)
        data = bytearray(NODE_SIZE) if head else bytearray(self._bytes[address + self._base])
        for place, values in (
            (0, head),
            (memory.slot_offset[mt], slots),
            (memory.gap_offset, gaps),
        ):
            words = b"".join(self._word(n, value) for value in values)
            data[place : place + len(words)] = words
        if meta is not None:
            at = memory.meta_offset[ARANGE_64]
            data[at : at + 2] = bytes(meta)
        self._put(n, address, bytes(data[:NODE_SIZE]))

    def _struct(self, n: int, item: StructText) -> None:
        if item.name == "maple_tree":
            self._tree(n, item)
            return
        mt = _NODE_STRUCTS.get(item.name)
        parent = struct_numbers(item.text, "parent")
        pivot, slot = struct_numbers(item.text, "pivot"), struct_numbers(item.text, "slot")
        if mt == DENSE:  # its slots are all that comes behind the parent
            pivot = {}
        if mt is None or parent is None or pivot is None or slot is None:
            self._fail(
                n,
                f"struct {item.name} without parent, pivot and slot: print a struct "
                "maple_range_64, maple_arange_64, maple_node or maple_tree",
            )
        sizes = self._profile.sizes
        head = (parent[0], *(pivot.get(i, 0) for i in range(sizes.pivots[mt])))
        slots = tuple(slot.get(i, 0) for i in range(sizes.slots[mt]))
        self._words(n, item.address, mt, head, slots)
        if mt == ARANGE_64:
            gap = struct_numbers(item.text, "gap") or {}
            tail = item.text.partition(".meta")[2]
            end, largest = (
                (struct_numbers(tail, name) or {0: 0})[0] & 0xFF for name in ("end", "gap")
            )
            gaps = tuple(gap.get(i, 0) for i in range(sizes.slots[mt]))
            self._words(n, item.address, mt, (), (), gaps, (end, largest))

    def _tree(self, n: int, item: StructText) -> None:
        """A struct maple_tree."""
        layout = self._profile.layout("maple_tree")
        root = struct_numbers(item.text, "ma_root")
        flags = struct_numbers(item.text, "ma_flags")
        if root is None or flags is None:
            self._fail(n, "a struct maple_tree without ma_root or ma_flags")
        data = bytearray(layout.size)
        for name, value, size in (
            ("ma_root", root[0], self._machine.word_size),
            ("ma_flags", flags[0], 4),
        ):
            at = layout.offset(name)
            try:
                data[at : at + size] = value.to_bytes(size, self._machine.byteorder)
            except OverflowError:
                self._fail(n, f"{name} is {value:x}, too large for {self._machine.name}")
        self._put(n, item.address, bytes(data))

    def pieces(self) -> list[Piece]:
        """All bytes by address, without overlap; those side by side are one piece."""
        found: list[tuple[int, bytearray]] = []
        for address in sorted(self._bytes):
            data = self._bytes[address]
            if found and address <= found[-1][0] + len(found[-1][1]):
                start, run = found[-1]
                run[address - start : address - start + len(data)] = data
            else:
                found.append((address, bytearray(data)))
        return [Piece(address, bytes(run)) for address, run in found]
