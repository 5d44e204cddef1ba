"""What a worker of a cluster does: seeds of a campaign, each thread's in a process of its own.

The oracle travels once, with the two files of each kernel. The worker compiles them, if its cache
does not have the build. So it needs this package and the compilers, but no files of the client's.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import pickle
import socket
import subprocess
import sys
import threading
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from layout.ckernel.attempt import SECONDS_FOR_TRACE, attempt, begin, counted
from layout.ckernel.build import Built, build
from layout.ckernel.source import CODE, HEADER, KernelSource, cache_directory, receive_source
from layout.host import children
from layout.host.version import version
from layout.memory.errors import InputError, MapleLayoutError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layout.ckernel.coverage import Executed
    from layout.ckernel.oracle import Trial, Work

_ENDING = 2
"""Seconds in which a process puts away what it was at."""

_HANGS = SECONDS_FOR_TRACE + 600
"""Seconds after which a process is killed that answers nothing; it may have to compile first."""


class Gone(Exception):  # noqa: N818 - what has happened to a process
    """A worker's process ended in the middle of a seed; another may have more luck."""


# -- the oracle's way to the worker


class _Packer(pickle.Pickler):
    """Puts the kernel's files in the place of paths."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, KernelSource):
            files = {CODE: obj.code.read_bytes(), HEADER: obj.header.read_bytes()}
            return receive_source, (files, obj.version, obj.emulator)
        if isinstance(obj, Built):
            return build, (obj.source, obj.arch, obj.mode)
        return NotImplemented


def pack(oracle: Work[Any]) -> bytes:
    """An oracle as bytes from which another computer makes its own. Raises OSError."""
    stream = io.BytesIO()
    pickle.dump(version(), stream)
    _Packer(stream).dump(oracle)
    return stream.getvalue()


def unpack(packed: bytes) -> Work[Any]:
    """The oracle, with builds of this computer. Raises MapleLayoutError, OSError."""
    stream = io.BytesIO(packed)
    theirs = pickle.load(stream)  # noqa: S301 - a worker executes what its client sends
    if theirs != version():
        message = f"has maple-layout {version()}, the campaign {theirs}: install that one there"
        raise InputError(message)
    return pickle.load(stream)  # type: ignore[no-any-return] # noqa: S301 - the same


# -- in the worker


_packed: dict[str, bytes] = {}
_started: list[_Process] = []
_own = threading.local()


def keep(name: str, packed: bytes) -> None:
    """Remember a campaign's oracle."""
    _packed[name] = packed


def forget(name: str) -> None:
    """Forget a campaign, and end its processes."""
    _packed.pop(name, None)
    for process in [process for process in _started if process.name == name]:
        process.close()


def carry_out(
    name: str, seeds: Sequence[int], seconds: float
) -> list[Trial[Any]] | MapleLayoutError:
    """Attempt seeds of a campaign, which ends in so many seconds; an error is returned.

    The last trial has what all have executed, where that is counted. Raises Gone.
    """
    seed = seeds[0]
    trials: list[Trial[Any]] = []
    end = time.monotonic() + seconds
    process: _Process | None = getattr(_own, "process", None)
    if process is not None and process.name != name:
        process.close()
        process = _own.process = None
    try:
        if process is None:
            process = _own.process = _Process(name)
        for seed in seeds:
            trial = process.ask(seed, end)
            if isinstance(trial, MapleLayoutError):
                return trial
            trials.append(trial)
        executed = process.ask(None, end)
    except (EOFError, OSError):
        if process is not None:
            process.close()
        _own.process = None
        message = f"a process on {socket.gethostname()} was killed at seed {seed}"
        raise Gone(message) from None
    if isinstance(executed, MapleLayoutError):
        return executed
    trials[-1].executed = executed
    return trials


class _Process:
    """A process that attempts a campaign's seeds, one after the other."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._blocks = contextlib.ExitStack()
        self._connection, there = Pipe()
        self._blocks.enter_context(self._connection)
        words = [sys.executable, "-P", "-m", __name__, str(there.fileno())]
        with there:
            block = children.child(words, pass_fds=[there.fileno()])
            self._process = self._blocks.enter_context(block)
        _started.append(self)
        with contextlib.suppress(OSError):  # ask() will have it, too
            self._connection.send_bytes(_packed[name])

    def ask(self, seed: int | None, end: float) -> Any:
        """The trial of a seed, or what has been executed since it was asked for this, or an error.

        Raises EOFError or OSError where it gives none.
        """
        self._connection.send((seed, end))
        if not self._connection.poll(_HANGS):
            raise EOFError
        return self._connection.recv()

    def close(self) -> None:
        """End it, if that is not done; it removes its files first."""
        with contextlib.suppress(ValueError):
            _started.remove(self)
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING)
        self._blocks.close()


# -- in the process


def main() -> None:
    """Answer what comes through the descriptor that is the first argument, until its end."""
    with Connection(int(sys.argv[1])) as connection, contextlib.suppress(EOFError, OSError):
        packed = connection.recv_bytes()
        wrong: MapleLayoutError | None = None
        try:
            with _alone():
                oracle = unpack(packed)
            begin(oracle)
        except (MapleLayoutError, OSError) as error:
            wrong = _at_home(error)
        while True:
            seed, end = connection.recv()
            connection.send(wrong or _answer(seed, end))


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """A block that one process of the user is in: what it compiles, the next one finds."""
    path = cache_directory() / "received.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _answer(seed: int | None, end: float) -> Trial[Any] | Executed | MapleLayoutError | None:
    try:
        return counted() if seed is None else attempt(seed, end)
    except (MapleLayoutError, OSError) as error:
        return _at_home(error)


def _at_home(error: Exception) -> InputError:
    """An error, with the computer that has it."""
    return InputError(f"worker on {socket.gethostname()}: {error}")


if __name__ == "__main__":
    main()
