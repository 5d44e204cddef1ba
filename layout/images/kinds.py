"""Files of any kind: the content determines the kind, not the name."""

from __future__ import annotations

import lzma
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from layout.host.files import settle
from layout.memory.errors import InputError, UsageError

if TYPE_CHECKING:
    from typing import BinaryIO


Kind = Literal["trace", "capture", "core", "dump", "raw"]

LIMIT = 1 << 30
"""The most bytes that an input may have, packed or unpacked."""

_CHUNK = 1 << 20
_XZ_MAGIC = b"\xfd7zXZ\0"
_XZ_MEMORY = 1 << 28
"""What the xz decoder may use, in bytes; xz -9 asks for 65 MiB."""
_ELF_FIRST = b"\x7f"  # a core cut to one byte is still told for what it is
_BOM = b"\xef\xbb\xbf"

_TRANSCRIPT = re.compile(rb'\s*\{\s*"n"\s*:\s*\d+\s*,\s*"op"\s*:')
_RAW_KEYS = re.compile(rb'"segments"\s*:')
_CAPTURE_KEYS = re.compile(rb'"(mm_mt|mtree|offsets|kernel)"\s*:')
_DUMP_KEYS = re.compile(rb'"(root|flags|nodes)"\s*:')
_ADDRESS = re.compile(r"(0[xX])?([0-9a-fA-F]{1,16})")


def read_bytes(path: str) -> bytes:
    """The bytes of a file, unpacked if they are xz; ``-`` is stdin.

    Raises OSError; InputError for xz data that is cut short or damaged, and for more than
    LIMIT bytes.
    """
    if path == "-":
        return _read(sys.stdin.buffer, "stdin")
    settle(path)
    with Path(path).open("rb") as file:
        return _read(file, path)


def _read(file: BinaryIO, source: str) -> bytes:
    head = file.read(len(_XZ_MAGIC))
    if head == _XZ_MAGIC:
        return _unpack(head, file, source)
    data = bytearray(head)
    while chunk := file.read(_CHUNK):
        data += chunk
        _check_size(len(data), source)
    return bytes(data)


def _check_size(size: int, source: str) -> None:
    if size > LIMIT:
        message = f"{source}: more than {LIMIT >> 20} MiB: cut out what the tree needs"
        raise InputError(message)


def _unpack(head: bytes, file: BinaryIO, source: str) -> bytes:
    """Unpack one xz stream after another, never more than LIMIT bytes in all."""
    data = bytearray()
    packed = head
    try:
        while packed:
            stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
            while not stream.eof:
                if stream.needs_input and not packed:
                    packed = file.read(_CHUNK)
                    if not packed:
                        message = f"{source}: the xz data is cut short: fetch the file again"
                        raise InputError(message)
                data += stream.decompress(packed, _CHUNK)
                packed = b""
                _check_size(len(data), source)
            packed = (stream.unused_data or file.read(_CHUNK)).lstrip(b"\0")
    except lzma.LZMAError as error:
        message = f"{source}: the xz data is damaged ({error}): fetch the file again"
        raise InputError(message) from None
    return bytes(data)


def kind_of(data: bytes, source: str = "input") -> Kind:
    """What ``data`` is, by its content. Raises InputError where it is nothing known."""
    if not data:
        message = f"{source} is empty: give a trace, a capture, an ELF core or a dump"
        raise InputError(message)
    if data.startswith(_ELF_FIRST):
        return "core"
    text = data.removeprefix(_BOM)
    if text.lstrip(b" \t\r\n")[:1] == b"{":
        return _kind_of_json(text, source)
    try:
        data.decode()
    except UnicodeDecodeError:
        known = False
    else:
        known = b"\0" not in data
    if not known:
        message = (
            f"{source} is none of trace, JSON capture, ELF core and JSON dump, packed by xz or "
            "not: give one of these"
        )
        raise InputError(message)
    return "trace"


def _kind_of_json(text: bytes, source: str) -> Kind:
    # searched, not parsed: a file that is cut short is still told for what it is
    if _TRANSCRIPT.match(text):
        message = f"{source} is the transcript of a run: give the trace that it was made from"
        raise InputError(message)
    if _RAW_KEYS.search(text):
        return "raw"
    if _CAPTURE_KEYS.search(text):
        return "capture"
    if _DUMP_KEYS.search(text):
        return "dump"
    message = (
        f"{source}: JSON, but neither a capture (with mm_mt or mtree) nor a dump (with root, "
        "flags and nodes): the file is cut short or of another kind"
    )
    raise InputError(message)


def parse_address(text: str, option: str = "--tree") -> int:
    """An address as the command line has it, hex with or without 0x. Raises UsageError."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        message = f"{option} {text[:40]!r} is no address: give up to 16 hex digits"
        raise UsageError(message)
    return int(match[2], 16)
