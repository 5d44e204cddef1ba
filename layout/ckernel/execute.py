"""Runs a trace on the kernel's own code and reads its transcript lines."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from layout.host import children
from layout.host.streams import cut, printable
from layout.memory.errors import InputError, TraceError
from layout.traces.language import NO_LIMIT
from layout.traces.trace import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from layout.ckernel.build import Built
    from layout.ckernel.programs import Programs
    from layout.traces.session import Line
    from layout.traces.trace import Operation

SECONDS = 10
"""Seconds of processor time that one operation may take before it counts as a livelock."""

IDLE = 120
"""Seconds after which a program is ended that neither computes nor prints."""

_FAULT = {"kind", "address", "message", "operation"}
"""Keys of a fault."""

_NO_SUCH_OPERATION = 2
_NO_MEMORY = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a trace on the kernel's code.

    If an operation crashes, ``lines`` end with its line, which has a ``fault``. ``failed`` is True
    if a validate failed. ``reports`` is the output of a sanitizer.
    """

    lines: list[Line]
    faulted: bool
    failed: bool
    reports: str


def run(
    built: Built,
    operations: Iterable[Operation],
    *,
    sums: bool = False,
    seconds: int = SECONDS,
    programs: Programs | None = None,
) -> Outcome:
    """Carry out the operations; with ``sums`` each line has a checksum of all memory.

    With ``programs`` one of them does it, if the trace does not overwrite bytes.

    Raises TraceError for an operation that this kernel does not have or that needs more nodes
    than there is room for, InputError if the program can't run here.
    """
    listed = list(operations)
    missing = built.source.missing_operations
    for operation in listed:
        if operation.op in missing:
            reason = f"Linux {built.source.version} has no {operation.op}"
            raise TraceError(operation.n, f"{reason}: take the line out")
    poked = any(operation.op == "poke" for operation in listed)
    given = "".join(f"{operation.n} {_encode(operation)}\n" for operation in listed).encode()
    done = _carry_out(built, given, None if poked else programs, seconds, sums=sums)
    texts = _whole(done.stdout)
    lines = [_parsed(built, *each) for each in zip(texts, listed, strict=False)]
    if len(texts) > len(lines):
        raise InputError(_no_transcript(built, texts[len(lines)]))
    reports = done.stderr.decode(errors="replace")
    if len(lines) < len(listed) and not (lines and "fault" in lines[-1]):
        lines.append(_ended(listed[len(lines)], done, reports))
    failed = any(line.get("ok") is False for line in lines)
    return Outcome(lines, bool(lines) and "fault" in lines[-1], failed, reports)


def run_text(built: Built, text: Sequence[str], *, seconds: int, programs: Programs) -> list[bytes]:
    """The transcript of a long trace's lines, as it is written, with checksums.

    The number of an operation is that of its line, from 1; every line is one. Where an operation
    crashes its line is the last. Raises what run() raises.
    """
    harness = [  # which takes other arguments there
        _encode(*parse([line], _ALL_BITS)) if line.startswith("fail") else line for line in text
    ]
    done = _carry_out(built, "\n".join([*harness, ""]).encode(), programs, seconds, sums=True)
    lines = _whole(done.stdout)
    if len(lines) < len(text) and not (lines and b'"fault":' in lines[-1]):
        (operation,) = parse([text[len(lines)]], _ALL_BITS)
        reports = done.stderr.decode(errors="replace")
        ended = _ended(replace(operation, n=len(lines) + 1), done, reports)
        lines.append(json.dumps(ended).encode())
    return lines


def _whole(printed: bytes) -> list[bytes]:
    """The lines that a program printed; a last one without its end was cut off."""
    return printed.split(b"\n")[:-1]


def _parsed(built: Built, text: bytes, operation: Operation | None = None) -> Line:
    """The line of a transcript, of ``operation``. Raises InputError for what is none."""
    try:
        line: Line = json.loads(text)
        whole = "fault" not in line or line["fault"].keys() >= _FAULT
        if whole and (operation is None or (line["n"], line["op"]) == (operation.n, operation.op)):
            return line
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass
    raise InputError(_no_transcript(built, text))


def _no_transcript(built: Built, text: bytes) -> str:
    shown = text.strip().decode(errors="replace")
    return f"{' '.join(built.command)} prints what is no transcript: {shown}"


def _carry_out(
    built: Built, given: bytes, programs: Programs | None, seconds: int, *, sums: bool
) -> children.Completed:
    """Have a program carry out operations. Raises TraceError, InputError."""
    command = [*built.command, str(seconds), *(["sums"] if sums else [])]
    if programs is None:
        done = children.run(command, given=given, env=_environment(built), idle=IDLE)
        if "printed" in done.stopped:
            raise InputError(f"{' '.join(built.command)} {done.stopped}")
    else:
        done = programs.run(command, given, _environment(built))
    reports = done.stderr.decode(errors="replace")
    if done.returncode in (_NO_SUCH_OPERATION, _NO_MEMORY) and reports:
        line, _, reason = reports.strip().removeprefix("line ").partition(": ")
        if line.isdecimal() and int(line):
            raise TraceError(int(line), reason)
        message = f"{' '.join(built.command)} can't run here: {reports.strip()}"
        raise InputError(message)
    return done


def run_test(built: Built) -> str:
    """Run a program that was built with a test; what failed, or nothing."""
    done = children.run(built.command, idle=IDLE)
    if done.returncode == 0:
        return ""
    lines = _whole(done.stdout)
    if not lines:
        return f"{_how(done)}: {cut(done.stderr.decode(errors='replace').strip())}"
    line = _parsed(built, lines[-1])
    if "fault" not in line:
        return _how(done)
    failed = [text for text in line.get("printk", "").splitlines() if text.startswith("BUG at")]
    return str((failed or [line["fault"]["message"]])[0])


def _environment(built: Built) -> dict[str, str]:
    """The environment; counts of executed lines go where the program is."""
    return {**os.environ, "GCOV_PREFIX": str(built.directory), "GCOV_PREFIX_STRIP": "99"}


def _how(done: children.Completed) -> str:
    """How a program ended."""
    if done.stopped:
        return f"{done.stopped} here or later, and was ended"
    try:
        return signal.Signals(-done.returncode).name
    except ValueError:  # it ended by itself, or by a signal without a name
        kind = "exit status" if done.returncode >= 0 else "signal"
        return f"{kind} {abs(done.returncode)}"


def _ended(operation: Operation, done: children.Completed, reports: str) -> Line:
    """The line of an operation at which the program was gone without a word."""
    said = reports.strip().splitlines()
    last = "".join(map(printable, f": {cut(said[-1])}")) if said else ""
    how = _how(done)
    message = f"the program {how if 'was ended' in how else f'ended with {how}'}{last}"
    fault = {"kind": "bug", "address": "0", "message": message, "operation": operation.op}
    return {"n": operation.n, "op": operation.op, "fault": fault}


def _encode(operation: Operation) -> str:
    """An operation as the harness reads it: its name and all arguments."""
    return f"{operation.op} {' '.join(f'{a:x}' for a in _arguments(operation))}"


_ALL_BITS = (1 << 64) - 1


def _arguments(operation: Operation) -> tuple[int, ...]:
    args = operation.args
    if operation.op in ("fail", "failnw"):
        calls = args[1] + 1 if len(args) > 1 else 0  # 0: no number of calls is given
        return (_ALL_BITS if args[0] == NO_LIMIT else args[0], min(calls, _ALL_BITS))
    if operation.op == "cset" and len(args) == 1:
        return (args[0], args[0])
    return args
