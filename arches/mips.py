"""mips: big-endian, 32-bit; a misaligned data access traps.

Nodes lie in kseg0, which is mapped to the start of physical memory without a page table.
"""

from arches.arch import Access, Arch


def _word_fault(access: Access) -> str:
    if access.kind == "misaligned":
        # without words the kernel carries it out in halves, as long as there is memory
        return f"Unhandled kernel unaligned access\nBadVA : {access.address:08x}"
    return f"CPU 0 Unable to handle kernel paging request at virtual address {access.address:08x}"


ARCH = Arch(
    name="mips",
    byteorder="big",
    word_size=4,
    page_size=4096,
    strict_alignment=True,
    kernel_nodes=(0x80000000, 0x9FFFFFFF),
    user=((0, 0x7FFF7FFF),),
    word_fault=_word_fault,
    long_align=4,
    cache_line=32,
)
