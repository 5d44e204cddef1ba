"""m68k: big-endian, 32-bit; longs and pointers are aligned to two bytes inside structs.

So struct maple_alloc has no padding before its slots, and is two bytes shorter than a node.
The 68020 and its successors allow misaligned accesses. There are no SMP kernels.
"""

from arches.arch import Access, Arch


def _word_fault(access: Access) -> str:
    what = "NULL pointer dereference" if access.kind == "null" else "access"
    return f"Unable to handle kernel {what} at virtual address {access.address:08x}"


ARCH = Arch(
    name="m68k",
    byteorder="big",
    word_size=4,
    page_size=4096,
    strict_alignment=False,
    kernel_nodes=(0x00001000, 0xEFFFFFFF),
    user=((0, 0xEFFFFFFF),),
    word_fault=_word_fault,
    long_align=2,
    int_align=2,
    cache_line=16,
    smp_lock=0,
)
