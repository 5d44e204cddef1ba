"""Kinds of dumps that are known by name and not read here, each with what helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layout.images.packed import Bytes

KDUMP = (b"KDUMP   ", b"DISKDUMP")
"""How kdump-compressed files start, which drgn reads."""

FLATTENED = b"makedumpfile\0"
"""How a flattened stream of such a file starts; libkdumpfile, which drgn uses, reads it, too."""

_ANEW = "or dump anew as an ELF core (QEMU's dump-guest-memory -p FILE, makedumpfile -E -d 31)"

_BY_DRGN = "pip install 'maple-layout[drgn]' lets that be read"

_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (
        FLATTENED,
        "a flattened kdump stream",
        f"makedumpfile -R OUT < FILE makes a kdump-compressed file of it; {_BY_DRGN}; {_ANEW}",
    ),
    (KDUMP[0], "a kdump-compressed dump", f"{_BY_DRGN}; {_ANEW}"),
    (KDUMP[1], "a diskdump or kdump-compressed dump", f"{_BY_DRGN}; {_ANEW}"),
    (b"EMiL", "a LiME dump", "take it with format=raw or padded, and give --arch and --base"),
    (b"QEVM", "a saved QEMU machine", "restore it, and take dump-guest-memory -p FILE"),
    (b"LibvirtQemudSave", "a saved libvirt machine", "take virsh dump --memory-only DOMAIN FILE"),
    (b"\xa8\x19\x01\x73\x61\x8f\x23\xfd", "an s390 dump", "zgetdump -f elf FILE > OUT converts it"),
    (b"\xed\x23\x8f\x61\x73\x01\x19\xa8", "an LKCD dump", "take an ELF core: makedumpfile -E"),
    (b"\xd2\xbe\xd2\xbe", "a VMware snapshot", "vmss2core -N6 FILE converts it to an ELF core"),
    (b"\xd1\xba\xd1\xba", "a VMware snapshot", "vmss2core -N6 FILE converts it to an ELF core"),
    (b"PAGEDU", "a Windows crash dump", "take dump-guest-memory -p FILE, without -w"),
    (b"QFI\xfb", "a qcow2 disk image", "it holds no memory: take dump-guest-memory -p FILE"),
    (b"\x04\x22\x4d\x18", "packed by lz4", "unpack it with lz4 -d"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it with 7z x"),
    (b"PK\x03\x04", "a zip archive", "unpack it with unzip"),
)


def foreign(data: Bytes) -> tuple[str, str] | None:
    """What ``data`` is, and what to do about it; None where it is none of these."""
    for magic, name, remedy in _KINDS:
        if data[: len(magic)] == magic:
            return name, remedy
    if data[257:262] == b"ustar":
        return "a tar archive", "unpack it with tar -x, and give a file of it"
    return None
