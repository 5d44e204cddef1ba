"""A corpus: a folder of traces, each named by a hash of its text, written for 64-bit machines.

A machine with 32-bit words carries out the same traces with smaller numbers: see narrow().
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from layout.ckernel.sums import SummingRunner
from layout.host.files import write
from layout.memory.errors import InputError
from layout.traces.language import NO_LIMIT, Kind
from layout.traces.trace import parse
from layout.traces.transcript import comparable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from arches import Arch
    from layout.traces.session import Line
    from layout.traces.trace import Operation

SUFFIX = ".trace"
_OURS = re.compile(r"[0-9a-f]{12}\.trace")

_WIDE, _NARROW = (1 << 64) - 1, (1 << 32) - 1
_NEAR = 1 << 30
"""Numbers so near to either end keep their distance from it in 32 bits."""
_SQUEEZE = 33
_NODES = 0x1000000000 - 0x10000
_NARROW_NODES = 0x10000000 - 0x10000
"""Where the trees of both widths are; nodes follow."""


def name_of(text: str) -> str:
    """The name of a trace in a corpus."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_corpus(folder: Path) -> dict[str, list[Operation]]:
    """The traces of a folder by name, in alphabetical order. Raises InputError, OSError."""
    found = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if not path.is_file():  # reading a pipe would wait for ever
            message = f"{path} is no file: take it out of the corpus"
            raise InputError(message)
        try:
            found[path.name.removesuffix(SUFFIX)] = operations_of(path.read_text())
        except UnicodeDecodeError:
            message = f"{path} is no trace: take it out of the corpus"
            raise InputError(message) from None
        except InputError as error:
            message = f"{path}: {error}"
            raise InputError(message) from None
    return found


def operations_of(text: str) -> list[Operation]:
    """The operations of a trace for 64-bit machines. Raises TraceError."""
    return list(parse(text.splitlines(), _WIDE))


def text_of(operations: Iterable[Operation]) -> str:
    """The trace of these operations."""
    return "".join(f"{operation}\n" for operation in operations)


def write_corpus(folder: Path, texts: Iterable[str]) -> int:
    """Make the folder's traces be these and no others; how many they are. Raises OSError.

    What is not named as a corpus names its traces stays: somebody has put it there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {f"{name_of(text)}{SUFFIX}": text for text in texts}
    for name, text in wanted.items():
        if not (folder / name).exists():
            write(folder / name, text)
    for path in folder.glob(f"*{SUFFIX}"):
        if path.name not in wanted and _OURS.fullmatch(path.name):
            path.unlink()
    return len(wanted)


def narrow(operations: Sequence[Operation], arch: Arch) -> list[Operation]:
    """The operations for a machine of any width: with 32-bit words numbers are squeezed.

    The order of indexes stays; those near 0 or near the largest one stay as near to it.
    """
    if arch.ulong_max == _WIDE:
        return list(operations)
    narrowed = []
    for operation in operations:
        pairs = zip(operation.declared.arguments, operation.args, strict=False)
        args = tuple(_narrow(argument.kind, value) for argument, value in pairs)
        narrowed.append(replace(operation, args=args))
    return narrowed


def _narrow(kind: Kind, value: int) -> int:
    if value == NO_LIMIT or value < _NEAR:
        return value
    if kind is Kind.ADDRESS:
        return value - _NODES + _NARROW_NODES & _NARROW
    if _WIDE - value < _NEAR:
        return value & _NARROW
    squeezed = _NEAR + (value >> _SQUEEZE)
    return squeezed & ~3 | value & 3 if kind is Kind.ENTRY else squeezed


# -- what a trace does, as a number


def digest(lines: Iterable[Line]) -> str:
    """A hash of a transcript with sums: all bytes of memory after each operation.

    Equal for the kernel's own code and the emulator. Of a fault it has only that there is one.
    """
    whole = hashlib.sha256()
    for line in lines:
        told = {"n": line["n"], "fault": True} if "fault" in line else comparable(line)
        whole.update(json.dumps(told, sort_keys=True).encode())
    return whole.hexdigest()[:32]


def emulated(
    operations: Sequence[Operation], arch: Arch, version: str, *, in_python: bool = False
) -> Iterable[Line]:
    """The emulator's transcript of a trace, with sums, up to a fault."""
    runner = SummingRunner(arch, version, in_python=in_python)
    for operation in operations:
        yield runner.execute(operation)
        if runner.faulted:
            return
