"""riscv64: little-endian; misaligned accesses are emulated where the core has none.

Virtual addresses have 39 significant bits or more; the least is given here.
"""

from arches.arch import Access, Arch


def _word_fault(access: Access) -> str:
    what = "NULL pointer dereference" if access.kind == "null" else "paging request"
    return f"Unable to handle kernel {what} at virtual address {access.address:016x}"


ARCH = Arch(
    name="riscv64",
    byteorder="little",
    word_size=8,
    page_size=4096,
    strict_alignment=False,
    kernel_nodes=(0xFFFFFFD600000000, 0xFFFFFFF5FFFFFFFF),
    user=((0, 0x0000003FFFFFFFFF),),
    word_fault=_word_fault,
)
