"""x86_64: little-endian, misaligned data accesses allowed, non-canonical addresses refused.

Virtual addresses have 48 significant bits; bits 47 to 63 must agree. A word made of
metadata bytes is a small number here, so a kernel that follows it faults in the first page.
"""

from arches.arch import Access, Arch, UserSpace

_CANONICAL_TOP = 0x00007FFFFFFFFFFF


def _word_fault(access: Access) -> str:
    sign = access.address >> 47
    if access.kind != "misaligned" and sign not in (0, 0x1FFFF):
        return (
            "Oops: general protection fault, probably for non-canonical address "
            f"{access.address:#x}"
        )
    if access.kind == "null":
        return f"BUG: kernel NULL pointer dereference, address: {access.address:016x}"
    return f"BUG: unable to handle page fault for address: {access.address:016x}"


ARCH = Arch(
    name="x86_64",
    byteorder="little",
    word_size=8,
    page_size=4096,
    strict_alignment=False,
    kernel_nodes=(0xFFFF888000000000, 0xFFFFC87FFFFFFFFF),
    user=((0, _CANONICAL_TOP),),
    word_fault=_word_fault,
    aliases=("amd64", "x86-64"),
    space=UserSpace(
        task_size=0x00007FFFFFFFF000,  # with four levels of page tables
        stack_top=0x00007FFFFFFFF000,
        mmap_base=0x00007FFFF7FFF000,  # 128 MiB below the stack's top
        topdown=True,
        unmapped_base=0x00002AAAAAAAB000,  # a third of task_size
        map_window=0x00007FFFFFFFF000,
        huge_page=0x200000,
    ),
)
