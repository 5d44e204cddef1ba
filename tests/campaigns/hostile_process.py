"""One command of the campaign: in a child of its own, or in one that carries out many.

A fork has all modules loaded, but takes 5 ms and as long again for the pages that it writes to; a
command, 1 to 5. So most commands are carried out by a :class:`Worker`, one after the other. What ends
it, and what breaks a rule there, is done once more in a child of its own. What begins before the first
line of the package (closed descriptors at the start of the interpreter) is tried in ``tests/host``.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from hostile_kernel import first_in_path
from hostile_places import SIGNALS, arm, small_disk

from layout.cli import main
from layout.cli.entry import start
from layout.host import signals

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 20
"""What a case may take, in seconds of processor time."""
HANGS = 600
"""And in seconds of any time, on a busy machine: it waits for what never comes."""
MEGABYTES = 700
"""What it may need, with the 100 that the campaign has itself."""

PIPE = 1 << 16
"""Bytes that a pipe holds."""

_HIGH = 100
"""Descriptors from here on are the worker's, those below the command's."""
_MOST = 2000
"""Commands that one worker carries out."""
_GROWN = 200
"""Megabytes after which a worker is replaced."""


@dataclass
class Outcome:
    """What a command has done. ``code`` is negative where a signal ended it."""

    code: int
    out: bytes
    err: bytes
    cpu: float
    wall: float
    megabytes: int
    kind: str
    words: list[str]
    files: dict[str, bytes] = field(default_factory=dict)
    hung: bool = False


@dataclass
class Folder:
    """Where a case takes place: its input, its output, its temporary files."""

    top: Path

    stdin: str = ""
    """What the input is to a command, if it is its stdin: a pipe or a file."""

    def __post_init__(self):
        self.put, self.got, self.tmp = (self.top / name for name in ("put", "got", "tmp"))
        self.input, self.output = self.put / "in", self.got / "out"

    def clear(self):
        """Empty it."""
        self.stdin = ""
        for each in (self.put, self.got, self.tmp):
            if each.exists():
                each.chmod(0o777)
                shutil.rmtree(each)
            each.mkdir()
            each.chmod(0o777)

    def files(self):
        """All that lies beside the output."""
        return {
            str(each.relative_to(self.got)): each.read_bytes()
            for each in sorted(self.got.rglob("*"))
            if each.is_file()
        }

    def old(self, files):
        """Let the output be as it was before a case: these files by name, and no others."""
        for each in self.got.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        for name, content in files.items():
            (self.got / name).write_bytes(content)


def carried_out(words, folder, place=None, kind="trace"):
    """Carry out a command in a child, in the surroundings of ``place``; its input is of a kind."""
    around = small_disk(folder) if place and place.name == "disk" else contextlib.nullcontext()
    with around, (folder.top / "stdout").open("w+b") as out:
        read, write = os.pipe()
        begin = time.monotonic()
        # until the child has its own handlers a signal would be taken by those of the campaign
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        child = os.fork()
        if not child:
            try:
                os.close(read)
                _child(words, folder, place, out.fileno(), write)
            finally:
                os._exit(99)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.close(write)
        err, hung = _listened(child, read, place.stop_after if place else None)
        _, status, usage = os.wait4(child, 0)
        wall = time.monotonic() - begin
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        out.seek(0)
        cpu = usage.ru_utime + usage.ru_stime
        code = os.waitstatus_to_exitcode(status)
        megabytes = usage.ru_maxrss >> 10
        files = folder.files()
        return Outcome(code, out.read(), err, cpu, wall, megabytes, kind, words, files, hung=hung)


def _listened(child, read, stop_after):
    """What a child writes to stderr until it ends, and whether it had to be ended."""
    handle = os.pidfd_open(child)
    err, end = b"", time.monotonic() + HANGS
    delay, number = stop_after or (HANGS, signal.SIGKILL)
    when, ended = time.monotonic() + delay, False
    try:
        while not ended:
            ready, _, _ = select.select(
                [handle, read], [], [], max(0, min(when, end) - time.monotonic())
            )
            if read in ready:
                piece = os.read(read, 1 << 16)
                err = (err + piece)[: 1 << 20]
                if not piece:
                    select.select([handle], [], [], HANGS)
                    break
            ended = handle in ready
            if not ready and time.monotonic() >= when:
                os.kill(child, number)
                when = end + HANGS
            elif not ready and time.monotonic() >= end:
                os.kill(child, signal.SIGKILL)
                return err, True
        while select.select([read], [], [], 0)[0] and (piece := os.read(read, 1 << 16)):
            err += piece
        return err, False
    finally:
        os.close(handle)
        os.close(read)


def _child(words, folder, place, out, err):
    _own_group()
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    for handle, number in ((_stdin(folder), 0), (out, 1), (err, 2)):
        os.dup2(handle, number)
    os.closerange(3, 2 * _HIGH)
    first_in_path(folder.put / "bin")
    code, _ = _command(words, folder, place)
    os._exit(code)


def _own_group():
    os.setpgid(0, 0)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _command(words, folder, place):
    """Carry out a command with the descriptors that there are; its exit code, and how to leave."""
    os.chdir(folder.got)
    tempfile.tempdir = None
    os.environ.update(TMPDIR=str(folder.tmp), XDG_CACHE_HOME=str(folder.tmp / "cache"))
    sys.argv = ["maple-layout", *words]
    encoding = place.encoding() if place else ("utf-8", "strict")
    leave = None if place is None else place.enter(folder)
    sys.stdin = _stream(0, "r", encoding)
    sys.stdout = _stream(1, "w", encoding)
    sys.stderr = _stream(2, "w", (encoding[0], "backslashreplace"))
    arm(armed=True)
    try:
        code = start()
    except BaseException:  # noqa: BLE001 - that is what is looked for
        with contextlib.suppress(Exception):
            os.write(2, traceback.format_exc().encode(errors="replace"))
        code = 98
    return code, leave


def _stdin(folder):
    if folder.stdin != "pipe":
        return os.open(folder.input if folder.stdin else os.devnull, os.O_RDONLY)
    read, write = os.pipe()
    os.write(write, folder.input.read_bytes())
    os.close(write)
    return read


def _stream(number, mode, encoding):
    try:
        os.fstat(number)
    except OSError:
        return None  # as the interpreter has it
    return open(number, mode, closefd=False, encoding=encoding[0], errors=encoding[1])


# -- many commands in one child


class Worker:
    """A child that carries out commands one after the other, in surroundings that can be left."""

    def __init__(self, folder):
        self.folder, self.child, self.done = folder, 0, 0
        self.pipe = self.said = None

    def carried_out(self, words, place=None, kind="trace"):
        """As :func:`carried_out`; None if that ended the worker: it tells nothing then."""
        if not self.child or self.done >= _MOST:
            self.end()
            self._begin()
        self.done += 1
        begin, err = time.monotonic(), b""
        try:
            self.pipe.send((words, self.folder.stdin, place))
            while self.pipe not in (ready := wait((self.pipe, self.said), HANGS)):
                if not ready:
                    self.end()
                    return None
                err += os.read(self.said, 1 << 16)
            code, cpu, megabytes, grown = self.pipe.recv()
        except (EOFError, OSError):
            self.end()
            return None
        wall = time.monotonic() - begin
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.said, 1 << 16):
                err += piece
        out = (self.folder.top / "stdout").read_bytes()
        if grown > _GROWN:
            self.end()
        files = self.folder.files()
        return Outcome(code, out, err, cpu, wall, megabytes, kind, words, files)

    def end(self):
        """Let the child be gone."""
        if self.child:
            self.pipe.close()
            os.close(self.said)
            os.killpg(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
            self.child = 0

    def _begin(self):
        (self.pipe, other), (self.said, said) = Pipe(), os.pipe()
        os.set_blocking(self.said, False)
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        child = os.fork()
        if not child:
            try:
                _serve(self.folder, other.fileno(), said)
            finally:
                os._exit(99)
        with contextlib.suppress(PermissionError):  # whoever comes first
            os.setpgid(child, child)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        other.close()
        os.close(said)
        self.child, self.done = child, 0


def _serve(folder, pipe, said):
    """Carry out the commands that come through ``pipe``; their stderr is ``said``."""
    _own_group()
    opened = [
        pipe,
        os.open(folder.top / "stdout", os.O_RDWR | os.O_CREAT, 0o600),
        said,
        os.open(os.devnull, os.O_RDWR),
        os.open("/proc/self/clear_refs", os.O_WRONLY),
        os.open("/proc/self/status", os.O_RDONLY),
    ]
    high = [os.dup2(handle, _HIGH + at, inheritable=False) for at, handle in enumerate(opened)]
    os.closerange(3, _HIGH)
    pipe, (out, said, null, clear, status) = Connection(high[0]), high[1:]
    first = _resident(status, b"VmRSS:")
    parsers = cache(main.parser)  # which takes half of the time of a short command
    main.parser = lambda verbs=main.VERBS: parsers(tuple(verbs))
    while True:
        words, folder.stdin, place = pipe.recv()
        os.write(clear, b"5")  # the largest size counts from here
        for handle, number in ((stdin := _stdin(folder), 0), (out, 1), (said, 2)):
            os.dup2(handle, number)
        os.close(stdin)
        os.ftruncate(out, 0)
        os.lseek(out, 0, os.SEEK_SET)
        before = _spent()
        resource.setrlimit(resource.RLIMIT_CPU, (int(before) + 1 + SECONDS, resource.RLIM_INFINITY))
        state = signals._State
        state.depth, state.waiting, state.came = 0, None, 0
        code, leave = _command(words, folder, place)
        arm(armed=False)
        if leave is not None:
            leave()
        for number in (0, 1, 2):  # what is left in buffers is lost, as it is where a process ends
            os.dup2(null, number)
        for each in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                each.flush()
        cpu, largest = _spent() - before, _resident(status, b"VmHWM:")
        sys.stdin = sys.stdout = sys.stderr = io.StringIO()
        sys.last_traceback = None
        pipe.send((code, cpu, largest, _resident(status, b"VmRSS:") - first))


def _spent():
    """Seconds of processor time so far, of this process and its children."""
    found = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        found += usage.ru_utime + usage.ru_stime
    return found


def _resident(status, name):
    """A size of this process in megabytes."""
    text = os.pread(status, 4096, 0)
    return int(text.split(name)[1].split()[0]) >> 10
