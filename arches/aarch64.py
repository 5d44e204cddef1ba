"""aarch64: little-endian, misaligned accesses to normal memory allowed.

The linear map, and with it every node, lies at the top of the address space.
"""

from arches.arch import Access, Arch


def _word_fault(access: Access) -> str:
    what = "NULL pointer dereference" if access.kind == "null" else "paging request"
    return f"Unable to handle kernel {what} at virtual address {access.address:016x}"


ARCH = Arch(
    name="aarch64",
    byteorder="little",
    word_size=8,
    page_size=4096,
    strict_alignment=False,
    kernel_nodes=(0xFFFF000000000000, 0xFFFF7FFFFFFFFFFF),
    user=((0, 0x0000FFFFFFFFFFFF),),
    word_fault=_word_fault,
    aliases=("arm64",),
)
