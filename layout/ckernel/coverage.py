"""The lines of maple_tree.c that traces executed, as counted by gcov."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from layout.ckernel.execute import run
from layout.ckernel.toolchain import ToolMissing
from layout.host import children
from layout.memory.errors import InputError, TraceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from layout.ckernel.build import Built
    from layout.traces.trace import Operation

_CODE = "maple_tree.c"
_NOTES, _COUNTS = ".gcno", ".gcda"
"""What the compiler and the program leave for gcov."""

_LONGEST = 1000
"""Characters of a line that begins a function, at most: matching takes the square of that."""
_DEFINITION = re.compile(r"(?:[a-z_][\w *]*[ *])?([a-z_]\w*)\([^;]*$")
"""A line that begins in the first column, calls something and does not end there."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Lines of maple_tree.c with code, those of them executed, and functions never entered.

    ``missed`` has the numbers of the lines that were not executed, by function; ``counts`` says how
    often each line was.
    """

    lines: int
    executed: int
    never: tuple[str, ...]
    missed: dict[str, list[int]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)

    def __str__(self) -> str:
        share = 100 * self.executed / self.lines
        return f"{self.executed} of {self.lines} lines of {_CODE} executed ({share:.1f} %)"


def forget(built: Built) -> None:
    """Start counting from nothing."""
    for path in built.directory.glob(f"*{_COUNTS}"):
        path.unlink(missing_ok=True)


class Executed(NamedTuple):
    """The numbers of lines of maple_tree.c that were executed, and the functions entered.

    A set: to add what is there already changes nothing.
    """

    lines: frozenset[int] = frozenset()
    entered: frozenset[str] = frozenset()

    def __or__(self, other: Executed) -> Executed:
        return Executed(self.lines | other.lines, self.entered | other.entered)


def executed_alone(
    built: Built, traces: Iterable[Sequence[Operation]], *, seconds: int
) -> Executed:
    """What these traces execute, whatever else this build carries out meanwhile.

    Raises ToolMissing, InputError.
    """
    with tempfile.TemporaryDirectory(prefix="maple-layout-counts-") as name:
        apart = replace(built, directory=Path(name))
        for path in built.directory.iterdir():
            if path.suffix != _COUNTS:
                (apart.directory / path.name).symlink_to(path)
        for operations in traces:
            with suppress(TraceError):  # more nodes than there is room for
                run(apart, operations, seconds=seconds)
        if not any(apart.directory.glob(f"*{_COUNTS}")):  # it ended before it could write them
            return Executed()
        lines, entered = _counted(apart, f"*{_COUNTS}")
    return Executed(
        frozenset(number for number, count in lines.items() if count),
        frozenset(function for function, count in entered.items() if count),
    )


def coverage_of(built: Built, executed: Executed) -> Coverage:
    """The same as coverage() has, of what traces have executed elsewhere.

    A build by another compiler may have other lines with code: this build's count.
    ``counts`` are 1 or 0. Raises ToolMissing, InputError.
    """
    lines, entered = _counted(built, f"*{_NOTES}")
    return _coverage(
        built,
        {number: int(number in executed.lines) for number in lines},
        {function: int(function in executed.entered) for function in entered},
    )


def coverage(built: Built) -> Coverage:
    """What has been executed since forget(). Raises ToolMissing, InputError."""
    return _coverage(built, *_counted(built, f"*{_COUNTS}"))


def _counted(built: Built, names: str) -> tuple[dict[int, int], dict[str, int]]:
    """How often lines of maple_tree.c were executed, and functions entered, by gcov."""
    gcov = shutil.which("gcov")
    if gcov is None:
        message = "gcov is not installed: apt install gcc"
        raise ToolMissing(message)
    data = sorted(path.name for path in built.directory.glob(names))
    if not data:
        message = "nothing has been executed yet: there is no coverage"
        raise InputError(message)
    done = children.run([gcov, "--json-format", "--stdout", *data], cwd=built.directory)
    try:
        lines, entered = _counts(done.stdout)
    except (ValueError, LookupError, TypeError, RecursionError):  # it was stopped, or is another
        lines, entered = {}, {}
    if not lines:
        said = done.stopped or done.stderr.decode(errors="replace").strip()
        message = f"gcov has nothing to say about {_CODE}: {said}"
        raise InputError(message)
    return lines, entered


def _coverage(built: Built, lines: dict[int, int], entered: dict[str, int]) -> Coverage:
    never = tuple(sorted(name for name, count in entered.items() if not count))
    missed: dict[str, list[int]] = {}
    starts = _starts((built.directory / _CODE).read_text(errors="replace"))
    order = sorted(starts)
    for number in sorted(number for number, count in lines.items() if not count):
        function = starts[order[bisect_right(order, number) - 1]]
        missed.setdefault(function, []).append(number)
    return Coverage(len(lines), sum(count > 0 for count in lines.values()), never, missed, lines)


def _counts(printed: bytes) -> tuple[dict[int, int], dict[str, int]]:
    """How often lines were executed, by number, and functions entered, by name."""
    lines: dict[int, int] = {}
    entered: dict[str, int] = {}
    for text in printed.splitlines():
        for file in json.loads(text)["files"]:
            if not file["file"].endswith(_CODE):
                continue
            for line in file["lines"]:
                number = line["line_number"]
                lines[number] = lines.get(number, 0) + line["count"]
            for function in file["functions"]:
                name = function["name"]
                entered[name] = entered.get(name, 0) + function["execution_count"]
    return lines, entered


def _starts(code: str) -> dict[int, str]:
    """The functions by the lines at which they start: gcov has some where the header has them."""
    return {
        number: found[1]
        for number, line in enumerate(code.splitlines(), 1)
        if len(line) < _LONGEST and (found := _DEFINITION.match(line))
    }
