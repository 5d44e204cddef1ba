"""The facts about one architecture that bytes, structs and faults need."""

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
    """One access to memory that the machine refused: ``width`` bytes at ``address``.

    For a misaligned access, ``mapped`` is True if there is memory. If there is none, the kernel's
    handler of misaligned accesses faults too.
    """

    kind: str
    address: int
    width: int
    write: bool
    mapped: bool = False


@dataclass(frozen=True, slots=True)
class UserSpace:
    """Where a 64-bit process may map memory; addresses and sizes in bytes, no randomisation.

    ``task_size`` is the kernel's TASK_SIZE: mappings end at or below it. ``stack_top`` is where the
    stack ends, ``mmap_base`` where the search for free addresses starts: downwards if ``topdown``,
    else upwards to ``task_size``; ``unmapped_base`` is where a failed downward search starts again,
    upwards. ``map_window`` is the end of the mappings of a process that does not request higher
    addresses. ``hole`` is a range without valid addresses, including the guard that the kernel
    keeps on both sides. ``table_limits`` are the sizes at which page tables get another level.
    ``shared_align`` is the alignment that file and shared mappings need, 1 for none. ``huge_page``
    is the size that large mappings are aligned to if the kernel has transparent huge pages, 0 if
    not. ``data_exec``: heap and stack are executable unless a program says otherwise.
    """

    task_size: int
    stack_top: int
    mmap_base: int
    topdown: bool
    unmapped_base: int
    map_window: int
    hole: AddressRange | None = None
    table_limits: tuple[int, ...] = ()
    shared_align: int = 1
    huge_page: int = 0
    data_exec: bool = False


@dataclass(frozen=True, slots=True)
class Arch:
    """One machine: byte order, widths in bytes, alignment, page size, address ranges, faults.

    ``long_align`` and ``int_align`` are the alignments in bytes that the C ABI gives ``unsigned
    long`` (and pointers) and ``int`` inside a struct. ``strict_alignment`` is true where a
    misaligned data access traps. ``kernel_nodes`` is where slab objects such as tree nodes live,
    ``user`` the ranges of user addresses, lowest first. ``word_fault`` returns the lines that this
    machine's kernel prints for a refused access. ``cache_line`` is the kernel's SMP_CACHE_BYTES on
    common processors of the kind. ``space`` says where processes map memory, None if unknown.
    ``smp_lock`` is the size in bytes of arch_spinlock_t in SMP kernels, 0 where there are none.
    Below ``lowcore`` the kernel's address space contains processor state, so small addresses do not
    fault; 0 if there is none.
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
    lowcore: int = 0
    space: UserSpace | None = None
    smp_lock: int = 4

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
