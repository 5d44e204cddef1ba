"""The kernel's mt_dump text of any image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.host.progress import Progress
from layout.memory.slab import NodeCache
from layout.tree.versions import nearest

if TYPE_CHECKING:
    from layout.images.image import Image


class _Log(list[str]):
    """What a kernel prints, with a line on a terminal about how far it is."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def append(self, text: str) -> None:
        super().append(text)
        self._progress.step()


def mt_dump_text(image: Image) -> str:
    """What mt_dump(tree, mt_dump_hex) prints. Raises BrokenTree, MachineFault."""
    kernel = nearest(image.profile.version)(image.memory, NodeCache(image.memory, None))
    with Progress(f"dumping {image.source}", unit="messages") as progress:
        kernel.log = _Log(progress)
        kernel.mt_dump(image.tree)
    return "".join(kernel.log)
