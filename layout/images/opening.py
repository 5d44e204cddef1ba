"""One way in to all kinds of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.images.packed import whole
from layout.memory.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from arches import Arch
    from layout.images.image import Image
    from layout.images.kinds import Kind
    from layout.images.packed import Bytes
    from layout.images.treestruct import Known

NAMES: dict[Kind, str] = {
    "trace": "a trace",
    "capture": "a capture",
    "core": "a core",
    "dump": "a dump",
    "raw": "a raw image",
    "paste": "text of memory",
    "memory": "raw memory",
    "kdump": "a kdump-compressed dump",
}
"""What to call each kind."""


def read_image(  # noqa: PLR0911, PLR0913 - one a kind; what the caller may know
    data: Bytes,
    source: str,
    kind: Kind,
    *,
    folder: Path,
    tree: int | None,
    arch: Arch | None,
    known: Known,
    base: int | None,
    direct_map: int | None,
) -> Image:
    """The image in ``data``, which is of this kind and no trace.

    ``folder`` is where files lie that JSON names. Raises OSError, InputError, UsageError.
    """
    kernel, lock_size, config = known
    if kind == "core":
        from layout.images.core import read_core  # noqa: PLC0415 - only what is needed

        return read_core(
            data,
            source,
            tree=tree,
            arch=arch,
            kernel=kernel,
            lock_size=lock_size,
            config=config,
            direct_map=direct_map,
        )
    if kind == "memory":
        from layout.images.flat import read_flat  # noqa: PLC0415

        return read_flat(
            data,
            source,
            tree=tree,
            arch=arch,
            base=base,
            known=known,
            direct_map=direct_map,
        )
    if kind == "paste":
        from layout.images.paste import read_paste  # noqa: PLC0415

        return read_paste(whole(data, source), source, tree=tree, arch=arch, known=known, base=base)
    if kind == "kdump":
        from layout.images.bydrgn import read_by_drgn  # noqa: PLC0415

        return read_by_drgn(data, source, tree=tree, arch=arch, known=known)
    if kind == "raw":
        from layout.images.raw import read_raw  # noqa: PLC0415

        return read_raw(
            whole(data, source),
            source,
            folder,
            tree=tree,
            arch=arch,
            kernel=kernel,
            lock_size=lock_size,
            config=config,
        )
    if kind == "dump":
        from layout.images.dumpfile import read_dump  # noqa: PLC0415

        return read_dump(whole(data, source), source, arch=arch, tree=tree)
    if kind == "capture":
        from layout.images.capture import read_capture  # noqa: PLC0415

        return read_capture(whole(data, source), source, arch=arch, tree=tree)
    message = f"{source} is {NAMES[kind]}: give an image"
    raise InputError(message)
