"""Kinds that are known by name: each says what it is, and what helps."""

from __future__ import annotations

import json
import lzma
import struct
import sys
from pathlib import Path

import pytest

from layout.images.decode import decode
from layout.images.kinds import kind_of
from layout.memory.errors import InputError, UsageError
from layout.traces.inputs import load

MEMORY = Path(__file__).parents[2] / "fixtures" / "memory"


@pytest.mark.parametrize(
    ("data", "says"),
    [
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


def kdump(tmp_path, magic=b"KDUMP   "):
    path = tmp_path / "vmcore"
    path.write_bytes(magic + bytes(8192))
    return str(path)


@pytest.mark.parametrize(
    ("magic", "says"),
    [
        (
            b"KDUMP   ",
            r"a kdump-compressed dump: pip install 'maple-layout\[drgn\]' lets .* or dump",
        ),
        (b"makedumpfile\0", r"a flattened kdump stream: makedumpfile -R .*dump-guest-memory -p"),
    ],
)
def test_kdump_without_drgn(tmp_path, monkeypatch, magic, says):
    monkeypatch.setitem(sys.modules, "drgn", None)
    with pytest.raises(InputError, match=says):
        load(kdump(tmp_path, magic), tree="1000")


def qemu_kdump(pages, machine):
    """A kdump-compressed file of a big-endian machine, as QEMU 7.2 writes its header."""
    most = max(pages) // 4096 + 1
    bitmap = bytearray(-(-most // 8 // 4096) * 4096)
    for place in pages:
        bitmap[place // 4096 // 8] |= 1 << place // 4096 % 8
    utsname = bytes(4 * 65) + machine.ljust(65, b"\0") + bytes(65)
    head = b"KDUMP   " + struct.pack(">i", 6) + utsname + bytes(22)
    head += struct.pack(">5I", 1, 4096, 1, 2 * len(bitmap) // 4096, most)
    at = 8192 + 2 * len(bitmap) + 24 * len(pages)
    rows, body = b"", b""
    for place in sorted(pages):
        rows += struct.pack(">qIIQ", at + len(body), 4096, 0, 0)
        body += pages[place]
    head = head.ljust(4096 + 96, b"\0") + struct.pack(">Q", most)  # max_mapnr_64
    return head.ljust(8192, b"\0") + bytes(bitmap) * 2 + rows + body


def flattened(whole):
    """The stream that makedumpfile -F writes of such a file."""
    head = b"makedumpfile\0\0\0\0" + struct.pack(">qq", 1, 1)
    record = struct.pack(">qq", 0, len(whole)) + whole
    return head.ljust(4096, b"\0") + record + struct.pack(">qq", -1, -1)


@pytest.mark.readers
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("pack", [bytes, lzma.compress])
def test_kdump_of_qemu(tmp_path, stream, pack):
    """Its header names nothing but the machine, which libkdumpfile alone does not understand."""
    pytest.importorskip("drgn")
    truth = json.loads((MEMORY / "s390x-6.12.95.truth.json").read_text())
    raw = lzma.decompress((MEMORY / "s390x-6.12.95.raw.xz").read_bytes())
    pages = {at: raw[at : at + 4096] for at in range(0, len(raw), 4096)}
    used = {at: page for at, page in pages.items() if any(page)}
    # the lowcore points to VMCOREINFO, without which libkdumpfile takes none for Linux
    text = b"OSRELEASE=6.12.95\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=3fffff40000\n"
    note = struct.pack(">3I", 11, len(text), 0) + b"VMCOREINFO\0\0" + text
    used[0x6D8000] = note.ljust(4096, b"\0")
    used[0] = struct.pack(">3596xQ492x", 0x6D8000)
    whole = qemu_kdump(used, b"S390X")
    path = tmp_path / "vmcore"
    path.write_bytes(pack(flattened(whole) if stream else whole))
    for process in truth["processes"]:
        image = load(str(path), tree=process["tree"])
        found = decode(image.memory, image.tree)
        wanted = [tuple(int(n, 16) for n in row) for row in process["entries"] if int(row[2], 16)]
        assert (found.ranges, found.problems) == (wanted, [])


@pytest.mark.readers
def test_kdump_that_drgn_cannot_read(tmp_path):
    pytest.importorskip("drgn")
    with pytest.raises(
        InputError, match=r"kdump-compressed dump that drgn can't read \(.*dump anew"
    ):
        load(kdump(tmp_path), tree="1000")


@pytest.mark.readers
def test_drgn_as_the_reader(tmp_path):
    """What drgn reads decodes as what is read here, page by page."""
    pytest.importorskip("drgn")
    core = tmp_path / "core"
    core.write_bytes(lzma.decompress((MEMORY / "x86_64-6.12.117.elf-paging.xz").read_bytes()))
    from layout.images.bydrgn import read_by_drgn
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


def test_a_reader_that_crashes_takes_nobody_with_it(monkeypatch):
    """libkdumpfile maps the file: reads behind its end are signals."""
    from layout.images import bydrgn

    monkeypatch.setattr(bydrgn, "__name__", "os")  # python -m os does nothing
    bydrgn.try_out(0, None, None, "f")
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGBUS)"
    real = bydrgn.subprocess.run

    def run(words, **options):
        return real([words[0], "-c", crash], **options)

    monkeypatch.setattr(bydrgn.subprocess, "run", run)
    with pytest.raises(InputError, match=r"^f: libkdumpfile.* ends with signal 7 .*fetch it again"):
        bydrgn.try_out(0, None, None, "f")


@pytest.mark.parametrize("qemu", [False, True])
def test_a_full_temporary_directory_is_named(monkeypatch, qemu):
    """Bytes that are no file are copied for drgn; so are QEMU's, whose header lacks a name."""
    from layout.images import bydrgn

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    data = bytearray(4096)
    if qemu:
        data[:8] = bydrgn.KDUMP[0]
        at = bydrgn._UTSNAME + 4 * bydrgn._NAME
        data[at : at + 6] = b"x86_64"
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(InputError, match=r"^f has no room in .* for a copy \(No space left"):
        bydrgn.dump_file(bytes(data), "f")
