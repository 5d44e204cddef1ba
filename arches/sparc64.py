"""sparc64: big-endian, a misaligned data access traps, the address space has a hole.

User addresses lie below and above the hole; those above have bit 63 set, so comparing
indexes as signed numbers goes wrong here first.
"""

from arches.arch import Access, Arch, UserSpace

_PAGE = 8192


def _word_fault(access: Access) -> str:
    if access.kind == "misaligned":
        # logged, then carried out byte by byte, which may fault; there is no program counter here
        logged = "Kernel unaligned access at TPC[...]"
        if access.mapped:
            return logged
        what = "NULL pointer dereference" if access.address < _PAGE else "paging request"
        return (
            f"{logged}\nUnable to handle kernel {what} in mna handler\n"
            f" at virtual address {access.address:016x}"
        )
    if access.kind == "null":
        return "Unable to handle kernel NULL pointer dereference"
    return (
        f"Unable to handle kernel paging request at virtual address {access.address & -_PAGE:016x}"
    )


ARCH = Arch(
    name="sparc64",
    byteorder="big",
    word_size=8,
    page_size=_PAGE,
    strict_alignment=True,
    kernel_nodes=(0xFFFFF80000000000, 0xFFFFFBFFFFFFFFFF),
    user=((0, 0x000007FFFFFFFFFF), (0xFFFFF80000000000, 0xFFFFFFFFFFFFDFFF)),
    word_fault=_word_fault,
    space=UserSpace(
        task_size=0xFFFFFFFC00000000,
        stack_top=0x000007FF00000000,
        mmap_base=0xFFFFF80100000000,  # right above the hole: a new mapping is above the stack
        topdown=False,
        unmapped_base=0xFFFFF80100000000,
        map_window=0xFFFFFFFC00000000,
        hole=(0x000007FF00000000, 0xFFFFF800FFFFFFFF),  # with 4 GiB on both sides
        shared_align=0x4000,  # SHMLBA: the data cache is indexed by virtual address
        data_exec=True,
    ),
)
