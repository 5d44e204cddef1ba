"""Bytes in the format of ``hexdump -C``, with their virtual addresses.

>>> for line in hexdump(0x1000, bytes(range(60, 80)), digits=8):
...     print(plain(line))
00001000  3c 3d 3e 3f 40 41 42 43  44 45 46 47 48 49 4a 4b  |<=>?@ABCDEFGHIJK|
00001010  4c 4d 4e 4f                                       |LMNO|
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.show.text import ADDRESS, UNUSED, Line, Span, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 16
"""How many bytes a line shows."""

_HALF = WIDTH // 2
_PRINTABLE = range(0x20, 0x7F)


def hexdump(address: int, data: bytes, *, digits: int = 16) -> Iterator[Line]:
    """One line for each 16 bytes, none left out; addresses have ``digits`` hex digits."""
    for at in range(0, len(data), WIDTH):
        row = data[at : at + WIDTH]
        halves = f"{row[:_HALF].hex(' '):<23}  {row[_HALF:].hex(' '):<23}"
        text = "".join(chr(byte) if byte in _PRINTABLE else "." for byte in row)
        style = "" if any(row) else UNUSED
        yield (
            Span(f"{address + at:0{digits}x}", ADDRESS),
            Span(f"  {halves}  |{text}|", style),
        )


__all__ = ["WIDTH", "hexdump", "plain"]
