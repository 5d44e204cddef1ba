"""hppa (PA-RISC): big-endian, 32-bit; a misaligned data access traps.

Its only atomic instruction needs an operand aligned to 16 bytes. A lock has four words, and one of
them is aligned. So struct maple_tree of an SMP kernel is longer than on other machines.
"""

from arches.arch import Access, Arch


def _word_fault(access: Access) -> str:
    if access.kind == "misaligned":
        # logged, then carried out in halves, which may fault
        logged = f"Kernel: unaligned access to 0x{access.address:08x}"
        if access.mapped:
            return logged
        return f"{logged}\nUnaligned handler failed, ret = -14\nUnaligned data reference (code 28)"
    return f"Kernel Fault: Code=15 (Data TLB miss fault) at addr 0x{access.address:08x}"


ARCH = Arch(
    name="hppa",
    byteorder="big",
    word_size=4,
    page_size=4096,
    strict_alignment=True,
    kernel_nodes=(0x10000000, 0xEFFFFFFF),
    user=((0, 0xEFFFFFFF),),
    word_fault=_word_fault,
    aliases=("parisc",),
    long_align=4,
    cache_line=16,
    smp_lock=16,
)
