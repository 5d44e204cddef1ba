"""/proc/PID/maps: the VMAs of a process as the kernel lists them."""

from __future__ import annotations

import re
from typing import NamedTuple

from layout.memory.errors import TraceError
from layout.mm.vm_flags import VM_EXEC, VM_MAYSHARE, VM_READ, VM_SHARED, VM_WRITE

_LINE = re.compile(
    r"(?P<start>[0-9a-f]{1,16})-(?P<end>[0-9a-f]{1,16}) (?P<perms>[r-][w-][x-][ps]) "
    r"(?P<offset>[0-9a-f]+) (?P<device>[0-9a-f]+:[0-9a-f]+) (?P<inode>\d+)\s*(?P<name>.*)"
)
_DETAIL = re.compile(r"\w+:")


class Mapping(NamedTuple):
    """One line: bytes [start, end), permissions as in "rw-p", file offset in bytes, and name."""

    start: int
    end: int
    perms: str
    offset: int
    name: str

    @property
    def vm_flags(self) -> int:
        """The permissions as VMA flags."""
        bits = (VM_READ, VM_WRITE, VM_EXEC)
        found = sum(bit for bit, char in zip(bits, self.perms, strict=False) if char != "-")
        return found | (VM_SHARED | VM_MAYSHARE if self.perms[3] == "s" else 0)


def parse(text: str, source: str) -> list[Mapping]:
    """The mappings of a maps file, or of smaps, but for [vsyscall], which is no VMA.

    Raises TraceError (an InputError) that names the first line that can't be understood.
    """
    found: list[Mapping] = []
    for n, line in enumerate(text.split("\n"), 1):
        if not line.strip() or _DETAIL.match(line):  # smaps has lines like "Rss: 4 kB"
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            raise TraceError(n, "this is no line of /proc/PID/maps", source)
        start, end, offset = (int(match[part], 16) for part in ("start", "end", "offset"))
        mapping = Mapping(start, end, match["perms"], offset, match["name"].strip())
        if mapping.start >= mapping.end or (found and mapping.start < found[-1].end):
            raise TraceError(n, "its range is empty or overlaps the one before", source)
        if mapping.name != "[vsyscall]":
            found.append(mapping)
    if not found:
        raise TraceError(1, "no mappings: give a copy of /proc/PID/maps", source)
    return found


def perms_of(vm_flags: int) -> str:
    """VMA flags as /proc/PID/maps prints them.

    >>> perms_of(0x73)
    'rw-p'
    """
    return "".join(
        (
            "r" if vm_flags & VM_READ else "-",
            "w" if vm_flags & VM_WRITE else "-",
            "x" if vm_flags & VM_EXEC else "-",
            "s" if vm_flags & VM_MAYSHARE else "p",
        )
    )
