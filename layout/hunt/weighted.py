"""The search without clang: generated traces, more of the kinds that reached something new.

What is reached are lines of layout/tree that the emulator executes, in Python.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layout import tree
from layout.ckernel.generate import generate
from layout.ckernel.profiles import PROFILES
from layout.hunt.corpus import emulated, text_of
from layout.hunt.guided import Status
from layout.memory.errors import TraceError
from layout.traces.language import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from arches import Arch
    from layout.ckernel.generate import Generated
    from layout.ckernel.source import KernelSource
    from layout.traces.trace import Operation

_CODE = f"{Path(tree.__file__).parent}/"
_LEAST, _FADING = 0.2, 0.9

Reached = set[tuple[str, int]]
"""Lines: file and number."""


def grow(  # noqa: PLR0913 - what a search depends on
    source: KernelSource,
    arch: Arch,
    *,
    seconds: float,
    seed: int,
    known: Iterable[Iterable[Operation]],
    progress: Callable[[Status], None],
) -> tuple[list[str], list[Status]]:
    """Traces that each executed a line that none before did, those of ``known`` included.

    Also how the search went. It has one process, and goes by the emulator alone.
    """
    start = time.monotonic()
    weights = dict.fromkeys(PROFILES, 1.0)
    choice = random.Random(seed)  # noqa: S311 - no secret
    version = source.emulator
    reached: Reached = set()
    kept: list[str] = []
    seen: list[Status] = []
    for operations in known:
        _try(list(operations), arch, version, reached, kept)
    while (now := time.monotonic()) < start + seconds:
        profile = choice.choices(list(weights), list(weights.values()))[0]
        made = generate(
            seed + len(seen),
            arch,
            without=source.missing_operations,
            version=version,
            until=start + seconds,
            profile=profile,
        )
        new = _try(shown_to_kernel(made), arch, version, reached, kept)
        weights[profile] = max(_LEAST, weights[profile] * _FADING) + new / 10
        status = Status(now - start, len(seen) + 1, len(reached), len(reached), len(kept))
        seen.append(status)
        progress(status)
    return kept, seen


def shown_to_kernel(made: Generated) -> list[Operation]:
    """The operations of a trace that the kernel carries out, without the looks at raw memory."""
    return [
        operation
        for operation in made.operations
        if operation.declared.callee or operation.declared.group is not Group.LOOKS
    ]


def _try(
    operations: list[Operation], arch: Arch, version: str, reached: Reached, kept: list[str]
) -> int:
    """Carry a trace out; keep it if lines are new, and return how many are."""
    before = len(reached)
    try:
        _executed(operations, arch, version, reached)
    except TraceError:  # more nodes than there is room for
        return 0
    if len(reached) > before:
        kept.append(text_of(operations))
    return len(reached) - before


def _executed(operations: list[Operation], arch: Arch, version: str, reached: Reached) -> None:
    """Add the lines of layout/tree that the emulator executes."""

    def on_line(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        if event == "line":
            reached.add((frame.f_code.co_filename, frame.f_lineno))
        return on_line

    def on_call(frame: FrameType, _event: str, _: object) -> Callable[..., Any] | None:
        return on_line if frame.f_code.co_filename.startswith(_CODE) else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        for _ in emulated(operations, arch, version, in_python=True):
            pass
    finally:
        sys.settrace(before)
