"""Images made of text: what :mod:`layout.images.pastelines` finds in it, laid out in memory.

Text often shows nodes without the struct maple_tree. One is made up then, from the node that
says that it is a root, and what could only be guessed is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import arches
from layout.images.image import Image
from layout.images.madeup import make_up_tree
from layout.images.pastelines import (
    Number,
    NodeText,
    Piece,
    StructText,
    TreeText,
    items,
    paste_format,
    struct_numbers,
)
from layout.images.treestruct import Known, choose, profiles
from layout.memory import structs
from layout.memory.errors import InputError, MachineFault, UsageError
from layout.memory.node import NODE_SIZE, NodeMemory
from layout.memory.pointers import ARANGE_64, NODE_MASK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arches import Arch
    from layout.images.pastelines import Item
    from layout.memory.structs import Profile

_NODE_STRUCTS = {"maple_range_64": 1, "maple_arange_64": ARANGE_64, "maple_node": 1}


def read_paste(  # noqa: PLR0913 - what the caller may know
    data: bytes,
    source: str,
    *,
    tree: int | None,
    arch: Arch | None,
    known: Known,
    base: int | None = None,
) -> Image:
    """The tree that a text shows; ``base`` is added to its addresses.

    Raises InputError for a text that breaks off, UsageError where it does not say enough.
    """
    text = data.decode(errors="replace")
    try:
        found = list(items(text.split("\n")))
    except ValueError as error:
        message = f"{source}: {error}: copy the text again"
        raise InputError(message) from None
    what = paste_format(text) or "text of memory"
    trees = [item for _, item in found if isinstance(item, TreeText)]
    named = next((item.arch for item in trees if item.arch), None)
    machine = _machine(named, arch, source, what, found)
    layout = _Layout(machine, source, base or 0)
    for n, item in found:
        layout.add(n, item)
    pieces = layout.pieces()
    if not pieces and not trees:
        message = f"{source}: {what} without any bytes: copy its lines with the addresses"
        raise InputError(message)
    notes = [f"taken for {what}"]
    make = _maker(machine, pieces)
    return _image(make, pieces, trees, machine, tree, source, known, notes)


def _machine(
    named: str | None, wanted: Arch | None, source: str, what: str, found: list[tuple[int, Item]]
) -> Arch:
    """The machine that the text names, or the caller. Raises UsageError."""
    if named is not None:
        try:
            machine = arches.get(named)
        except arches.UnknownArchError as error:
            message = f"{source}: {error}"
            raise InputError(message) from None
        if wanted is not None and wanted.name != machine.name:
            message = f"{source} is of {machine.name}, not {wanted.name}: leave out --arch"
            raise UsageError(message)
        return machine
    if wanted is not None:
        return wanted
    places = [item.address for _, item in found]
    likely = [
        name
        for name in arches.names()
        if places and all(_lies(arches.get(name), place) for place in places)
    ]
    hint = f" (nodes of {' and '.join(likely)} lie at such addresses)" if likely else ""
    message = f"{source} is {what}, which does not say of which machine: give --arch A{hint}"
    raise UsageError(message)


def _lies(machine: Arch, place: int) -> bool:
    low, high = machine.kernel_nodes
    return low <= place <= high


class _Layout:
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
        if value > self._machine.ulong_max:
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
        if head:
            data = bytearray(NODE_SIZE)
        else:
            data = bytearray(self._bytes[address + self._base])
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
            return
        mt = _NODE_STRUCTS.get(item.name)
        parent = struct_numbers(item.text, "parent")
        pivot, slot = struct_numbers(item.text, "pivot"), struct_numbers(item.text, "slot")
        if mt is None or parent is None or pivot is None or slot is None:
            self._fail(
                n,
                f"struct {item.name} without parent, pivot and slot: print a struct "
                "maple_range_64, maple_arange_64 or maple_tree",
            )
        sizes = self._profile.sizes
        head = (parent[0], *(pivot.get(i, 0) for i in range(sizes.pivots[mt])))
        slots = tuple(slot.get(i, 0) for i in range(sizes.slots[mt]))
        self._words(n, item.address, mt, head, slots)
        if mt == ARANGE_64:
            gap = struct_numbers(item.text, "gap") or {}
            end, largest = (
                (struct_numbers(item.text, name) or {0: 0})[0] & 0xFF for name in ("end", "gap")
            )
            if ".meta" in item.text:
                tail = item.text[item.text.index(".meta") :]
                end = (struct_numbers(tail, "end") or {0: 0})[0] & 0xFF
                largest = (struct_numbers(tail, "gap") or {0: 0})[0] & 0xFF
            gaps = tuple(gap.get(i, 0) for i in range(sizes.slots[mt]))
            self._words(n, item.address, mt, (), (), gaps, (end, largest))

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


def _maker(machine: Arch, pieces: Iterable[Piece]):  # type: ignore[no-untyped-def]
    """A function that makes memory with these bytes, of a profile."""

    def make(profile: Profile) -> NodeMemory:
        memory = NodeMemory(machine, profile)
        for address, data in pieces:
            memory.map(address, bytearray(data), "a text's bytes")
        return memory

    return make


def _readable(memory: NodeMemory, tree: int) -> bool:
    try:
        memory.ma_root(tree)
        memory.ma_flags(tree)
    except MachineFault:
        return False
    return True


def _image(  # type: ignore[no-untyped-def]  # noqa: PLR0913
    make,
    pieces: list[Piece],
    trees: list[TreeText],
    machine: Arch,
    tree: int | None,
    source: str,
    known: Known,
    notes: list[str],
) -> Image:
    if tree is None and len({item.address for item in trees}) == 1:
        tree = trees[0].address
    said = next((item for item in trees if item.address == tree and item.root is not None), None)
    memories = [make(profile) for profile in profiles(machine, known)]
    if tree is not None and said is None and _readable(memories[0], tree):
        memory, note = choose(memories, tree, source)
        return Image(machine, memory.profile, memory, tree, source, "paste", [*notes, note])
    memory = memories[0]
    if said is not None and said.root is not None and tree is not None:
        _map_tree(memory, tree, said.root, said.flags, source)
        return Image(machine, memory.profile, memory, tree, source, "paste", notes)
    nodes = [
        at
        for address, data in pieces
        for at in range(-(-address // NODE_SIZE) * NODE_SIZE, address + len(data), NODE_SIZE)
        if at + NODE_SIZE <= address + len(data)
    ]
    made = make_up_tree(memory, nodes, tree, source)
    if made.struct_is_there:
        memory, note = choose(memories, made.tree, source)
        return Image(machine, memory.profile, memory, made.tree, source, "paste", [*notes, note])
    _map_tree(memory, made.tree, made.root, made.flags, source)
    notes.append(made.note)
    return Image(machine, memory.profile, memory, made.tree, source, "paste", notes)


def _map_tree(memory: NodeMemory, tree: int, root: int, flags: int, source: str) -> None:
    """Map a struct maple_tree with these words. Raises InputError where none can lie."""
    try:
        memory.map(tree, bytearray(memory.tree_size), "struct maple_tree")
        memory.set_ma_root(tree, root)
        memory.set_ma_flags(tree, flags)
    except (ValueError, MachineFault):
        message = f"{source}: no struct maple_tree can lie at {tree:x}: give its address as --tree"
        raise InputError(message) from None
