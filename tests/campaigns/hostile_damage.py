"""How inputs are damaged: bytes, the fields of headers, the values of JSON, the words of lines.

Some stay whole: what happens to output files is seen best where a command succeeds elsewhere.
"""

from __future__ import annotations

import json
import struct

TOP = (1 << 64) - 1
EDGES = (
    *(0, 1, 2, 3, 4, 7, 8, 0xF, 0x10, 0x1F, 0x40, 0x7F, 0x80, 0xFF, 0x100, 0x1000, 0x3001, 0x7FFF),
    *(0xFFFF, 0x10000, 1 << 31, (1 << 31) - 1, (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 62),
    *((1 << 63) - 1, 1 << 63, TOP - 0xFFF, TOP - 7, TOP - 1, TOP),
)
LONG = "9" * 5000
WHOLE = 0.25
"""How many inputs stay as they are."""

_PIECES = (
    *(b"\0", b'"', b"9" * 5000, b'{"a":', b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"\n" * 50),
    *(b"[" * 3000, b"{" * 3000, b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\x1b[2J", b"\x85", b"\t"),
    *(b"1e999", b"-1", b"NaN", b"0x", b"ffffffffffffffff", b"#: end at line 3\n", b"#: begin\n"),
)
"""What is put into bytes."""


def number(r):
    """A number, more often one that is near a border."""
    kind = r.random()
    if kind < 0.4:
        return r.randrange(1 << r.choice((4, 8, 12, 20)))
    if kind < 0.6:
        return TOP - r.randrange(1 << r.choice((2, 8, 40)))
    return r.choice(EDGES) if kind < 0.95 else r.randrange(1 << 64)


def damaged(r, data):
    """Bytes changed, cut, doubled, moved or put in."""
    if r.random() < WHOLE:
        return data
    new = bytearray(data)
    if r.random() < 0.02:  # what takes time by the square of its length
        at = r.randrange(len(new) + 1)
        unit = bytes(new[at : at + r.choice((1, 2, 4, 8, 40))]) or b"x"
        new[at:at] = unit * (r.choice((1 << 12, 1 << 17, 1 << 19)) // len(unit))
    for _ in range(r.choice((1, 1, 2, 8))):
        at = r.randrange(len(new) + 1)
        how = r.random()
        if how < 0.45 and at < len(new):
            new[at] = r.choice(
                (0, 0xFF, 0x22, 0x5B, r.randrange(256), new[at] ^ 1 << r.randrange(8))
            )
        elif how < 0.55:
            del new[at:]
        elif how < 0.7:
            del new[at : at + r.choice((1, 4, 100))]
        elif how < 0.8:
            new[at:at] = new[at : at + r.choice((1, 16, 300))] * r.choice((1, 2, 50))
        else:
            new[at:at] = r.choice(_PIECES)
    return bytes(new)


def fields(r, data, head=256):
    """Numbers in a binary file replaced: in its head, at its end or wherever."""
    if r.random() < WHOLE:
        return data
    new = bytearray(data)
    for _ in range(r.choice((1, 1, 2, 4))):
        width = r.choice((1, 2, 4, 8, 8))
        if len(new) < width:
            break
        where = r.random()
        low, high = (0, min(head, len(new))) if where < 0.6 else (0, len(new))
        if where > 0.85:
            low = max(0, len(new) - 2048)  # section headers
        at = r.randrange(low, max(low + 1, high - width + 1)) // width * width
        old = int.from_bytes(new[at : at + width], "little")
        value = r.choice((number(r), old + 1, old - 1, old << 1, old << 16, len(new), len(new) - 1))
        value &= (1 << 8 * width) - 1
        new[at : at + width] = value.to_bytes(width, r.choice(("little", "big")))
    return bytes(new)


def sections(r, data):
    """A section header of an ELF file with other fields; in a core a program header."""
    if r.random() < WHOLE:
        return data
    if len(data) < 64 or data[:4] != b"\x7fELF":
        return fields(r, data)
    new = bytearray(data)
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    table = struct.unpack_from(order + ("Q" if wide else "I"), data, 40 if wide else 32)[0]
    step, count = struct.unpack_from(f"{order}2H", data, 58 if wide else 46)
    if r.random() < 0.4 or not table:
        table = struct.unpack_from(order + ("Q" if wide else "I"), data, 32 if wide else 28)[0]
        step, count = struct.unpack_from(f"{order}2H", data, 54 if wide else 42)
    width = 8 if wide else 4
    for _ in range(r.choice((1, 1, 2))):
        at = table + step * r.randrange(max(count, 1)) + width * r.randrange(max(step // width, 1))
        if at + width <= len(new):
            old = int.from_bytes(new[at : at + width], "little" if order == "<" else "big")
            value = r.choice((number(r), old ^ 0x800, old + width, len(new), 0))
            value &= (1 << 8 * width) - 1
            new[at : at + width] = value.to_bytes(width, "little" if order == "<" else "big")
    return bytes(new)


_DEEP = "[" * 2000
_TEXTS = ("", "x" * 5000, "\0", "\ud800", "é", "-1", "0x", "g", "\x1b[2J", "ffffffffffffffff", LONG)


def value(r, old):
    """Another value of JSON in the place of one."""
    if isinstance(old, str) and r.random() < 0.4:
        at = r.randrange(len(old) + 1)
        return r.choice(
            (
                old[:at] + old[at + 1 :],
                old[:at] + r.choice("0f\0z") + old[at + 1 :],
                old + old[:at],
                f"{number(r):x}",
            )
        )
    if isinstance(old, int) and r.random() < 0.5:
        return r.choice((number(r), -old, old + 1, old % 10**9 * 1.5))
    return r.choice(
        (
            *(None, True, False, 0, -1, 1.5, 10**400, [], {}, [[]], {"": {}}),
            *_TEXTS,
            number(r),
            [old],
        )
    )


def document(r, text):  # noqa: C901 - one branch for each way
    """A JSON document with other values, keys that are missing, doubled or new."""
    if r.random() < WHOLE:
        return text
    try:
        tree = json.loads(text)
    except ValueError:
        return damaged(r, text)
    for _ in range(r.choice((1, 1, 2, 3))):
        parent, key, node = None, None, tree
        while isinstance(node, (dict, list)) and node and (parent is None or r.random() < 0.8):
            parent = node
            key = r.choice(list(node)) if isinstance(node, dict) else r.randrange(len(node))
            node = parent[key]
        if parent is None:
            break
        how = r.random()
        if how < 0.6:
            parent[key] = value(r, node)
        elif how < 0.75:
            del parent[key]
        elif isinstance(parent, list):
            parent[key:key] = [node] * r.choice((1, 2, 300))
        else:
            parent[r.choice(("segments", "nodes", "root", "flags", "arch", "mm_mt", "", "x\0"))] = (
                node
            )
    new = json.dumps(tree)
    if r.random() < 0.1:
        new = new.replace('": ', f'": {r.choice((_DEEP, "1e999", "-0", "9" * 5000, "nul"))}', 1)
    if r.random() < 0.1:
        new = "{" + new[1:-1] + ", " + new[1:]  # every key twice
    return new.encode()


def lines(r, text, most=60):
    """Some lines of a text, perhaps in another order, damaged."""
    found = text.splitlines(keepends=True) or [b"x"]
    at = r.randrange(len(found))
    first = at if r.random() < 0.5 else 0
    found = found[first : first + most]
    if r.random() < 0.3:
        r.shuffle(found)
    if r.random() < 0.1:
        found = found * r.choice((2, 5))
    whole = b"".join(found) or b"x"
    return damaged(r, whole)


def words(r, text):
    """Single words of a text replaced by numbers and by words from elsewhere in it."""
    if r.random() < WHOLE:
        return text
    found = text.split(b" ")
    for _ in range(r.choice((1, 2, 5))):
        at = r.randrange(len(found))
        found[at] = r.choice((f"{number(r):x}".encode(), b"", r.choice(found), LONG.encode(), b"-"))
    return b" ".join(found)
