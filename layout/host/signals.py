"""Signals: a command that is stopped cleans up first, and steps that belong together are done."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


_PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""

_IMPATIENT = 3
"""So many signals end the command at once, whatever it is cleaning up."""


class _State:
    depth = 0
    """How many blocks hold signals."""
    waiting: int | None = None
    came = 0
    deaf = False


class Stopped(BaseException):
    """Somebody asked the command to end by the signal ``number``. No error: nobody catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def listen() -> None:
    """From here on SIGTERM and SIGHUP raise Stopped, and SIGINT KeyboardInterrupt.

    A signal that the caller has ignored, as nohup does, stays ignored. Only in the main thread.
    """
    _State.deaf = False
    for number in _STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _came)


def unlisten() -> None:
    """From here on SIGTERM and SIGHUP end the process at once, unless they are ignored."""
    for number in _STOPPING:
        if signal.getsignal(number) is _came:
            signal.signal(number, signal.SIG_DFL)


def end_with_parent() -> None:
    """Ask Linux for a SIGTERM when the parent process is gone, killed or not."""
    import ctypes  # noqa: PLC0415 - seldom needed

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def deafen() -> None:
    """From here on nothing stops the command: it ends by itself, within moments.

    The handlers stay: a signal that comes while one is taken away is an error that Python prints.
    """
    _State.deaf = True


@contextmanager
def held() -> Iterator[None]:
    """Signals that would stop the command wait until the block has ended.

    They are not blocked, since a child that is started meanwhile would have them blocked, too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread alone
        return
    _State.depth += 1
    try:
        yield
    finally:
        _State.depth -= 1
        if not _State.depth and (number := _State.waiting):
            _State.waiting = None
            _raise(number)


def _came(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's
    _State.came += 1
    if _State.came >= _IMPATIENT:
        os._exit(128 + number)
    if _State.came > 1 or _State.deaf:
        return  # it is ending already
    if _State.depth:
        _State.waiting = number
    else:
        _raise(number)


def _raise(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Stopped(number)
