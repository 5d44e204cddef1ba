"""Surroundings of a command in the campaign of hostile input: descriptors, limits, disks, users, errors.

A place is a name and numbers, so that it can be told to another process, which enters it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import layout

NOBODY = 65534
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
ERRORS = (errno.EIO, errno.ENOSPC, errno.EACCES, errno.EMFILE, errno.ENOMEM, errno.EINTR)
STEPS = {
    *("open", "os.rename", "os.remove", "os.chmod", "os.chown", "os.mkdir", "tempfile.mkstemp"),
    *("mmap.__new__", "os.listdir", "os.scandir", "subprocess.Popen", "os.truncate"),
}
"""What is audited and may fail, or end the command: steps of work on files."""

_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass
class Place:
    """Surroundings: what has its name in ``_ENTER`` makes them, of ``given``.

    ``same`` are those where exit code, stdout and files have to be as elsewhere. ``alone``: the
    process that enters can't leave. A signal may come ``stop_after`` so many seconds.
    """

    name: str
    given: tuple = ()
    same: bool = False
    alone: bool = False
    stop_after: tuple | None = None

    def enter(self, folder):
        """Make these surroundings, for a command in ``folder``; returns what ends them, or None."""
        return _ENTER.get(self.name, _nothing)(folder, *self.given)

    def encoding(self):
        """The encoding of text, and what is done where it has no such character."""
        return (self.name if self.name in {"ascii", "latin-1", "utf-16"} else "utf-8"), "strict"


def _nothing(_):
    """What others do: the parent, or the streams."""


def _full(_):
    handle = os.open("/dev/full", os.O_WRONLY)
    os.dup2(handle, 1)
    os.close(handle)


def _gone(_):
    read, write = os.pipe()
    os.dup2(write, 1)
    os.close(read)
    os.close(write)


def _limited(kind):
    """Lower a limit, and put it back."""

    def enter(_, most):
        old = resource.getrlimit(kind)
        resource.setrlimit(kind, (most, old[1]))
        return lambda: resource.setrlimit(kind, old)

    return enter


def _little_memory(_, more):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (more << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _variables(given, missing=()):
    def enter(_):
        old = dict(os.environ)

        def leave():
            os.environ.clear()
            os.environ.update(old)

        os.environ.update(given)
        for name in missing:
            os.environ.pop(name, None)
        return leave

    return enter


_narrow = _variables({"COLUMNS": "1", "LINES": "1", "TERM": "dumb"})
_odd_variables = _variables(
    {
        "TMPDIR": "/nowhere",
        "XDG_CACHE_HOME": "/dev/null",
        "COLUMNS": "x",
        "LINES": "-1",
        "TERM": "\udcff",
        "LANG": "xx_XX",
        "LC_ALL": "C",
        "PYTHONIOENCODING": "x",
        "NO_COLOR": "1",
    },
    ("HOME", "PATH", "USER"),
)


def _pure(_):
    from layout import compiled

    old = compiled.available, compiled.can_decode

    def leave():
        compiled.available, compiled.can_decode = old

    compiled.available = lambda: False
    compiled.can_decode = lambda _: False
    return leave


def _no_folder(folder):
    gone = folder.tmp / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()


# -- users


def _nobody(folder, rights):
    _LIBC.prctl(_KEEP_CAPABILITIES, 0 if _READS_CODE[0] else 1, 0, 0, 0)
    folder.got.chmod(rights)
    for each in folder.got.iterdir() if rights == 0o777 else ():
        os.chown(each, NOBODY, NOBODY, follow_symlinks=False)
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


# -- errors and signals at a step of work on files


class _Steps:
    armed = False
    """Whether the command has begun."""
    taken = None
    """What a step does, while one is waited for."""
    watched = False


def arm(*, armed):
    """The command begins, or has ended: steps count from here."""
    _Steps.armed = armed


def _audited(event, args):
    if _Steps.armed and _Steps.taken is not None and event in STEPS:
        _Steps.taken(str(args[0] if args else ""))


def _at_step(number, act, *, on=False):
    """Do something at the ``number``-th step of work on files, and at all that follow if ``on``."""
    left = number

    def step(path):
        nonlocal left
        if not path.endswith((".py", ".pyc")):
            left -= 1
            if not left or (on and left < 0):
                act()

    plain = os.fsync

    def fsync(handle):
        if _Steps.armed:
            step("fsync")
        plain(handle)

    def leave():
        _Steps.taken, os.fsync = None, plain

    os.fsync, _Steps.taken = fsync, step
    if not _Steps.watched:  # this can't be undone
        sys.addaudithook(_audited)
        _Steps.watched = True
    return leave


def _fails(on):
    def enter(_, step, number):
        def act():
            raise OSError(number, os.strerror(number))

        return _at_step(step, act, on=on)

    return enter


def _signalled(_, step=0, number=0):
    if step:
        _at_step(step, lambda: os.kill(os.getpid(), number))


_ENTER = {
    "full": _full,
    "gone": _gone,
    "no stdin": lambda _: os.close(0),
    "no stdout": lambda _: os.close(1),
    "no stderr": lambda _: os.close(2),
    "environment": _odd_variables,
    "narrow": _narrow,
    "pure": _pure,
    "no folder": _no_folder,
    "descriptors": _limited(resource.RLIMIT_NOFILE),
    "file size": _limited(resource.RLIMIT_FSIZE),
    "memory": _little_memory,
    "fails": _fails(on=False),
    "disk gone": _fails(on=True),
    "killed": _signalled,
    "stopped": _signalled,
    "readonly": lambda folder: _nobody(folder, 0o555),
    "user": lambda folder: _nobody(folder, 0o777),
}

FORKED = 0.15
"""How many of the surroundings need a process of their own, which takes ten times as long."""
_FORK = 0.01
"""Seconds that a fork of this process takes."""


def place_of(r, wall, *, mounts=False):
    """Surroundings for a command that took ``wall`` seconds elsewhere."""
    step, late = r.randrange(1, r.choice((6, 12, 40))), r.random() * (1.2 * wall + _FORK)
    if r.random() < FORKED:
        choices = [
            Place("memory", (r.choice((4, 16, 64)),), alone=True),
            Place("killed", (step, signal.SIGKILL), alone=True),
            Place("killed", alone=True, stop_after=(late, signal.SIGKILL)),
            Place("stopped", (step, r.choice(SIGNALS)), alone=True),
            Place("stopped", alone=True, stop_after=(late, r.choice(SIGNALS))),
        ]
        if os.geteuid() == 0:
            choices += [Place("readonly", alone=True), Place("user", same=True, alone=True)]
        if mounts:
            choices += [Place("disk", alone=True)]
        return r.choice(choices)
    return r.choice(
        (
            Place("full"),
            Place("no stdout"),
            Place("no stderr", same=True),
            Place("no stdin", same=True),
            Place("environment", same=True),
            Place("gone"),
            Place("narrow", same=True),
            Place("pure", same=True),
            Place("pure", same=True),
            Place("ascii"),
            Place("latin-1"),
            Place("utf-16"),
            Place("no folder", same=True),
            Place("descriptors", (r.randrange(3, 10),)),
            Place("file size", (r.choice((0, 100, 5000)),)),
            Place("fails", (step, r.choice(ERRORS))),
            Place("fails", (step, r.choice(ERRORS))),
            Place("disk gone", (step, errno.EIO)),
        )
    )


_OLD = 1 << 12
"""Bytes of an old file that a small disk has room for."""

_PRIVATE, _NEW_SPACE, _DETACH = 1 << 18 | 1 << 14, 0x20000, 2


def may_mount():
    """Whether small disks can be had; from here on mounts are this process's alone."""
    if os.geteuid() or _LIBC.unshare(_NEW_SPACE):
        return False
    return not _LIBC.mount(None, b"/", None, _PRIVATE, None)


@contextlib.contextmanager
def small_disk(folder):
    """Output and temporary files go to disks of a few pages."""
    small = {name: data for name, data in folder.files().items() if len(data) < _OLD}
    places = [os.fsencode(place) for place in (folder.got, folder.tmp)]
    for place in places:
        assert _LIBC.mount(b"none", place, b"tmpfs", 0, b"size=16k,mode=777") == 0
    try:
        folder.old({name: data for name, data in small.items() if "/" not in name})
        yield
    finally:
        for place in places:
            _LIBC.umount2(place, _DETACH)
