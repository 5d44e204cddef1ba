"""s390x: big-endian, misaligned data accesses allowed, kernel and user addresses overlap.

Kernel and user space are different address spaces: nodes live at addresses as small as
0x299b900, below the user addresses that the tree maps. The lowcore lies at address 0, so a
caller that follows a small pointer reads garbage and does not fault. For the tree's own code the
emulator has no memory there, as it has none under qemu-user, where its results come from.
"""

from arches.arch import Access, Arch, UserSpace


def _word_fault(access: Access) -> str:
    # the TEID holds the page and flags: bits 10 and 11 tell a store from a fetch (processors
    # since z13), the lowest two say that it was in the home address space, the kernel's
    page = access.address & ~0xFFF
    flags = (0x400 if access.write else 0x800) | 3
    return (
        "Unable to handle kernel pointer dereference in virtual kernel address space\n"
        f"Failing address: {page:016x} TEID: {page | flags:016x}"
    )


ARCH = Arch(
    name="s390x",
    byteorder="big",
    word_size=8,
    page_size=4096,
    strict_alignment=False,
    kernel_nodes=(0x0000000000100000, 0x001FFFFFFFFFFFFF),
    user=((0, 0xFFFFFFFFFFFFEFFF),),
    word_fault=_word_fault,
    cache_line=256,
    lowcore=0x2000,
    space=UserSpace(
        task_size=0xFFFFFFFFFFFFF000,
        stack_top=0x000003FFFFFFB000,  # below four pages of vDSO and one free page
        mmap_base=0x000003FFF7FFB000,  # 128 MiB below the stack's top
        topdown=True,
        unmapped_base=0x0000020000000000,
        map_window=0xFFFFFFFFFFFFF000,
        huge_page=0x100000,
        # three, four and five levels: an mmap() beyond one of these adds levels
        table_limits=(1 << 42, 1 << 53, 0xFFFFFFFFFFFFF000),
    ),
)
