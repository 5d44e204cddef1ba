"""VMCOREINFO: lines of text in which a kernel says what its memory is like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arches import Arch

NOTE = "VMCOREINFO"
"""The name of the note that holds it in an ELF core."""

_LINE = re.compile(r"^([A-Za-z]+(?:\([^)\n]+\))?)=(.*)$", re.MULTILINE)
_KERNEL_MAP = {"x86_64": 0xFFFFFFFF80000000}
"""Where the kernel's image is mapped, from phys_base on (__START_KERNEL_map)."""
_KERNEL_MAP_SIZE = 1 << 30


class VmcoreInfo:
    """What the lines in ``data`` say."""

    def __init__(self, data: bytes) -> None:
        text = data.split(b"\0", 1)[0].decode("latin-1")
        self._values: dict[str, str] = dict(_LINE.findall(text))

    @property
    def release(self) -> str | None:
        """The kernel's release, such as ``6.12.95+deb12-s390x``."""
        return self._values.get("OSRELEASE")

    def symbol(self, name: str) -> int | None:
        """The address of a symbol."""
        return self._number(f"SYMBOL({name})", 16)

    def number(self, name: str) -> int | None:
        """A number, which may be negative."""
        return self._number(f"NUMBER({name})", 0)

    def _number(self, key: str, base: int) -> int | None:
        try:
            return int(self._values[key], base)
        except (KeyError, ValueError):
            return None

    def kernel_image(self, arch: Arch) -> tuple[int, int, int] | None:
        """Where the kernel's image is: first address, size in bytes, physical address of it."""
        if arch.name == "s390x":
            start, base = self._number("KERNELOFFSET", 16), self._number("KERNELOFFPHYS", 16)
        else:
            start, base = _KERNEL_MAP.get(arch.name), self.number("phys_base")
        if base is None or start is None:
            return None
        return start, _KERNEL_MAP_SIZE, base

    def direct_map(self, arch: Arch) -> int | None:
        """The virtual address of physical address 0 in the direct map, where that is told."""
        return self._number("IDENTITYBASE", 16) if arch.name == "s390x" else None
