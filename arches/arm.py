"""arm: little-endian, 32-bit; ARMv7 allows misaligned accesses to single words."""

from arches.arch import Access, Arch


def _word_fault(access: Access) -> str:
    what = "NULL pointer dereference" if access.kind == "null" else "paging request"
    way = "write" if access.write else "read"
    return f"Unable to handle kernel {what} at virtual address {access.address:08x} when {way}"


ARCH = Arch(
    name="arm",
    byteorder="little",
    word_size=4,
    page_size=4096,
    strict_alignment=False,
    kernel_nodes=(0xC0000000, 0xEFFFFFFF),
    user=((0, 0xBEFFFFFF),),
    word_fault=_word_fault,
    aliases=("armhf", "armel"),
    long_align=4,
)
