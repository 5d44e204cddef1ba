"""Standard input, output and error, whatever state the caller has left them in."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_ERRORS = "maple-layout"
_NARROWEST = 20
"""Columns of a table at least, whatever a terminal or COLUMNS says."""
_LONGEST_NOTE = 2000
LONGEST_WORD = 300
"""Characters of one word in a note."""


def open_missing() -> None:
    """Make stdin, stdout and stderr usable; to be called once, before any file is opened.

    A descriptor that the caller has closed is taken by /dev/null, so that no file gets its
    number: writing to stdout and reading from stdin then fail, and notes are dropped. Text that
    the encoding can't hold is written as escapes; names of files as the bytes that they are.
    """
    for number, way in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            handle = os.open(os.devnull, way)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
    codecs.register_error(_ERRORS, _escape)
    sys.stdin = sys.stdin or _text(0, "r")
    sys.stdout = sys.stdout or _text(1, "w")
    sys.stderr = sys.stderr or _text(2, "w")
    sys.stdout.reconfigure(errors=_ERRORS)  # type: ignore[union-attr]
    sys.stderr.reconfigure(errors=_ERRORS)  # type: ignore[union-attr]


def _text(number: int, mode: str) -> TextIO:
    # a pipe that was never open can't be read or written: the first try says so
    return open(number, mode, closefd=False, encoding="utf-8")  # type: ignore[return-value]


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """The bytes that a surrogate stands for; an escape for any other character."""
    if isinstance(error, UnicodeEncodeError):
        text = error.object[error.start : error.end]
        if all("\udc80" <= char <= "\udcff" for char in text):
            return os.fsencode(text) if _fits(error.encoding) else _shown(text), error.end
        return _shown(text), error.end
    raise error


def _fits(encoding: str) -> bool:
    """Whether single bytes may stand among the characters of an encoding."""
    return not encoding.lower().replace("-", "").replace("_", "").startswith(("utf16", "utf32"))


def _shown(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def note(text: str, end: str = "\n") -> None:
    """Text to stderr; a note that nobody can read is no reason to fail."""
    with contextlib.suppress(OSError, ValueError):
        print(text, end=end, file=sys.stderr, flush=True)


def tell(text: str) -> None:
    """Print one line to stderr, whatever ``text`` holds."""
    line = " ".join(map(cut, " ".join(text.splitlines()).split(" ")))
    if len(line) > _LONGEST_NOTE:
        line = f"{line[:_LONGEST_NOTE]}..."
    note(f"maple-layout: {''.join(map(printable, line))}")


def cut(word: str) -> str:
    """A word, or the beginning of a very long one."""
    return word if len(word) <= LONGEST_WORD else f"{word[:LONGEST_WORD]}..."


def printable(char: str) -> str:
    """A character, or an escape for one that would drive a terminal."""
    control = char < " " or "\x7f" <= char < "\xa0"
    return f"\\x{ord(char):02x}" if control and char != "\t" else char


def console(**options: Any) -> Console:
    """stdout for rich, with options of its Console."""
    from rich.console import Console  # noqa: PLC0415 - few commands need it

    class Stdout(Console):
        def on_broken_pipe(self) -> NoReturn:
            """Let the caller tell of it: rich ends with exit code 1, which means a finding."""
            raise BrokenPipeError

    out = Stdout(**options)
    out.width = max(out.width, _NARROWEST)  # in no columns rich prints nothing at all
    return out


def drop_stdout() -> None:
    """Send what is left in stdout's buffer nowhere, so that the interpreter ends in silence."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
