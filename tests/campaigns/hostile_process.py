"""One command of the campaign in a forked child: its limits, descriptors and surroundings.

A fork has all modules loaded, so a case takes milliseconds. What begins before the first line of
the package (closed descriptors at the start of the interpreter) is tried in ``tests/host``.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
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
from pathlib import Path

import layout
from layout.cli.entry import start

SECONDS = 20
"""What a case may take, in seconds of processor time."""
HANGS = 600
"""And in seconds of any time, on a busy machine: it waits for what never comes."""
MEGABYTES = 700
"""What it may need, with the 100 that the campaign has itself."""

PIPE = 1 << 16
"""Bytes that a pipe holds."""

NOBODY = 65534
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
ERRORS = (errno.EIO, errno.ENOSPC, errno.EACCES, errno.EMFILE, errno.ENOMEM, errno.EINTR)
STEPS = (
    *("open", "os.rename", "os.remove", "os.chmod", "os.chown", "os.mkdir", "tempfile.mkstemp"),
    *("mmap.__new__", "os.listdir", "os.scandir", "subprocess.Popen", "os.truncate"),
)
"""What is audited and may fail, or end the command: steps of work on files."""


_ORDINARY = contextlib.nullcontext()


_ARMED: list[bool] = []
"""Whether the command has begun."""


@dataclass
class Outcome:
    """What a command has done. ``code`` is negative where a signal ended it."""

    code: int
    out: bytes
    err: bytes
    cpu: float
    wall: float
    megabytes: int
    hung: bool
    kind: str
    words: list[str]
    files: dict[str, bytes] = field(default_factory=dict)


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
    around = place.around(folder) if place and place.around else _ORDINARY
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
        return Outcome(code, out.read(), err, cpu, wall, megabytes, hung, kind, words, files)


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
    os.setpgid(0, 0)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for handle, number in ((_stdin(folder), 0), (out, 1), (err, 2)):
        os.dup2(handle, number)
    os.closerange(3, 64)
    os.chdir(folder.got)
    tempfile.tempdir = None
    os.environ.update(TMPDIR=str(folder.tmp), XDG_CACHE_HOME=str(folder.tmp / "cache"))
    sys.argv = ["maple-layout", *words]
    encoding = ENCODINGS.get(place.name if place else "", ("utf-8", "strict"))
    if place is not None:
        place.enter(folder)
    sys.stdin = _stream(0, "r", encoding)
    sys.stdout = _stream(1, "w", encoding)
    sys.stderr = _stream(2, "w", (encoding[0], "backslashreplace"))
    _ARMED.append(True)
    try:
        code = start()
    except BaseException:  # noqa: BLE001 - that is what is looked for
        with contextlib.suppress(Exception):
            os.write(2, traceback.format_exc().encode(errors="replace"))
        code = 98
    os._exit(code)


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


# -- surroundings

ENCODINGS = {
    "ascii": ("ascii", "strict"), "latin-1": ("latin-1", "strict"), "utf-16": ("utf-16", "strict"),
}  # fmt: skip


@dataclass
class Place:
    """Surroundings of a command: ``enter`` makes them, in the child.

    ``same`` are what has to be as it is elsewhere: the exit code, stdout and the files, or none.
    """

    name: str
    enter: object
    same: bool = False
    stop_after: tuple | None = None
    around: object = None


def _nothing(_):
    pass


def _to(path, flags):
    def enter(_):
        handle = os.open(path, flags)
        os.dup2(handle, 1)
        os.close(handle)

    return enter


def _closed(number):
    return lambda _: os.close(number)


def _gone(_):
    read, write = os.pipe()
    os.dup2(write, 1)
    os.close(read)
    os.close(write)


def _limited(kind, most):
    def enter(_):
        resource.setrlimit(kind, (most, most))

    return enter


def _little_memory(more):
    def enter(_):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + (more << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    return enter


def _narrow(_):
    os.environ.update(COLUMNS="1", LINES="1", TERM="dumb")


def _odd_variables(_):
    os.environ.update(
        TMPDIR="/nowhere", XDG_CACHE_HOME="/dev/null", COLUMNS="x", LINES="-1", TERM="\udcff",
        LANG="xx_XX", LC_ALL="C", PYTHONIOENCODING="x", NO_COLOR="1",
    )  # fmt: skip
    for name in ("HOME", "PATH", "USER"):
        os.environ.pop(name, None)


def _pure(_):
    from layout import compiled

    compiled.available = lambda: False
    compiled.can_decode = lambda _: False


def _nobody(folder, rights):
    _LIBC.prctl(_KEEP_CAPABILITIES, 0 if _READS_CODE[0] else 1, 0, 0, 0)
    folder.got.chmod(rights)
    if folder.output.is_file() and rights == 0o777:
        os.chown(folder.output, NOBODY, NOBODY)
    os.environ["HOME"] = "/root"
    os.setgroups([])
    os.setgid(NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    if not _READS_CODE[0]:
        _may_read_all()


_READS_CODE = [True]
"""Whether an ordinary user may read the interpreter and the package."""
_KEEP_CAPABILITIES = 8
_CAPABILITIES_3 = 0x20080522
_DAC_READ_SEARCH = 1 << 2


def ordinary_user_reads_code():
    """Whether an ordinary user may read what the command imports; asked once, of a child.

    If not (a home directory of root holds it), those places let that user read all files, so that
    only writing is refused there.
    """
    places = [sys.prefix, sys.base_prefix, os.__file__, *sys.path, *layout.__path__]
    places = [place for place in places if os.path.exists(place)]  # noqa: PTH110 - "" may be one
    child = os.fork()
    if not child:
        with contextlib.suppress(OSError):
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os._exit(not all(os.access(place, os.R_OK) for place in places))
        os._exit(1)
    _READS_CODE[0] = os.waitpid(child, 0)[1] == 0
    return _READS_CODE[0]


def _may_read_all():
    """Take one capability of root back."""
    head = (ctypes.c_uint32 * 2)(_CAPABILITIES_3, 0)
    sets = (ctypes.c_uint32 * 6)(_DAC_READ_SEARCH, _DAC_READ_SEARCH)
    assert _LIBC.capset(head, sets) == 0


def _readonly(folder):
    _nobody(folder, 0o555)


def _user(folder):
    _nobody(folder, 0o777)


def _no_folder(folder):
    gone = folder.tmp / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()


def _at_step(number, act, *, on=False):
    """Do something at the ``number``-th step of work on files, and at all that follow if ``on``."""

    def enter(_):
        left = number

        def step(event, args):
            nonlocal left
            if (
                _ARMED
                and event in STEPS
                and not str(args[0] if args else "").endswith((".py", ".pyc"))
            ):
                left -= 1
                if not left or (on and left < 0):
                    act()

        plain = os.fsync

        def fsync(handle):
            step("open", ("fsync",))
            plain(handle)

        os.fsync = fsync
        sys.addaudithook(step)

    return enter


def _fails(number):
    def act():
        raise OSError(number, os.strerror(number))

    return act


def _signalled(number):
    return lambda: os.kill(os.getpid(), number)


def place_of(r, wall, *, mounts=False):
    """Surroundings for a command that took ``wall`` seconds elsewhere."""
    step, late = r.randrange(1, r.choice((6, 12, 40))), r.random() * 1.2 * wall
    choices = [
        Place("full", _to("/dev/full", os.O_WRONLY)), Place("no stdout", _closed(1)),
        Place("no stderr", _closed(2), same=True), Place("no stdin", _closed(0), same=True),
        Place("environment", _odd_variables, same=True), Place("gone", _gone), Place("narrow", _narrow, same=True), Place("pure", _pure, same=True),
        Place("pure", _pure, same=True), Place("ascii", _nothing), Place("latin-1", _nothing),
        Place("utf-16", _nothing), Place("no folder", _no_folder, same=True),
        Place("descriptors", _limited(resource.RLIMIT_NOFILE, r.randrange(3, 10))),
        Place("file size", _limited(resource.RLIMIT_FSIZE, r.choice((0, 100, 5000)))),
        Place("memory", _little_memory(r.choice((4, 16, 64)))),
        Place("fails", _at_step(step, _fails(r.choice(ERRORS)))),
        Place("fails", _at_step(step, _fails(r.choice(ERRORS)))),
        Place("disk gone", _at_step(step, _fails(errno.EIO), on=True)),
        Place("killed", _at_step(step, _signalled(signal.SIGKILL))),
        Place("killed", _nothing, stop_after=(late, signal.SIGKILL)),
        Place("stopped", _at_step(step, _signalled(r.choice(SIGNALS)))),
        Place("stopped", _nothing, stop_after=(late, r.choice(SIGNALS))),
    ]  # fmt: skip
    if os.geteuid() == 0:
        choices += [Place("readonly", _readonly), Place("user", _user, same=True)]
    if mounts:
        choices += [Place("disk", _nothing, around=_small_disk)] * 2
    return r.choice(choices)


_PRIVATE, _NEW_SPACE, _DETACH = 1 << 18 | 1 << 14, 0x20000, 2
_LIBC = ctypes.CDLL(None, use_errno=True)


def may_mount():
    """Whether small disks can be had; from here on mounts are this process's alone."""
    if os.geteuid() or _LIBC.unshare(_NEW_SPACE):
        return False
    return not _LIBC.mount(None, b"/", None, _PRIVATE, None)


@contextlib.contextmanager
def _small_disk(folder):
    """Output and temporary files go to disks of a few pages."""
    old = folder.files()
    places = [os.fsencode(place) for place in (folder.got, folder.tmp)]
    for place in places:
        assert _LIBC.mount(b"none", place, b"tmpfs", 0, b"size=16k,mode=777") == 0
    try:
        folder.old({name: data for name, data in old.items() if "/" not in name})
        yield
    finally:
        for place in places:
            _LIBC.umount2(place, _DETACH)
