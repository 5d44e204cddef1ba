"""The address of a moment and a byte in an explorer's page: the part behind #."""

from __future__ import annotations

from urllib.parse import quote

from layout.memory.memory import CELL


def fragment(line: int, machine: str, address: int | None = None) -> str:
    """The fragment of the moment after a line of the trace on a run, by its name.

    ``address`` is that of a byte.

    >>> fragment(12, "s390x with R1", 0x10000000F8)
    '#line=12&byte=1000000000+248&machine=s390x%20with%20R1'
    """
    byte = ""
    if address is not None:
        offset = address % CELL
        byte = f"&byte={address - offset:x}+{offset}"
    return f"#line={line}{byte}&machine={quote(machine)}"
