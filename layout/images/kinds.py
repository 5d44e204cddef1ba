"""Files of any kind: the content determines the kind, not the name."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Literal

from layout.images.foreign import FLATTENED, KDUMP, foreign
from layout.images.pastelines import paste_format
from layout.memory.errors import InputError, UsageError

if TYPE_CHECKING:
    from layout.images.packed import Bytes

Kind = Literal["trace", "capture", "core", "dump", "raw", "paste", "memory", "kdump"]
"""raw is JSON beside a file of memory, memory such a file by itself, paste a text of it."""

_ELF_FIRST = b"\x7f"  # a core cut to one byte is still told for what it is
_BOM = b"\xef\xbb\xbf"
_HEAD = 1 << 20
"""So many bytes are looked at; an image may be larger than memory."""

_TEXT = 1 << 26
"""So many bytes of a text are looked through."""

_TRANSCRIPT = re.compile(rb'\s*\{\s*"n"\s*:\s*\d+\s*,\s*"op"\s*:')
_RAW_KEYS = re.compile(rb'"segments"\s*:')
_CAPTURE_KEYS = re.compile(rb'"(mm_mt|mtree|offsets|kernel)"\s*:')
_DUMP_KEYS = re.compile(rb'"(root|flags|nodes)"\s*:')
_ADDRESS = re.compile(r"(0[xX])?([0-9a-fA-F]{1,16})")


def kind_of(data: Bytes, source: str = "input", *, binary: bool = False) -> Kind:
    """What ``data`` is, by its content; with ``binary`` anything may be raw memory.

    Raises InputError where it is nothing known, or known and not read here.
    """
    if not len(data):
        message = f"{source} is empty: give a trace, a capture, an ELF core or a dump"
        raise InputError(message)
    head = bytes(data[:_HEAD])
    if head.startswith(_ELF_FIRST):
        return "core"
    other = foreign(head)
    if other:
        if head.startswith((*KDUMP, FLATTENED)):
            return "kdump"
        message = f"{source} is {other[0]}: {other[1]}"
        raise InputError(message)
    text = head.removeprefix(_BOM)
    if text.lstrip(b" \t\r\n")[:1] == b"{":
        return _kind_of_json(data, source)
    if not _is_text(head):
        if binary:
            return "memory"
        message = (
            f"{source} is none of trace, JSON capture, ELF core, JSON dump and text of memory, "
            "packed by xz, gzip, zstd or not: give one of these, or, if it is raw memory, --arch "
            "and --base"
        )
        raise InputError(message)
    if len(data) > len(head):  # a log may show memory further down
        head = bytes(data[:_TEXT])
    return "paste" if paste_format(head.decode(errors="replace")) else "trace"


def _is_text(head: bytes) -> bool:
    """Whether bytes are UTF-8 text, the last character perhaps cut off."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < _HEAD)
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def _kind_of_json(text: Bytes, source: str) -> Kind:
    # searched, not parsed: a file that is cut short is still told for what it is
    if _TRANSCRIPT.match(bytes(text[:_HEAD]).removeprefix(_BOM)):
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
        message = f"{option} {text!r} is no address: give up to 16 hex digits"
        raise UsageError(message)
    return int(match[2], 16)
