"""Programs of the harness that stay: each carries out many traces, one after the other.

To start a program takes as long as hundreds of operations, under qemu most of all: it translates
the kernel's code anew each time.
"""

from __future__ import annotations

import os
import select
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from layout.host import children
from layout.memory.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

_STAY = "stay"
_PIECE = 1 << 16
_LOOKS = 1000
"""Milliseconds without output after which a program is looked at, whether it is there."""


class _Standing(NamedTuple):
    process: subprocess.Popen[bytes]
    block: AbstractContextManager[Any]


class Programs:
    """The programs that one process has started, by their command; they end with the block.

    A program that ended in a trace, or was left in the middle of one, is started anew.
    """

    def __init__(self) -> None:
        self._standing: dict[tuple[str, ...], _Standing] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all programs."""
        for words in list(self._standing):
            self._end(words)

    def run(
        self, command: Sequence[str], given: bytes, env: Mapping[str, str]
    ) -> children.Completed:
        """Have a trace carried out; as children.run() for a program that ends. Raises OSError."""
        words = (*command, _STAY)
        standing = self._standing.get(words)
        if standing is None:
            pipe = subprocess.PIPE
            block = children.child(words, stdin=pipe, stdout=pipe, stderr=pipe, env=env)
            standing = self._standing[words] = _Standing(block.__enter__(), block)
            for stream in (
                standing.process.stdin,
                standing.process.stdout,
                standing.process.stderr,
            ):
                assert stream is not None
                os.set_blocking(stream.fileno(), False)
        try:
            out, err, ended = _exchange(standing.process, given + b"\n")
            code = standing.process.wait() if ended else 0
        except BaseException:  # an alarm's too: what it would answer next is this trace's rest
            self._end(words)
            raise
        if ended:
            self._end(words)
        return children.Completed(words, code, out, err)

    def _end(self, words: tuple[str, ...]) -> None:
        self._standing.pop(words).block.__exit__(None, None, None)


def _streams(process: subprocess.Popen[bytes]) -> list[int]:
    streams = process.stdin, process.stdout, process.stderr
    return [stream.fileno() for stream in streams if stream is not None]


def _exchange(process: subprocess.Popen[bytes], given: bytes) -> tuple[bytes, bytes, bool]:
    """Write a trace, and read up to the empty line behind its transcript, or to the program's end.

    Returns the transcript, what came on stderr, and whether the program has ended.
    """
    stdin, stdout, stderr = _streams(process)
    out, err = bytearray(), bytearray()
    poll = select.poll()
    poll.register(stdin, select.POLLOUT)
    poll.register(stdout, select.POLLIN)
    poll.register(stderr, select.POLLIN)
    left = memoryview(given)
    while True:
        ready = poll.poll(_LOOKS)
        if not ready and process.poll() is not None:  # a child of it holds the pipes
            return bytes(out), bytes(err), True
        for number, _ in ready:
            if number == stdin:
                left = left[_written(stdin, left) :]
                if not left:
                    poll.unregister(stdin)
                continue
            piece = _read(number)
            if piece is None:
                continue
            if piece:
                _keep(out if number == stdout else err, piece, process)
            elif number == stdout:
                return bytes(out), bytes(err) + _rest(stderr), True
            else:
                poll.unregister(stderr)
        if not left and (out == b"\n" or out.endswith(b"\n\n")):
            return bytes(out[:-1]), bytes(err), False


def _keep(data: bytearray, piece: bytes, process: subprocess.Popen[bytes]) -> None:
    """Add what was read. Raises InputError if that is too much."""
    data += piece
    if len(data) > children.MOST:
        words = " ".join(map(str, cast("Sequence[object]", process.args)))
        raise InputError(f"{words} printed more than {children.MOST >> 20} MiB")


def _written(number: int, data: memoryview) -> int:
    """How much a pipe took; all where nobody reads it any more."""
    try:
        return os.write(number, data[:_PIECE])
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(data)


def _rest(number: int) -> bytes:
    """What is left in a pipe whose writer is ending."""
    os.set_blocking(number, True)
    return b"".join(iter(lambda: os.read(number, _PIECE), b""))


def _read(number: int) -> bytes | None:
    """What is in a pipe, b"" at its end, None where there is nothing yet."""
    try:
        return os.read(number, _PIECE)
    except BlockingIOError:
        return None
