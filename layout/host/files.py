"""Output files: each is whole or not there, and several of one command appear together.

What is written goes to a hidden file beside its place, ``.NAME.*.part``, is synced, and takes the
place in one step. So neither an error nor a kill loses the old file or leaves half a new one. The
steps of several files are first written down in ``.NAME.unit``, NAME being the first of them;
who comes upon such a list carries out what is left of it: see :func:`settle`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from layout.host.signals import held
from layout.host.streams import tell
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Self

_STREAMS = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")
"""Paths that stand for what is open already: never replaced, and written to at their end."""

_NOT_SYNCED = {errno.EINVAL, errno.ENOTSUP, errno.EROFS, errno.EACCES, errno.EPERM}
"""What fsync says where a file system has no such thing."""

_LONG_NAME = 200
"""Bytes of a name beyond which there is no room for something around it."""

_SHOWN = 40
"""How many characters of a name its temporary file has."""

_begun: set[Path] = set()
"""Temporary files that are neither in their places nor removed."""


class Output:
    """Files of one command, to be used in ``with``: all take their places at its end.

    If the block ends with an exception none does, and what was there before stays. A pipe, a
    device or /dev/stdout is no file that could be replaced: it is written to at once.
    With ``durable`` it is all on the disk then. ``inputs`` are what the command reads, None and
    ``-`` among them: none of these is written over. Raises OSError, whose ``filename`` is the path
    that was asked for; UsageError for an input, and for a file that would be written twice.
    """

    def __init__(self, *inputs: str | None, durable: bool = True) -> None:
        self._inputs = [Path(each) for each in inputs if each not in {None, "-"}]
        self._durable = durable
        self._open: list[_Part] = []

    def __enter__(self) -> Self:
        return self

    def open(self, path: str | os.PathLike[str]) -> IO[bytes]:
        """Begin the file that will lie at ``path``."""
        with named(path):
            self._refuse_inputs(Path(path))
        with held():
            part = _Part(Path(path))
            self._open.append(part)
        if part.name is not None and any(part.target == each.target for each in self._open[:-1]):
            raise UsageError(_twice(part.path))
        return part.file

    @contextlib.contextmanager
    def writing(self, path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
        """The file that open() has begun, or begins now: to be written to in ``with``."""
        part = next((part for part in self._open if part.path == Path(path)), None)
        if part is not None and part.written:
            raise UsageError(_twice(part.path))
        with named(path):
            file = self.open(path) if part is None else part.file
            part = part or self._open[-1]
            part.written = part.name is not None
            yield file

    def _refuse_inputs(self, path: Path) -> None:
        for each in self._inputs:
            if path.is_file() and each.exists() and path.samefile(each):
                message = f"{path} is the input: choose another name for the output"
                raise UsageError(message)

    def write(self, path: str | os.PathLike[str], data: bytes | str) -> None:
        """Write a whole file; text is UTF-8, with escapes for what no text can hold."""
        if isinstance(data, str):
            data = data.encode(errors="backslashreplace")
        with self.writing(path) as file:
            file.write(data)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self.drop()

    def drop(self) -> None:
        """Remove what has not taken its place."""
        with held():
            for part in self._open:
                part.drop()  # which raises nothing, so that all are tried

    def _finish(self) -> None:
        for part in self._open[::-1]:  # the first is the newest: gdb warns of older cores
            part.close(durable=self._durable)
        moves = [part for part in self._open if part.name is not None and not part.same()]
        folders: dict[Path, list[_Part]] = {}
        for part in moves:
            folders.setdefault(part.target.parent, []).append(part)
        with held():
            for together in folders.values():  # a list is of one folder
                if len(together) > 1 and self._durable:
                    self._place_together(together[::-1])
                else:
                    for part in together:
                        part.place()

    def _place_together(self, moves: list[_Part]) -> None:
        """One step after the other; the first file names the others, so it comes last."""
        folder = moves[0].target.parent
        first = next(part for part in self._open if part.target.parent == folder)
        listed = _list_of(first.target)
        with named(first.path):
            _write_list(listed, [(part.name, part.target) for part in moves])
        try:
            for part in moves:
                part.place()
            listed.unlink(missing_ok=True)
        except OSError:  # of the moment, or else the list tells what is left to do
            with contextlib.suppress(OSError):
                settle(first.target)
            if listed.exists():
                raise
        finally:
            for part in moves:
                if part.name is not None:
                    _begun.discard(part.name)
                part.name = None


def _twice(path: Path) -> str:
    return f"{path} would be written twice: choose another name for one of the two"


def check(*paths: str | os.PathLike[str], inputs: Iterable[str | None] = ()) -> None:
    """Make sure, before long work, that files can be written there.

    Raises OSError and UsageError, as Output does for these ``inputs``.
    """
    files = Output(*inputs)
    with held():
        try:
            for place in map(Path, paths):
                if not (_is_stream(place) or place.is_fifo() or place.is_char_device()):
                    files.open(place)
        finally:
            files.drop()


def write(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write one file, whole or not at all; text is UTF-8. Raises OSError."""
    with Output() as files:
        files.write(path, data)


def settle(path: str | os.PathLike[str]) -> None:
    """Let files that belong together take their places, if a kill came between.

    To be called before ``path`` is read or written: it is one of them, or none of any. Raises
    OSError where that can't be done.
    """
    with named(path):
        place = _resolved(Path(path))
    for name in {place.name, place.stem} - {""}:
        listed = _list_of(place.with_name(name))
        if listed.is_file():
            with held():
                for part, target in _read_list(listed):
                    with contextlib.suppress(FileNotFoundError):  # it has its place
                        part.replace(target)
                _sync_folder(listed.parent)
                listed.unlink(missing_ok=True)


def remove_begun() -> None:
    """Remove what a signal left, that came between two steps. No file may be written any more."""
    for part in tuple(_begun):
        _remove(part)


class _Part:
    """A file on its way: ``name`` is where it lies meanwhile, None if it is written in place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name: Path | None = None
        self.written = False
        with named(path):
            if not os.fspath(path) or path.name in {"", "..", "."}:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self.target = path if _is_stream(path) else _resolved(path)
            if _is_stream(path) or _is_special(self.target):
                descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
                self.file: IO[Any] = os.fdopen(descriptor, "wb")
                return
            settle(self.target)
            folder, name = self.target.parent, self.target.name
            handle, temporary = tempfile.mkstemp(".part", f".{name[:_SHOWN]}.", folder)
            try:
                _take_over_rights(handle, self.target)
                self.file = os.fdopen(handle, "wb")
            except BaseException:
                with contextlib.suppress(OSError):
                    os.close(handle)
                _remove(Path(temporary))
                raise
            self.name = Path(temporary)
            _begun.add(self.name)

    def close(self, *, durable: bool) -> None:
        with named(self.path):
            self.file.flush()
            if durable and self.name is not None:
                _sync(self.file.fileno())
            self.file.close()

    def same(self) -> bool:
        """Whether the very bytes lie there already."""
        assert self.name is not None
        try:
            if self.name.stat().st_size != self.target.stat().st_size:
                return False
            with self.name.open("rb") as new, self.target.open("rb") as old:
                while chunk := new.read(1 << 20):
                    if chunk != old.read(len(chunk)):
                        return False
        except OSError:
            return False
        return True

    def place(self) -> None:
        assert self.name is not None
        with named(self.path):
            self.name.replace(self.target)
            _begun.discard(self.name)
            self.name = None
        _sync_folder(self.target.parent)

    def drop(self) -> None:
        """Remove what has not taken its place, or say that it stays."""
        with contextlib.suppress(OSError):
            self.file.close()
        if self.name is not None:
            _remove(self.name)
            self.name = None


def _remove(part: Path) -> None:
    """Remove a temporary file; what has gone wrong before it is what the command ends with."""
    for last in (False, True):  # an error of the moment is not there the second time
        try:
            part.unlink(missing_ok=True)
        except OSError as error:
            if last:
                tell(f"{part} stays: {error.strerror}: remove it")
        else:
            break
    _begun.discard(part)


def _resolved(path: Path) -> Path:
    """The file that a path leads to. Raises OSError for links that lead in a circle, too.

    So it does for what no file can be called: a NUL, a lone surrogate.
    """
    try:
        found = path.resolve()
    except RuntimeError:  # before Python 3.13
        found = path
    except ValueError:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path)) from None
    if found.is_symlink():  # it leads to itself
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return found


@contextlib.contextmanager
def named(path: str | os.PathLike[str]) -> Iterator[None]:
    """An OSError that passes through names ``path``, not a temporary file."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = os.fspath(path), None
        raise


def _is_stream(path: Path) -> bool:
    return os.fspath(path).startswith(_STREAMS)


def _is_special(path: Path) -> bool:
    """Whether there is something else than a file. Raises IsADirectoryError."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return not stat.S_ISREG(mode)


def _take_over_rights(handle: int, target: Path) -> None:
    """Give a new file the rights and the owner of the one it replaces, else the usual ones."""
    try:
        old = target.stat()
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(handle, 0o666 & ~mask)
        return
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    with contextlib.suppress(OSError):
        os.fchown(handle, old.st_uid, old.st_gid)
    os.fchmod(handle, stat.S_IMODE(old.st_mode))


def _list_of(target: Path) -> Path:
    name = os.fsencode(target.name)
    if len(name) > _LONG_NAME:
        name = hashlib.blake2b(name, digest_size=16).hexdigest().encode()
    return target.with_name(f".{os.fsdecode(name)}.unit")


def _write_list(listed: Path, steps: list[tuple[Path | None, Path]]) -> None:
    names = [[part.name, target.name] for part, target in steps if part is not None]
    part = listed.with_suffix(".unit.part")
    try:
        with part.open("wb") as file:
            file.write(json.dumps(names).encode())
            file.flush()
            _sync(file.fileno())
        part.replace(listed)
    finally:
        _remove(part)
    _sync_folder(listed.parent)


def _read_list(listed: Path) -> list[tuple[Path, Path]]:
    """The steps in a list: names in its own folder. Nothing, if it is no such list."""
    try:
        steps = json.loads(listed.read_bytes())
        named = [(_name(part), _name(target)) for part, target in steps]
    except (ValueError, TypeError, RecursionError):
        return []
    return [
        (listed.with_name(part), listed.with_name(target))
        for part, target in named
        if part.endswith(".part") and target
    ]


def _name(path: str) -> str:
    """The last part of a path. Raises ValueError for what no file can be called."""
    if b"\0" in os.fsencode(path):
        raise ValueError(path)
    return Path(path).name


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_SYNCED:
            raise


def _sync_folder(folder: Path) -> None:
    """Make names durable; where a folder can't be opened, they are all the same in place."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
