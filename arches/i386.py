"""i386: little-endian, 32-bit, misaligned accesses allowed; 3 GiB for user space."""

from arches.arch import Access, Arch


def _word_fault(access: Access) -> str:
    if access.kind == "null":
        return f"BUG: kernel NULL pointer dereference, address: {access.address:08x}"
    return f"BUG: unable to handle page fault for address: {access.address:08x}"


ARCH = Arch(
    name="i386",
    byteorder="little",
    word_size=4,
    page_size=4096,
    strict_alignment=False,
    kernel_nodes=(0xC0000000, 0xF7FFFFFF),
    user=((0, 0xBFFFFFFF),),
    word_fault=_word_fault,
    aliases=("i686",),
    long_align=4,
)
