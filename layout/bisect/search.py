"""What ``--until`` says, as a condition; the shortest trace at whose end it comes to hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import arches
from layout.bisect.conditions import (
    Byte,
    Entry,
    Faulted,
    Invalid,
    KernelDiffers,
    MachinesDiffer,
    Reported,
)
from layout.bisect.forms import FORMS
from layout.memory.errors import TraceError, UsageError
from layout.traces.shrink import shrink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from layout.bisect.conditions import Condition, Found, Setting
    from layout.ckernel.build import Built
    from layout.traces.trace import Operation

_HEX = r"(?:0x)?([0-9a-f]{1,16})"
_ENTRY = re.compile(rf"entry {_HEX}(?: ?= ?{_HEX})?", re.IGNORECASE)
_BYTE = re.compile(rf"byte {_HEX}(?:\+(\d{{1,6}}))? ?= ?(?:0x)?([0-9a-f]{{1,2}})", re.IGNORECASE)


def condition(text: str, setting: Setting, built: Callable[[], Built]) -> Condition:
    """The condition that a text means, in a setting; ``built`` builds the kernel's own code.

    Raises UsageError.
    """
    words = " ".join(text.split())
    name, _, rest = words.partition(" ")
    if words in {"invalid", "fault", "kernel"}:
        if name == "kernel":
            return KernelDiffers(built())
        return Invalid(setting) if name == "invalid" else Faulted(setting)
    if name == "report":
        return Reported(setting, rest)
    if name == "machines" and rest:
        return MachinesDiffer(setting, [arches.get(each.strip()) for each in rest.split(",")])
    top = setting.arch.ulong_max
    if found := _ENTRY.fullmatch(words):
        index, entry = int(found[1], 16), int(found[2], 16) if found[2] else None
        _fits(text, max(index, entry or 0), top)
        return Entry(setting, index, entry)
    if found := _BYTE.fullmatch(words):
        address = int(found[1], 16) + int(found[2] or 0)
        _fits(text, address, top)
        return Byte(setting, address, int(found[3], 16))
    message = f"--until {text[:40]!r} is no condition: give one of {', '.join(FORMS)}"
    raise UsageError(message)


def _fits(text: str, number: int, top: int) -> None:
    if number > top:
        message = f"--until {text[:60]!r}: {number:x} does not fit into {top.bit_length()} bits"
        raise UsageError(message)


def shortest(
    what: Condition, operations: Sequence[Operation], found: Found, *, seconds: float
) -> list[Operation]:
    """A shorter trace at whose last operation the condition comes to hold in the same way.

    Its lines are numbered anew; it is the whole trace up to there if ``seconds`` are over before.
    """

    def still(candidate: Sequence[Operation]) -> bool:
        try:
            again = what.first(candidate)
        except TraceError:
            return False
        return again is not None and again.kind == found.kind and again.operation is candidate[-1]

    upto = [operation for operation in operations if operation.n <= found.operation.n]
    return shrink(upto, still, seconds=seconds)
