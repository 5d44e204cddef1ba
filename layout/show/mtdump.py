"""The kernel's mt_dump text of any image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.slab import NodeCache
from layout.tree.versions import nearest

if TYPE_CHECKING:
    from layout.images.image import Image


def mt_dump_text(image: Image) -> str:
    """What mt_dump(tree, mt_dump_hex) prints. Raises BrokenTree, MachineFault."""
    kernel = nearest(image.profile.version)(image.memory, NodeCache(image.memory, None))
    kernel.mt_dump(image.tree)
    return "".join(kernel.log)
