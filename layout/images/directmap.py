"""From physical addresses to virtual ones: by one offset, that of the kernel's direct map.

Nodes lie in the direct map, whose virtual addresses are the physical ones plus a constant. It is
found where parents and children name one another: a child at physical address C, whose parent
word names node W in slot i, and a parent at physical address P, whose slot i names node S, belong
together if W - P and S - C are the same. No page table is read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from layout.images.image import Image
from layout.images.mapped import ImageMemory, Store, image_memory
from layout.images.nodeastree import refuse_node
from layout.images.nodefinder import DEAD, INNER, ROOT, Finder, Found, parent_slot, walk
from layout.images.structfinder import adopt
from layout.images.treestruct import Known, find_struct
from layout.memory import structs
from layout.memory.errors import InputError, MachineFault
from layout.memory.pointers import NODE_MASK, xa_is_node

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arches import Arch

PHYSICAL_MAX = (1 << 52) - 1
"""The largest physical address there is."""

ENOUGH = 64
"""After so many pairs that agree no more are looked for."""

_AT_LEAST = 2
"""Fewer pairs may agree by chance."""


class Votes:
    """Pairs of parent and child, and the shift that each of them speaks for."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._most = finder.arch.ulong_max
        self._children: dict[tuple[int, int], list[int]] = defaultdict(list)
        self._parents: dict[tuple[int, int], list[int]] = defaultdict(list)
        self.count: Counter[int] = Counter()

    def add(self, found: Found) -> None:
        """Look at one more block: W + C and S + P are equal where two belong together."""
        if found.role == DEAD:
            return
        at, most = found.address, self._most
        if found.role == INNER:
            parent = found.words[0] & ~NODE_MASK
            key = (parent + at & most, parent_slot(found.words[0]))
            self._children[key].append(at)
            for child in self._parents.get(key, ()):
                self.count[child - at & most] += 1
        for _, slot, word in self._finder.children(found.words):
            child = word & ~NODE_MASK
            key = (child + at & most, slot)
            self._parents[key].append(child)
            for place in self._children.get(key, ()):
                self.count[child - place & most] += 1

    def best(self) -> tuple[int, int] | None:
        """The shift that most pairs speak for, and how many do."""
        return self.count.most_common(1)[0] if self.count else None


def find_shift(store: Store, arch: Arch, source: str) -> int | None:
    """What to add to a physical address for a virtual one; None where nothing tells."""
    finder = Finder(arch)
    votes = Votes(finder)
    for found in walk(finder, store, source):
        votes.add(found)
        best = votes.best() if votes.count else None
        if best and best[1] >= ENOUGH:
            return best[0]
    best = votes.best()
    return best[0] if best and best[1] >= _AT_LEAST else None


def _reads(memory: ImageMemory, tree: int) -> bool:
    """Whether the tree's root can be read where the file's own addresses have it."""
    for offset in range(0, 32, memory.word_size):
        try:
            word = memory.read_word(tree + offset)
            if xa_is_node(word) and memory.parent(word & ~NODE_MASK) == tree | 1:
                return True
        except MachineFault:
            continue
    return False


def find_tree(  # noqa: PLR0913 - what the caller may know
    store: Store,
    arch: Arch,
    tree: int,
    source: str,
    known: Known,
    direct_map: int | None,
    kind: str,
    notes: Iterable[str] = (),
) -> Image:
    """The tree at ``tree``, a virtual or a physical address. Raises InputError, UsageError.

    ``direct_map`` is the virtual address of physical address 0, looked for if None.
    """
    told = list(notes)
    probe = image_memory(arch, structs.profile(arch), store)
    if direct_map is not None:
        store.shift = direct_map
    elif store.physical and not _reads(probe, tree):
        store.shift = 0
        shift = find_shift(store, arch, source)
        if shift is None:
            _explain_missing(probe, tree, source)
        else:
            store.shift = shift
            told.append(
                f"addresses are physical: the direct map starts at {shift:x}, as nodes agree"
            )
    if store.shift and not _reads(probe, tree):
        virtual = tree + store.shift & arch.ulong_max
        if _reads(probe, virtual):
            tree = virtual
    if store.physical and not _is_there(probe, tree):
        finder = Finder(arch)
        roots = (
            (found.address + store.shift & arch.ulong_max, found.words[0])
            for found in walk(finder, store, source)
            if found.role == ROOT and found.words[0] == tree | 1
        )
        adopt(store, arch, roots, source)
    if store.shift:
        refuse_node([probe], tree + store.shift & arch.ulong_max, source)
    memory, note = find_struct(
        lambda profile: image_memory(arch, profile, store), arch, tree, source, known
    )
    return Image(arch, memory.profile, memory, tree, source, kind, [*told, note])


def _is_there(memory: ImageMemory, tree: int) -> bool:
    try:
        memory.read_word(tree)
    except MachineFault:
        return False
    return True


def _explain_missing(memory: ImageMemory, tree: int, source: str) -> None:
    """Raise InputError unless the tree can be read all the same, where it holds no node."""
    if not _is_there(memory, tree):
        message = (
            f"{source} holds physical addresses, {tree:x} is none of them, and no nodes tell "
            "where the direct map starts: give that as --direct-map ADDR, or dump with "
            "dump-guest-memory -p"
        )
        raise InputError(message)
