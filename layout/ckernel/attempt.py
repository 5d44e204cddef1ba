"""One trace of a campaign, in a process of its own: begin() once, then attempt() for each seed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from layout.ckernel.oracle import Counting, Trial
from layout.ckernel.programs import Programs
from layout.host import signals
from layout.memory.errors import InputError, MapleLayoutError, TraceError

if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from layout.ckernel.coverage import Executed
    from layout.ckernel.oracle import Work

SECONDS_FOR_TRACE = 120
"""Seconds that a trace may take."""

_oracle: Work[Any]
_programs: Programs


def start_worker() -> None:
    """Begin a process: an interrupt is for its parent, an alarm raises TooLong.

    Between two traces SIGTERM ends it at once; its programs end where nobody writes to them.
    """
    signals.unlisten()
    signals.end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _on_alarm)


class TooLong(BaseException):
    """A trace takes longer than SECONDS_FOR_TRACE."""


def _on_alarm(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's
    raise TooLong


def begin(oracle: Work[Any]) -> None:
    """Begin a process that attempts seeds for this oracle."""
    global _oracle, _programs
    start_worker()
    _oracle, _programs = oracle, Programs()


def counted() -> Executed | None:
    """What the seeds since the last call have executed, where that is counted.

    Raises MapleLayoutError.
    """
    return _oracle.counted() if isinstance(_oracle, Counting) else None


def attempt(seed: int, end: float) -> Trial[Any]:
    """Oracle.attempt(), limited.

    (A trace is cut off at ``end`` not by a signal: what that raises may leave another's lock
    taken. So it is for traces that hang.)
    """
    where = _oracle.where(seed)
    try:
        signals.listen()
        signal.alarm(SECONDS_FOR_TRACE)
        return _oracle.attempt(seed, end, _programs)
    except TraceError:
        return Trial(seed, where, too_large=True)
    except MapleLayoutError as error:  # one that goes from process to process as it is
        raise InputError(f"seed {seed} on {where}: {error}") from None
    except TooLong:
        return Trial(seed, where, too_long=True)
    except signals.Stopped as stop:
        # raised any further it would become a result of the pool, and the process would go on
        _programs.close()
        os._exit(128 + stop.number)
    finally:
        signal.alarm(0)
        signals.unlisten()
