"""Programs that are run: each in a process group of its own, which ends with the command."""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from layout.host.signals import held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


MOST = 1 << 30
"""Bytes that a program may write to stdout or stderr, if nothing else is said."""


@contextlib.contextmanager
def child(words: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program with its own process group, all of which is killed at the end of the block.

    ``options`` are those of subprocess.Popen. Raises OSError if it can't be started.
    """
    process: subprocess.Popen[bytes] | None = None
    try:
        with held():  # between its start and here nothing would end it
            process = subprocess.Popen(words, start_new_session=True, **options)  # noqa: S603
        yield process
    finally:
        if process is not None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    kill_group(process)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


class Heard(NamedTuple):
    """What a program printed, and why it had to be stopped, if it had."""

    out: bytes
    err: bytes
    stopped: str


class Completed(subprocess.CompletedProcess[bytes]):
    """As that of subprocess; ``stopped`` says why the program had to be stopped, if it had."""

    stopped = ""


def listen(
    process: subprocess.Popen[bytes], most: int, late: Callable[[], str], every: float = 0.1
) -> Heard:
    """Take what a program writes to its pipes until it ends, at most ``most`` bytes of each.

    ``late`` is asked ``every`` so many seconds whether it has to stop: why, or nothing. The rest
    of its process group is killed then, or when it has ended.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    taken = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    stopped = ""
    with selectors.DefaultSelector() as selector:
        for number in taken:
            os.set_blocking(number, False)
            selector.register(number, selectors.EVENT_READ)
        while process.poll() is None and not stopped:
            if not selector.get_map():  # it has closed both, and goes on
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(every)
            for key, _ in selector.select(every if selector.get_map() else 0):
                if not _take(key.fd, taken[key.fd], most):
                    selector.unregister(key.fd)
            stopped = _too_much(taken, process, most) or late()
    kill_group(process)
    for number, data in taken.items():  # what it had written last
        while len(data) <= most and _take(number, data, most):
            pass
    out, err = (bytes(data[:most]) for data in taken.values())
    return Heard(out, err, stopped or _too_much(taken, process, most))


def _take(number: int, data: bytearray, most: int) -> bool:
    """Take what there is, a byte more than allowed at most; whether there may be more."""
    try:
        piece = os.read(number, min(1 << 16, most + 1 - len(data)))
    except BlockingIOError:
        return False
    data += piece
    return bool(piece)


def _too_much(taken: dict[int, bytearray], process: subprocess.Popen[bytes], most: int) -> str:
    for number, data in taken.items():
        if len(data) > most:
            errors = process.stderr is not None and number == process.stderr.fileno()
            return f"printed more than {most >> 20} MiB{' on stderr' if errors else ''}"
    return ""


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and all of its group that is left, and wait for its end."""
    # the group lives on while one of its processes does, the first or not
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(
    words: Sequence[str],
    *,
    given: bytes = b"",
    most: int | None = None,
    idle: float = math.inf,
    **options: Any,
) -> Completed:
    """Run a program to its end; ``given`` is its stdin. Raises OSError.

    What it has started is killed when it has ended. It is stopped once it has written ``most``
    bytes (MOST) to stdout or stderr, of which so many are kept, and once it has neither written
    nor used the processor for ``idle`` seconds.
    """
    pipe = subprocess.PIPE
    with contextlib.ExitStack() as files:
        stdin: Any = subprocess.DEVNULL
        if given:
            stdin = files.enter_context(tempfile.TemporaryFile())
            stdin.write(given)
            stdin.seek(0)
        streams = {"stdin": stdin, "stdout": pipe, "stderr": pipe}
        process = files.enter_context(child(words, **streams, **options))
        heard = listen(process, MOST if most is None else most, _Waits(process.pid, idle).late)
    done = Completed(list(words), process.returncode, heard.out, heard.err)
    done.stopped = heard.stopped
    return done


class _Waits:
    """Whether a program does nothing."""

    def __init__(self, number: int, most: float) -> None:
        self._number, self._most = number, most
        self._spent, self._since = "", time.monotonic()

    def late(self) -> str:
        now = time.monotonic()
        if now < self._since + self._most:
            return ""
        spent = _spent(self._number)
        if spent != self._spent:
            self._spent, self._since = spent, now
            return ""
        return f"did nothing for {self._most:g} s"


def _spent(number: int) -> str:
    """The processor time of a program so far, and of its children that have ended."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(errors="replace")
    except OSError:
        return str(time.monotonic())  # there is no telling
    return " ".join(text.rpartition(")")[2].split()[11:15])
