"""powerpc64: big-endian, misaligned accesses allowed, pages of 64 KiB.

Together with s390x and sparc64 it is the third 64-bit big-endian machine.
"""

from arches.arch import Access, Arch


def word_fault(access: Access) -> str:
    """What 64-bit PowerPC kernels of either byte order print."""
    way = "write" if access.write else "read"
    if access.kind == "null":
        return f"BUG: Kernel NULL pointer dereference on {way} at 0x{access.address:08x}"
    return f"BUG: Unable to handle kernel data access on {way} at 0x{access.address:08x}"


ARCH = Arch(
    name="powerpc64",
    byteorder="big",
    word_size=8,
    page_size=65536,
    strict_alignment=False,
    kernel_nodes=(0xC000000000000000, 0xC003FFFFFFFFFFFF),
    user=((0, 0x000FFFFFFFFFFFFF),),
    word_fault=word_fault,
    aliases=("ppc64",),
    cache_line=128,
)
