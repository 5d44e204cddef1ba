"""The text of a trace, block by block: a trace of any length needs no more memory than a block.

A trace may say where it ends, so that one that was cut off is not taken for a shorter one: its
first line is then BEGIN, and a line that end_line() gives comes last. Both are comments. Whoever
reads such a trace comes upon an error where the end is missing, or stands in another line.
"""

from __future__ import annotations

import itertools
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from layout.host.files import named, settle
from layout.images.kinds import kind_of
from layout.images.packed import LIMIT, first_unpacked, packing, unpacked
from layout.memory.errors import InputError, TraceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

BEGIN = "#: begin: the trace is whole if its last line starts with '#: end'"
_BEGIN, _MARK = b"#: begin", b"#: "
_END = re.compile(rb"#: end at line (\d{1,18})\r?(?:\n|$)")

_PIECE = 1 << 20
"""Bytes that are read or unpacked at a time."""

_HEAD = 1 << 16
"""Bytes that have to be text for the rest to be taken for a trace."""

_AHEAD = 1 << 25
"""Bytes of stdin that are kept to be read twice."""

_MAGIC = 6
"""Bytes that tell how a file is packed."""


def end_line(number: int) -> str:
    """The last line of a trace that says where it ends; it is line ``number``, from 1."""
    return f"#: end at line {number}"


class TraceText:
    """The text of a trace. ``source`` is what messages call it."""

    def __init__(self, data: bytes, source: str = "") -> None:
        self.source = source
        self.head = data[:_HEAD]
        self._kept: list[bytes] = [data]
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._lines = 1

    @classmethod
    def open(cls, path: str) -> TraceText | None:
        """The trace in a file, packed or not; ``-`` is stdin.

        None for what is no trace by its beginning, and then nothing of it was read. Raises
        OSError.
        """
        text = cls(b"", "stdin" if path == "-" else path)
        text._kept = []
        if path == "-":
            file: BinaryIO = sys.stdin.buffer
            if not hasattr(file, "peek"):
                return None
            with named(text.source):
                text.head = file.peek(_HEAD)[:_HEAD]
            if not _is_trace(text.head, text.source):
                return None
            text._file = file
            return text
        settle(path)
        place = Path(path)
        if not stat.S_ISREG(place.stat().st_mode):
            return None
        with named(path), place.open("rb") as file:
            text.head = file.read(_HEAD)
        if not _is_trace(text.head, text.source):
            return None
        text._path = place
        return text

    def read_ahead(self) -> bool:
        """Whether blocks() can be called again after it was, or before it is: see to it."""
        if self._file is None:
            return True
        size = sum(map(len, self._kept))
        while size < _AHEAD:
            with named(self.source):
                piece = self._file.read(_PIECE)
            if not piece:
                self._file = None
                return True
            self._kept.append(piece)
            size += len(piece)
        return False

    def blocks(self) -> Iterator[bytes]:
        """Whole lines, about a MiB of them at a time.

        Raises OSError, InputError; TraceError for what is no text, and where a trace that says
        where it ends does not end there.
        """
        n, open_ = 0, False
        for block in _whole_lines(self._pieces()):
            try:
                block.decode()
            except UnicodeDecodeError as error:
                line = n + block.count(b"\n", 0, error.start) + 1
                raise TraceError(line, "not text: this is no trace", self.source) from None
            at = block.find(_MARK)
            while at >= 0:
                if not at or block[at - 1] == ord("\n"):
                    open_ = self._marked(block, at, n, open_=open_)
                at = block.find(_MARK, at + 1)
            yield block
            n += block.count(b"\n")
            self._lines = n + 1
        if open_:
            why = "the trace is cut off here, its last line '#: end at line ...' is missing"
            raise TraceError(n, f"{why}: record it again, or fetch it again", self.source)

    def _marked(self, block: bytes, at: int, n: int, *, open_: bool) -> bool:
        """Whether the trace has to go on after a line with a mark."""
        if block.startswith(_BEGIN, at):
            return True
        end = _END.match(block, at)
        if end is None:
            return open_
        here = n + block.count(b"\n", 0, at) + 1
        if int(end[1]) != here:
            why = f"'{end_line(int(end[1]))}' stands here, lines came or went"
            advice = "fetch the trace again, or take this line out if you changed it"
            raise TraceError(here, f"{why}: {advice}", self.source)
        return False

    def count(self) -> int:
        """How many lines there are, the one after the last newline included."""
        if self.read_ahead():
            for _ in self.blocks():
                pass
        return self._lines

    def lines(self) -> Iterator[str]:
        """The lines, without their ends. Raises what blocks() raises."""
        for block in self.blocks():
            yield from block.removesuffix(b"\n").decode().split("\n")

    def _pieces(self) -> Iterator[bytes]:
        if self._path is not None:
            with named(self.source), self._path.open("rb") as file:
                yield from _unpacked(_read(file), self.source)
        else:
            yield from _unpacked(self._read_kept(), self.source)

    def _read_kept(self) -> Iterator[bytes]:
        yield from self._kept
        if self._file is not None:
            self._kept = []
            with named(self.source):
                yield from _read(self._file)


def _is_trace(head: bytes, source: str) -> bool:
    """Whether a file with these first bytes, packed or not, may be a trace."""
    text = first_unpacked(head)
    whole = text[: text.rfind(b"\n") + 1] or text  # a character may be cut in two
    try:
        return kind_of(whole, source) == "trace"
    except InputError:
        return False


def _read(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        cut = piece.rfind(b"\n") + 1
        if not cut and len(rest) + len(piece) <= _PIECE:
            rest += piece
            continue
        yield rest + piece[:cut] if cut else rest + piece  # or a line that is too long anyway
        rest = piece[cut:] if cut else b""
    if rest:
        yield rest


def _unpacked(pieces: Iterator[bytes], source: str) -> Iterator[bytes]:
    """Pieces as they are, or unpacked, if they are packed; never more than LIMIT of these."""
    first = b""
    while len(first) < _MAGIC and (piece := next(pieces, b"")):
        first += piece
    both = itertools.chain([first], pieces)
    magic = packing(first)
    return both if magic is None else _limited(unpacked(magic, both, source), source)


def _limited(pieces: Iterator[bytes], source: str) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > LIMIT:
            message = f"{source}: more than {LIMIT >> 20} MiB in a packed trace: unpack it first"
            raise InputError(message)
        yield piece
