"""Raw memory: the bytes of all segments in sequence, and JSON with their addresses.

``layout.images.raw`` reads the JSON: ``arch``, ``byteorder``, ``word_size`` and ``page_size`` in
bytes, ``kernel``, ``lock_size``, ``config`` (empty, or the configuration that determines the lock),
``tree`` (the address of the struct maple_tree), ``memory`` (a file in the same directory), and
``segments``: ``address`` and, in bytes, ``offset`` in that file and ``size``. Addresses are hex
without 0x.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from layout.formats.segments import Segment
    from layout.images.image import Image


def description(
    image: Image, memory: str, places: Iterable[tuple[Segment, int]]
) -> dict[str, object]:
    """The JSON for ``places``, the segments and their offsets in the file called ``memory``."""
    arch, profile = image.arch, image.profile
    return {
        "arch": arch.name,
        "byteorder": arch.byteorder,
        "word_size": arch.word_size,
        "page_size": arch.page_size,
        "kernel": profile.version,
        "lock_size": profile.lock_size,
        "config": profile.config,
        "tree": f"{image.tree:x}",
        "memory": memory,
        "segments": [
            {"address": f"{segment.address:x}", "offset": offset, "size": len(segment.data)}
            for segment, offset in places
        ],
    }


def end_to_end(pieces: Sequence[Segment], start: int = 0) -> list[tuple[Segment, int]]:
    """The segments with their offsets in a file where they lie without gaps from ``start`` on."""
    offsets = itertools.accumulate((len(piece.data) for piece in pieces), initial=start)
    return list(zip(pieces, offsets, strict=False))
