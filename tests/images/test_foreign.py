"""Kinds that are known by name: each says what it is, and what helps."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from layout.images.kinds import kind_of
from layout.memory.errors import InputError, UsageError
from layout.traces.inputs import load

MEMORY = Path(__file__).parents[2] / "fixtures" / "memory"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"makedumpfile\0" + bytes(99), r"a flattened kdump stream: makedumpfile -R .*dump-guest-"),
        (b"EMiL" + bytes(99), r"a LiME dump: .*format=raw"),
        (b"QEVM" + bytes(99), r"a saved QEMU machine: .*dump-guest-memory -p"),
        (b"LibvirtQemudSave" + bytes(99), r"virsh dump --memory-only"),
        (b"\xd2\xbe\xd2\xbe" + bytes(99), r"vmss2core"),
        (b"\xa8\x19\x01\x73\x61\x8f\x23\xfd", r"zgetdump -f elf"),
        (b"PK\x03\x04", r"a zip archive: unpack it with unzip"),
        (bytes(257) + b"ustar", r"a tar archive"),
    ],
)
def test_names_and_remedies(data, says):
    with pytest.raises(InputError, match=rf"^f is .*{says}"):
        kind_of(data, "f")


def kdump(tmp_path):
    path = tmp_path / "vmcore"
    path.write_bytes(b"KDUMP   " + bytes(8192))
    return str(path)


def test_kdump_without_drgn(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "drgn", None)
    with pytest.raises(
        InputError, match=r"kdump-compressed.*pip install 'maple-layout\[drgn\]', or"
    ):
        load(kdump(tmp_path), tree="1000")


def test_kdump_that_drgn_cannot_read(tmp_path):
    pytest.importorskip("drgn")
    with pytest.raises(
        InputError, match=r"kdump-compressed dump that drgn can't read \(.*dump anew"
    ):
        load(kdump(tmp_path), tree="1000")


def test_drgn_as_the_reader(tmp_path):
    """What drgn reads decodes as what is read here, page by page."""
    pytest.importorskip("drgn")
    core = tmp_path / "core"
    core.write_bytes(lzma.decompress((MEMORY / "x86_64-6.12.117.elf-paging.xz").read_bytes()))
    from layout.images.bydrgn import read_by_drgn
    from layout.images.decode import decode
    from layout.images.packed import open_bytes
    from layout.images.treestruct import Known

    data, _ = open_bytes(str(core))
    ours = load(str(core), tree="ffff8a368405b740")
    image = read_by_drgn(data, "f", tree=0xFFFF8A368405B740, arch=None, known=Known())
    assert image.notes[:2] == [
        "read by drgn",
        "kernel 6.12.117+deb12-cloud-amd64, as its VMCOREINFO says",
    ]
    found, wanted = decode(image.memory, image.tree), decode(ours.memory, ours.tree)
    assert (found.ranges, found.complete) == (wanted.ranges, True)
    with pytest.raises(UsageError, match=r"give the address of a struct maple_tree as --tree"):
        read_by_drgn(data, "f", tree=None, arch=None, known=Known())
