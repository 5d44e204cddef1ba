import pytest

from layout.memory.errors import InputError
from layout.mm.vm_flags import VM_EXEC, VM_MAYSHARE, VM_READ, VM_SHARED, VM_WRITE
from layout.record.maps import parse, perms_of

LINE = "7f1f1b2f2000-7f1f1b2f9000 r--s 00001000 fe:00 338846     /usr/lib/a file (deleted)\n"


def test_a_line():
    [mapping] = parse(LINE, "m")
    assert mapping == (0x7F1F1B2F2000, 0x7F1F1B2F9000, "r--s", 0x1000, "/usr/lib/a file (deleted)")
    assert mapping.vm_flags == VM_READ | VM_SHARED | VM_MAYSHARE


def test_permissions():
    assert perms_of(VM_READ | VM_WRITE | VM_EXEC) == "rwxp"
    assert perms_of(VM_MAYSHARE) == "---s"


def test_vsyscall_is_no_vma():
    text = LINE + "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0   [vsyscall]\n"
    assert len(parse(text, "m")) == 1


def test_smaps():
    assert parse(LINE + "Size:   28 kB\nVmFlags: rd mr\n", "m") == parse(LINE, "m")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "m, line 1: no mappings"),
        (LINE + "what\n", "m, line 2: this is no line"),
        (LINE + LINE, "m, line 2: its range is empty or overlaps"),
        (LINE.replace("7f1f1b2f9", "7f1f1b2f2"), "m, line 1: its range is empty"),
    ],
)
def test_bad(text, why):
    with pytest.raises(InputError, match=why):
        parse(text, "m")
