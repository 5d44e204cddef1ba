"""The bytes of files, packed by xz, gzip, bzip2, zstd or not, without reading what nobody looks at.

A file that is not packed is mapped. One that is packed is unpacked once: a small one into
memory, a large one into a temporary file with holes where it is zero, which is then mapped.
"""

from __future__ import annotations

import bz2
import contextlib
import itertools
import lzma
import mmap
import os
import sys
import tempfile
import weakref
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from layout.host.files import named, settle
from layout.host.progress import Progress
from layout.memory.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO, NoReturn

LIMIT = 1 << 30
"""The most bytes that a file may have, packed or unpacked, that is read whole: a text."""

UNPACKED_LIMIT = 1 << 33
"""The most bytes that an image may have after it was unpacked."""

IN_MEMORY = 1 << 26
"""From so many bytes on what is unpacked goes to a temporary file."""

TEXT_FREE, TEXT_RATIO = 1 << 24, 100
"""Text may unpack to so many bytes, or so many times its packed size, whichever is more."""

_CHUNK = 1 << 20
_PAGE = 1 << 16
"""The hole to look for in what is unpacked, in bytes."""
_XZ_MEMORY = 1 << 28
"""What the xz decoder may use, in bytes; xz -9 asks for 65 MiB."""

XZ, GZIP, BZIP2, ZSTD = b"\xfd7zXZ\0", b"\x1f\x8b\x08", b"BZh", b"\x28\xb5\x2f\xfd"
_NAMES = {XZ: "xz", GZIP: "gzip", BZIP2: "bzip2", ZSTD: "zstd"}

Bytes = bytes | memoryview
"""Bytes to look at; a memoryview keeps the file behind it mapped."""


class MappedFile(mmap.mmap):
    """A file mapped for reading; ``descriptor`` is open as long as it is."""

    descriptor: int


def _mapped(number: int) -> memoryview:
    """The file with this descriptor, mapped. Raises OSError, ValueError."""
    mapped = MappedFile(number, 0, access=mmap.ACCESS_READ)
    mapped.descriptor = os.dup(number)
    weakref.finalize(mapped, os.close, mapped.descriptor)
    return memoryview(mapped)


def as_file(data: Bytes, source: str) -> int:
    """A descriptor of a file with these bytes, for libraries that want one. Raises InputError."""
    mapped = data.obj if isinstance(data, memoryview) else None
    if isinstance(mapped, MappedFile) and len(data) == len(mapped):
        return os.dup(mapped.descriptor)
    with temporary(source, "for a copy"), tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return os.dup(file.fileno())


class _Decoder(Protocol):
    """What the decoders of lzma, bz2 and compression.zstd have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's decoder with the interface of the others."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)
        self._hungry = True

    @property
    def needs_input(self) -> bool:
        """Whether nothing comes without more data."""
        return self._hungry

    @property
    def eof(self) -> bool:
        """Whether the member is at its end."""
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        """What came behind the member."""
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Up to ``max_length`` bytes."""
        found = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self._hungry = not self._zlib.unconsumed_tail and len(found) < max_length
        return found


def read_bytes(path: str) -> bytes:
    """All bytes of a file, unpacked; ``-`` is stdin.

    Raises OSError; InputError for packed data that is cut short or damaged, and for more than
    LIMIT bytes.
    """
    data, source = open_bytes(path, limit=LIMIT)
    return whole(data, source)


def whole(data: Bytes, source: str) -> bytes:
    """All of ``data``, for what is read whole. Raises InputError for more than LIMIT bytes."""
    if len(data) > LIMIT:
        _too_large(source, LIMIT)
    return bytes(data)


def open_bytes(path: str, *, limit: int | None = None) -> tuple[Bytes, str]:
    """The bytes of a file, unpacked, and what to call it; ``-`` is stdin.

    ``limit`` is how many there may be after unpacking, UNPACKED_LIMIT if None. Raises OSError,
    and InputError for packed data that is cut short, damaged or too large.
    """
    limit = UNPACKED_LIMIT if limit is None else limit
    if path == "-":
        with named("stdin"):
            return _open(sys.stdin.buffer, "stdin", limit), "stdin"
    settle(path)
    with named(path), Path(path).open("rb") as file:
        return _open(file, path, limit), path


def _open(file: BinaryIO, source: str, limit: int) -> Bytes:
    data = _map(file)
    if data is not None:
        magic = packing(data)
        if magic is None:
            return data
        return _unpack(magic, b"", file, source, limit)
    head = file.read(len(XZ))
    magic = packing(head)
    if magic is not None:
        return _unpack(magic, head, file, source, limit)
    out = _Output(source, limit)
    out.write(head)
    while chunk := file.read(_CHUNK):
        out.write(chunk)
    return out.finish()


def packing(data: Bytes) -> bytes | None:
    """The magic of the format that ``data`` is packed by, None if it is not packed."""
    return next((magic for magic in _NAMES if data[: len(magic)] == magic), None)


def _map(file: BinaryIO) -> memoryview | None:
    """The file mapped, None where it is no file that can be."""
    try:
        number = file.fileno()
        if not os.fstat(number).st_size or file.tell():
            return None
        return _mapped(number)
    except (OSError, ValueError):  # a pipe, a terminal, a stream in memory
        return None


def _too_large(source: str, limit: int) -> NoReturn:
    message = f"{source}: more than {limit >> 20} MiB: cut out what the tree needs"
    raise InputError(message)


@contextlib.contextmanager
def temporary(source: str, what: str = "once it is unpacked") -> Iterator[None]:
    """Work on the temporary file for ``source``. An error is about that, not about ``source``."""
    try:
        yield
    except OSError as error:
        folder = tempfile.gettempdir() if tempfile.tempdir else "the temporary directory"
        message = (
            f"{source} has no room in {folder} {what} ({error.strerror or error}): "
            "set TMPDIR to a place with more"
        )
        raise InputError(message) from None


class _Output:
    """Collects bytes: in memory while they are few, then in a temporary file with holes."""

    def __init__(self, source: str, limit: int) -> None:
        self._source, self._limit = source, limit
        self._data = bytearray()
        self._file: BinaryIO | None = None
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append ``data``. Raises InputError beyond the limit, OSError from the disk."""
        self.size += len(data)
        if self.size > self._limit:
            _too_large(self._source, self._limit)
        if self._file is None:
            self._data += data
            if len(self._data) <= IN_MEMORY:
                return
            with temporary(self._source):
                self._file = cast("BinaryIO", tempfile.TemporaryFile("w+b"))  # noqa: SIM115
            data, self._data = bytes(self._data), bytearray()
        with temporary(self._source):
            for at in range(0, len(data), _PAGE):
                piece = data[at : at + _PAGE]
                if piece.count(0) == len(piece):
                    self._file.seek(len(piece), os.SEEK_CUR)
                else:
                    self._file.write(piece)

    def finish(self) -> Bytes:
        """All that was written."""
        if self._file is None:
            return bytes(self._data)
        with self._file as file, temporary(self._source):
            file.truncate(self.size)
            file.flush()
            return _mapped(file.fileno())


class _Packing(NamedTuple):
    """What makes a decoder of a format, and what it raises on damaged data."""

    decoder: Callable[[], _Decoder]
    error: type[Exception]


def _xz() -> _Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _packing(magic: bytes, source: str) -> _Packing:
    """The format with this magic. Raises InputError where a library is missing."""
    if magic == XZ:
        return _Packing(_xz, lzma.LZMAError)
    if magic == GZIP:
        return _Packing(_Gzip, zlib.error)
    if magic == BZIP2:
        return _Packing(bz2.BZ2Decompressor, OSError)
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415 - only what is needed
        else:
            from backports import zstd  # noqa: PLC0415 - an optional extra
    except ImportError:
        message = (
            f"{source} is packed by zstd, which this Python cannot unpack: "
            "pip install 'maple-layout[zstd]', or unpack it with zstd -d"
        )
        raise InputError(message) from None
    return _Packing(zstd.ZstdDecompressor, zstd.ZstdError)


def _unpack(magic: bytes, head: bytes, file: BinaryIO, source: str, limit: int) -> Bytes:
    """The file unpacked, never more than ``limit`` bytes in all."""
    out = _Output(source, limit)
    packed = itertools.chain([head] if head else [], _pieces(file))
    with Progress(f"unpacking {source}") as progress:
        for piece in unpacked(magic, packed, source):
            out.write(piece)
            progress.at(out.size)
    return out.finish()


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_CHUNK):
        yield piece


def unpacked(magic: bytes, pieces: Iterator[bytes], source: str) -> Iterator[bytes]:
    """Unpack one stream after another; pieces come and go, about a MiB each.

    Raises InputError for data that is cut short or damaged, and for text that is much larger
    than its packed size: it says nothing, and reading it would take long.
    """
    make, damage = _packing(magic, source)
    name = _NAMES[magic]
    sizes = _Sizes(source)
    pieces = sizes.taken(pieces)
    packed = next(pieces, b"")
    try:
        while packed:
            stream = make()
            while not stream.eof:
                if stream.needs_input and not packed:
                    packed = next(pieces, b"")
                    if not packed:
                        message = f"{source}: the {name} data is cut short: fetch the file again"
                        raise InputError(message)
                found = stream.decompress(packed, _CHUNK)
                packed = b""
                sizes.found(found)
                yield found
            packed = (stream.unused_data or next(pieces, b"")).lstrip(b"\0")
    except damage as error:
        message = f"{source}: the {name} data is damaged ({error}): fetch the file again"
        raise InputError(message) from None


class _Sizes:
    """How much was unpacked of how much, and whether it is text."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._packed = self._unpacked = 0
        self._text = True

    def taken(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The packed pieces, counted."""
        for piece in pieces:
            self._packed += len(piece)
            yield piece

    def found(self, piece: bytes) -> None:
        """Count an unpacked piece. Raises InputError."""
        self._unpacked += len(piece)
        self._text = self._text and b"\0" not in piece
        if self._text and self._unpacked > max(TEXT_FREE, TEXT_RATIO * self._packed):
            message = (
                f"{self._source}: {self._packed} bytes that unpack to more than "
                f"{self._unpacked >> 20} MiB of text: unpack it first if you trust it"
            )
            raise InputError(message)


def first_unpacked(head: bytes) -> bytes:
    """What a file's first bytes say, unpacked as far as they go; nothing if they are damaged."""
    magic = packing(head)
    if magic is None:
        return head
    try:
        make, damage = _packing(magic, "")
        try:
            return make().decompress(head, len(head))
        except damage:
            return b""
    except InputError:  # zstd is not there: whoever reads the file says so
        return b""
