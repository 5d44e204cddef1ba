import pytest

import arches
from arches import Access


@pytest.mark.parametrize(
    ("name", "order", "page", "strict"),
    [
        ("x86_64", "little", 4096, False),
        ("s390x", "big", 4096, False),
        ("sparc64", "big", 8192, True),
    ],
)
def test_facts(name, order, page, strict):
    arch = arches.get(name)
    assert (arch.byteorder, arch.page_size, arch.strict_alignment) == (order, page, strict)
    assert arch.ulong_max == 2**64 - 1


@pytest.mark.parametrize("name", arches.names())
def test_every_machine_adds_up(name):
    arch = arches.get(name)
    assert arch.name == name
    assert arch.word_size in (4, 8)
    for first, last in (arch.kernel_nodes, *arch.user):
        assert 0 <= first < last <= arch.ulong_max
    assert list(arch.user) == sorted(arch.user)
    assert arch.hex_pointer(0xE) == "0" * (2 * arch.word_size - 1) + "e"
    for alias in arch.aliases:
        assert arches.get(alias) is arch
    for kind in ("null", "unmapped", "misaligned"):
        address = 0xE if kind == "null" else 0xABCD0001
        text = arch.word_fault(Access(kind, address, 4, write=True))
        assert text
        assert kind == "null" or "abcd" in text.lower()


@pytest.mark.parametrize("alias", ["amd64", "x86-64", "X86_64"])
def test_alias(alias):
    assert arches.get(alias) is arches.get("x86_64")


@pytest.mark.parametrize("name", [*arches.AMBIGUOUS, "X86"])
def test_a_name_of_several_machines_means_none(name):
    several = arches.AMBIGUOUS[name.lower()]
    says = f"^architecture '{name}' may be {' or '.join(several)}: give one of these names$"
    with pytest.raises(arches.UnknownArchError, match=says):
        arches.get(name)
    assert set(several) < set(arches.names())


def test_no_alias_is_the_name_of_a_family():
    """ARCH of the kernel's build covers several widths and byte orders: no alias is one of these."""
    aliases = {alias for name in arches.names() for alias in arches.get(name).aliases}
    assert not aliases & {"x86", "powerpc", "ppc", "sparc", "s390", "riscv"}


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(arches.UnknownArchError, match=r"'vax'.*s390x, sparc64, x86_64"):
        arches.get("vax")


@pytest.mark.parametrize(
    ("name", "kind", "address", "text"),
    [
        ("x86_64", "null", 0xE, "BUG: kernel NULL pointer dereference, address: 000000000000000e"),
        ("x86_64", "unmapped", 0x0E00000000000000, "non-canonical address 0xe00000000000000"),
        (
            "x86_64",
            "unmapped",
            0xFFFF888000000000,
            "BUG: unable to handle page fault for address: ffff888000000000",
        ),
        (
            "s390x",
            "unmapped",
            0x0E00000000000000,
            "Unable to handle kernel pointer dereference in virtual kernel address space\n"
            "Failing address: 0e00000000000000 TEID: 0e00000000000803",
        ),
        (
            "sparc64",
            "unmapped",
            0x0E00000000000000,
            "Unable to handle kernel paging request at virtual address 0e00000000000000",
        ),
        ("sparc64", "null", 0xE, "Unable to handle kernel NULL pointer dereference"),
        (
            "sparc64",
            "misaligned",
            0x1001,
            "Kernel unaligned access at TPC[...]\n"
            "Unable to handle kernel NULL pointer dereference in mna handler\n"
            " at virtual address 0000000000001001",
        ),
        (
            "sparc64",
            "misaligned",
            0x0E00000000000004,
            "Kernel unaligned access at TPC[...]\n"
            "Unable to handle kernel paging request in mna handler\n"
            " at virtual address 0e00000000000004",
        ),
        ("hppa", "misaligned", 0x1002, "Kernel: unaligned access to 0x00001002\nUnaligned handler"),
        ("mips", "misaligned", 0x1002, "Unhandled kernel unaligned access\nBadVA : 00001002"),
        ("powerpc64", "null", 0xE, "BUG: Kernel NULL pointer dereference on read at 0x0000000e"),
        (
            "powerpc64le",
            "unmapped",
            0x0E00000000000000,
            "BUG: Unable to handle kernel data access on read at 0xe00000000000000",
        ),
        (
            "aarch64",
            "unmapped",
            0x0E00000000000000,
            "Unable to handle kernel paging request at virtual address 0e00000000000000",
        ),
        ("arm", "null", 0xE, "NULL pointer dereference at virtual address 0000000e when read"),
        ("m68k", "unmapped", 0x0E000000, "kernel access at virtual address 0e000000"),
        ("i386", "unmapped", 0x0E000000, "unable to handle page fault for address: 0e000000"),
        ("riscv64", "null", 0xE, "NULL pointer dereference at virtual address 000000000000000e"),
    ],
)
def test_faults_in_the_words_of_each_kernel(name, kind, address, text):
    assert text in arches.get(name).word_fault(Access(kind, address, 8, write=False))


def test_s390x_tells_stores_from_fetches():
    s390x = arches.get("s390x")
    address = 0x0E00000000000010
    assert s390x.word_fault(Access("unmapped", address, 8, write=False)).endswith(
        "0e00000000000803"
    )
    assert s390x.word_fault(Access("unmapped", address, 8, write=True)).endswith("0e00000000000403")
