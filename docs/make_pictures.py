"""The pictures of these pages, each from a run: ``python docs/make_pictures.py [DIR]``.

They are written to docs/pictures unless DIR is given. Sphinx makes them anew for every build.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import arches
from layout import defects
from layout.draw.scene import scene
from layout.draw.svg import Bits, Picture, caption, node_picture, stack, tree_picture, word_picture
from layout.images.decode import decode
from layout.memory.pointers import LEAF_64, RANGE_64, describe_enode, describe_parent
from layout.traces.inputs import load

if TYPE_CHECKING:
    from layout.images.image import Image
    from layout.memory.nodeview import Visit

ORDERS = "x86_64", "s390x"
"""A little-endian and a big-endian machine."""

R1 = defects.get("R1").trace

_STORE = "store {0:x}000 {0:x}fff {0:x}001"

LEAF = "\n".join(["init 0", *(_STORE.format(i) for i in range(0x10, 0x1D, 2))])
"""Seven ranges with gaps between them: fifteen slots of one leaf."""

SPLIT = f"{LEAF}\n{_STORE.format(0x1E)}"
"""One range more: 17 slots, which are more than a leaf has."""

WIDE = "\n".join(["init 0", *(_STORE.format(i) for i in range(0x10, 0x40))])
SPANNING = f"{WIDE}\nstore 1b800 29fff 77001"
"""A store that ends in another leaf than the one in which it begins."""

REBALANCE = "\n".join([SPLIT, *(f"erase {i:x}000" for i in (0x10, 0x12))])

RCU = f"init 2\nrcu_lock\n{LEAF.partition(chr(10))[2]}\nstore 10800 10fff 11001"
"""In RCU mode a changed leaf is a new node; the reader's section keeps the old one."""

ALLOC = SPLIT.replace("init 0", "init 1")
"""The same in a tree that tracks gaps: its inner nodes are arange_64."""


def image(trace: str, arch: str = "x86_64", at: int | None = None) -> Image:
    """The memory after a trace, or after its line ``at``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace"
        path.write_text(trace + "\n")
        return load(str(path), arch=arches.get(arch), at=at)


def nodes(found: Image) -> list[Visit]:
    """The nodes of its tree, breadth first."""
    return decode(found.memory, found.tree).nodes


def tree(trace: str, title: str, at: int | None = None) -> Picture:
    """The tree after a trace."""
    return tree_picture(scene(image(trace, at=at)), title)


def before_and_after(trace: str, what: str) -> Picture:
    """The tree before and after the last line of a trace."""
    lines = trace.splitlines()
    last = f"{what}: {lines[-1]}"
    return stack(
        last,
        [tree(trace, f"before {lines[-1]}", len(lines) - 1), tree(trace, f"after {lines[-1]}")],
    )


def node_on_both(trace: str, number: int, offsets: range | None = None) -> Picture:
    """One node of a tree, by its number in breadth-first order, on machines of both orders."""
    pictures = []
    for arch in ORDERS:
        found = image(trace, arch)
        pictures.append(node_picture(found, nodes(found)[number], offsets))
    return stack(pictures[0].title.partition(": ")[2], pictures)


def pointer(word: int) -> Picture:
    """A pointer to a node, as slots and ma_root have it."""
    return word_picture(
        f"{word:x}: {describe_enode(word)}",
        word,
        64,
        [
            Bits(63, 8, "the node's address without its last byte", "f-slot"),
            Bits(6, 3, "the node's type: 1 leaf_64, 2 range_64, 3 arange_64", "f-pivot"),
            Bits(2, 2, "set in every pointer to a node", "f-meta"),
            Bits(1, 1, "set in ma_root: it is a node, no entry", "f-parent"),
        ],
    )


def parent(word: int) -> Picture:
    """The parent word of a node that is no root."""
    return word_picture(
        f"{word:x}: {describe_parent(word)}",
        word,
        64,
        [
            Bits(63, 8, "the parent's address without its last byte", "f-parent"),
            Bits(6, 3, "the slot in the parent", "f-slot"),
            Bits(2, 1, "3: the parent is a node of 64-bit ranges", "f-pivot"),
            Bits(0, 0, "1 in a root, whose parent is the struct maple_tree", "f-meta"),
        ],
    )


def metadata() -> Picture:
    """The end of R1's leaf on two machines, and what its last word is as a slot."""
    pictures = []
    for arch in ORDERS:
        found = image(R1, arch)
        [leaf] = nodes(found)
        word = found.memory.slot(leaf.address, LEAF_64, 15)
        pictures += [
            node_picture(found, leaf, range(216, 256)),
            caption(f"{arch} reads the last word as a slot: {word:016x}"),
        ]
    return stack("the metadata lie over slot 15", pictures)


def pointers() -> Picture:
    """A tagged pointer and a parent word, of a leaf that is not the first."""
    found = image(SPLIT)
    root, leaf = nodes(found)[0], nodes(found)[2]
    word = found.memory.slot(root.address, RANGE_64, 1)
    return stack("tagged pointers", [pointer(word), parent(found.memory.parent(leaf.address))])


def rcu() -> Picture:
    """A leaf that was replaced, and what is left of it."""
    lines = RCU.splitlines()
    before = image(RCU, at=len(lines) - 1)
    [old] = nodes(before)
    after = image(RCU)
    return stack(
        "RCU replacement",
        [
            tree_picture(scene(before), f"before {lines[-1]}"),
            tree_picture(scene(after), f"after {lines[-1]}"),
            caption("the old leaf is dead: its parent word points to itself"),
            caption("the rcu_head lies over its first pivots"),
            node_picture(after, old, range(32)),
        ],
    )


PICTURES = {
    "r1": metadata,
    "leaf": lambda: node_on_both(LEAF, 0),
    "range_64": lambda: node_on_both(SPLIT, 0),
    "arange_64": lambda: node_on_both(ALLOC, 0),
    "pointer": pointers,
    "tree": lambda: tree(WIDE, "48 ranges"),
    "split": lambda: before_and_after(SPLIT, "a split"),
    "spanning": lambda: before_and_after(SPANNING, "a spanning store"),
    "rebalance": lambda: before_and_after(REBALANCE, "a rebalance"),
    "rcu": rcu,
}
"""Every picture by the name of its file."""


def make(folder: Path) -> None:
    """Write the pictures; a file that is the same already is left alone."""
    for name, picture in PICTURES.items():
        path = folder / f"{name}.svg"
        text = picture().svg()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
