"""Finding a struct maple_tree that lies outside of the direct map, by the word in it.

Static trees lie in the kernel's image, which is mapped elsewhere. Their root says at which
virtual address; where that is in the file, the word that points to the root tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.host.progress import Progress
from layout.images.mapped import Store, Window
from layout.images.nodefinder import CHUNK, hits
from layout.memory.nodeview import KNOWN_TYPES
from layout.memory.pointers import ENODE_NULL, ROOT_NODE, ROOT_PARENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arches import Arch

MAX_ROOTS = 16
"""For so many trees the whole of memory is looked through, at most."""

STRUCT = 96
"""Bytes of a struct maple_tree in which ma_root is looked for; locks may be large."""

_PAGE = 4096


def adopt(store: Store, arch: Arch, roots: Iterable[tuple[int, int]], source: str) -> None:
    """Add a window for the struct of each tree that is found.

    ``roots`` are (virtual address of the root node, its parent word).
    """
    wanted: dict[int, int] = {}
    for node, parent in list(roots)[:MAX_ROOTS]:
        for mt in KNOWN_TYPES:
            word = node | mt << 3 | ENODE_NULL | ROOT_NODE
            wanted[word] = parent & ~ROOT_PARENT
    if not wanted:
        return
    for at, tree in _places(store, wanted, arch, source):
        offset = (at - tree) % _PAGE
        if offset < STRUCT:
            start = at - offset
            store.windows.append(Window(tree, STRUCT, start))


def _places(
    store: Store, wanted: dict[int, int], arch: Arch, source: str
) -> Iterator[tuple[int, int]]:
    """Each place in the file's terms where one of the words lies, with what it stands for.

    Its two lowest bytes are looked for first, in strides over aligned words.
    """
    w = arch.word_size
    step = 1 if arch.byteorder == "little" else -1
    low = 0 if step == 1 else w - 1
    tables = []
    for i in range(2):
        values = {word >> 8 * i & 0xFF for word in wanted}
        tables.append((low + i * step, bytes(int(v in values) for v in range(256))))
    with Progress(f"looking for trees in {source}", store.table.size()) as progress:
        done = 0
        for start, end, offset in store.table:
            for first, stop in store.parts(offset, offset + end - start):
                skip = -(start + first - offset) % w
                for at in range(first + skip, stop - w + 1, CHUNK):
                    size = min(CHUNK, stop - at) // w * w
                    chunk = bytes(store.data[at : at + size])
                    marks = -1
                    for byte, table in tables:
                        marks &= int.from_bytes(chunk[byte::w].translate(table), "little")
                        if not marks:
                            break
                    for hit in hits(marks, size // w):
                        place = hit * w
                        word = int.from_bytes(chunk[place : place + w], arch.byteorder)
                        if word in wanted:
                            yield start + at + place - offset, wanted[word]
                    store.release(at, size)
                progress.at(done + stop - offset)
            done += end - start
