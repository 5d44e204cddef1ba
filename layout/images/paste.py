"""Images made of text: what :mod:`layout.images.pastelines` finds in it, laid out in memory.

Text often shows nodes without the struct maple_tree. One is made up then, from the node that
says that it is a root, and what could only be guessed is told.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING

import arches
from layout.images.image import Image
from layout.images.madeup import is_enode, make_up_tree, root_of
from layout.images.missing import missing_bytes
from layout.images.pastelayout import Layout
from layout.images.pastelines import TreeText, items, paste_format
from layout.images.treestruct import choose, profiles
from layout.memory.errors import InputError, MachineFault, UsageError
from layout.memory.node import NODE_SIZE, NodeMemory
from layout.memory.pointers import NODE_MASK, PARENT_RANGE64, PARENT_SLOT_MASK, ROOT_NODE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arches import Arch
    from layout.images.pastelines import Item, Piece
    from layout.images.treestruct import Known


_MOST_TORN = 4
"""So many nodes that are there in part are told."""


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
    placed = Layout(machine, source, base or 0)
    for n, item in found:
        placed.add(n, item)
    pieces = placed.pieces()
    if not pieces and not trees:
        message = f"{source}: {what} without any bytes: copy its lines with the addresses"
        raise InputError(message)
    memories = []
    for profile in profiles(machine, known):
        memory = NodeMemory(machine, profile)
        for address, raw in pieces:
            memory.map(address, bytearray(raw), "a text's bytes")
        memories.append(memory)
    chosen, place, note = _find_tree(memories, pieces, trees, tree, source)
    notes = [f"taken for {what}", *([note] if note else [])]
    torn = _torn(chosen, pieces)
    notes += _say_torn(chosen, [node for node in sorted(torn) if torn[node].named])
    if hint := _elsewhere(machine, _nodes(pieces)):
        notes.append(hint)
    return Image(machine, chosen.profile, chosen, place, source, "paste", notes)


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
    likely = _likely(places)
    hint = f" (nodes of {' and '.join(likely)} lie at such addresses)" if likely else ""
    message = f"{source} is {what}, which does not say of which machine: give --arch A{hint}"
    raise UsageError(message)


def _lies(machine: Arch, place: int) -> bool:
    low, high = machine.kernel_nodes
    return low <= place <= high


def _likely(places: list[int]) -> list[str]:
    """The machines whose nodes lie at such addresses."""
    return [
        name
        for name in arches.names()
        if places and all(_lies(arches.get(name), place) for place in places)
    ]


def _elsewhere(machine: Arch, nodes: list[int]) -> str | None:
    """What to say of nodes that lie where this machine has none."""
    wrong = next((node for node in nodes if not _lies(machine, node)), None)
    if wrong is None:
        return None
    likely = " or ".join(_likely(nodes))
    return (
        f"nodes of {machine.name} do not lie at {wrong:x}: give --base ADDR if that is a physical "
        f"address or a place in a file, or another --arch{f' ({likely})' if likely else ''}"
    )


def _readable(memory: NodeMemory, tree: int) -> bool:
    try:
        memory.ma_root(tree)
        memory.ma_flags(tree)
    except MachineFault:
        return False
    return True


def _nodes(pieces: Iterable[Piece]) -> list[int]:
    """The addresses of all nodes that are whole."""
    return [
        at
        for address, data in pieces
        for at in range(-(-address // NODE_SIZE) * NODE_SIZE, address + len(data), NODE_SIZE)
        if at + NODE_SIZE <= address + len(data)
    ]


class _Torn:
    """The place of a node of which the text has a part."""

    __slots__ = ("named", "there")

    def __init__(self) -> None:
        self.there = 0
        """How many of its bytes the text has."""
        self.named = False
        """Whether words of the text name it as a node."""


def _torn(memory: NodeMemory, pieces: Iterable[Piece]) -> dict[int, _Torn]:
    """The places of nodes that are there in part, by address; pieces do not overlap."""
    torn: dict[int, _Torn] = defaultdict(_Torn)
    for address, data in pieces:
        end = address + len(data)
        for node in {address & -NODE_SIZE, end - 1 & -NODE_SIZE}:
            there = min(end, node + NODE_SIZE) - max(address, node)
            if there < NODE_SIZE:
                torn[node].there += there
    if torn:
        size = memory.word_size
        for address, data in pieces:
            skip = -address % size
            count = max(len(data) - skip, 0) // size
            for word in memory.read_words(address + skip, count) if count else ():
                if word & -NODE_SIZE in torn and (is_enode(word & ~ROOT_NODE) or _is_parent(word)):
                    torn[word & -NODE_SIZE].named = True
    return torn


def _is_parent(word: int) -> bool:
    """Whether a word may be the parent word of a node below another."""
    return word & NODE_MASK & ~PARENT_SLOT_MASK == PARENT_RANGE64


def _say_torn(memory: NodeMemory, nodes: list[int]) -> list[str]:
    """What to tell of nodes that are there in part, the first of them."""
    gone = ((node, missing_bytes(memory, node)) for node in nodes)
    told = (
        f"node {node:x}: bytes {each} are not in the text: add their lines"
        for node, each in gone
        if each
    )
    return list(islice(told, _MOST_TORN))


def _refuse_torn(
    memory: NodeMemory, pieces: Iterable[Piece], tree: int | None, source: str
) -> None:
    """Raise InputError where the root may be one of the nodes that are there in part."""
    torn = _torn(memory, pieces)
    told = _say_torn(
        memory,
        [
            node
            for node in sorted(torn)
            if torn[node].named
            or 2 * torn[node].there >= NODE_SIZE
            or _says_root(memory, node, tree)
        ],
    )
    if told:
        message = f"{source}: {'; '.join(told)}"
        raise InputError(message)


def _says_root(memory: NodeMemory, node: int, tree: int | None) -> bool:
    try:
        return root_of(memory, node, tree) is not None
    except MachineFault:  # its first line is missing
        return False


def _find_tree(
    memories: list[NodeMemory],
    pieces: list[Piece],
    trees: list[TreeText],
    tree: int | None,
    source: str,
) -> tuple[NodeMemory, int, str | None]:
    """The memory, the tree's address, and what to tell of it. Raises InputError, UsageError."""
    if tree is None and len({item.address for item in trees}) == 1:
        tree = trees[0].address
    said = next((item for item in trees if item.address == tree and item.root is not None), None)
    if tree is not None and said is not None and said.root is not None:
        _map_tree(memories[0], tree, said.root, said.flags, source)
        return memories[0], tree, None
    if tree is None or not _readable(memories[0], tree):
        nodes = _nodes(pieces)
        if not any(root_of(memories[0], node, tree) is not None for node in nodes):
            _refuse_torn(memories[0], pieces, tree, source)
        made = make_up_tree(memories[0], nodes, tree, source)
        tree = made.tree
        if not made.struct_is_there:
            _map_tree(memories[0], tree, made.root, made.flags, source)
            return memories[0], tree, made.note
    memory, note = choose(memories, tree, source)
    return memory, tree, note


def _map_tree(memory: NodeMemory, tree: int, root: int, flags: int, source: str) -> None:
    """Map a struct maple_tree with these words. Raises InputError where none can lie."""
    try:
        memory.map(tree, bytearray(memory.tree_size), "struct maple_tree")
        memory.set_ma_root(tree, root)
        memory.set_ma_flags(tree, flags)
    except (ValueError, OverflowError, struct.error, MachineFault):
        message = f"{source}: no struct maple_tree can lie at {tree:x}: give its address as --tree"
        raise InputError(message) from None
