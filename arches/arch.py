"""What a machine is: the facts about one architecture that bytes, structs and faults need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

ByteOrder = Literal["little", "big"]
AddressRange = tuple[int, int]
"""First and last address, both inclusive."""


@dataclass(frozen=True, slots=True)
class Access:
    """One access to memory that the machine refused: ``width`` bytes at ``address``."""

    kind: str
    address: int
    width: int
    write: bool


@dataclass(frozen=True, slots=True)
class Arch:
    """One machine: byte order, widths in bytes, alignment, page size, address ranges, faults.

    ``long_align`` and ``int_align`` are the alignments in bytes that the C ABI gives
    ``unsigned long`` (and pointers) and ``int`` inside a struct. ``strict_alignment`` is true
    where a misaligned data access traps. ``kernel_nodes`` is where slab objects such as tree
    nodes live, ``user`` the ranges of user addresses, lowest first. ``word_fault`` returns the
    lines that this machine's kernel prints for a refused access. ``cache_line`` is the
    kernel's SMP_CACHE_BYTES on common processors of the kind.
    """

    name: str
    byteorder: ByteOrder
    word_size: int
    page_size: int
    strict_alignment: bool
    kernel_nodes: AddressRange
    user: tuple[AddressRange, ...]
    word_fault: Callable[[Access], str]
    aliases: tuple[str, ...] = ()
    long_align: int = 8
    int_align: int = 4
    cache_line: int = 64

    @property
    def ulong_max(self) -> int:
        """ULONG_MAX: the largest index of a tree on this machine."""
        return (1 << (8 * self.word_size)) - 1

    @property
    def order_char(self) -> str:
        """``<`` or ``>``, as the struct module writes the byte order."""
        return "<" if self.byteorder == "little" else ">"

    def hex_pointer(self, value: int) -> str:
        """A pointer as the kernel's unhashed ``%p`` prints it: all digits, no 0x."""
        return f"{value:0{2 * self.word_size}x}"
