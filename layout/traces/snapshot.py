"""A trace as an image: the state of its machine after the last line, or after another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.images.image import Image, require_tree
from layout.machine.machine import TREES, Machine
from layout.memory.errors import TraceError, UsageError
from layout.traces.runner import Runner
from layout.traces.trace import Operation, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arches import Arch


def check_text(data: bytes, source: str) -> str:
    """A trace file's bytes as text. Raises TraceError."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TraceError(line, "not text: this is no trace", source) from None


def operations(data: bytes, source: str, arch: Arch) -> Iterator[Operation]:
    """The operations of a trace file's bytes. Raises TraceError that names the source."""
    text = check_text(data, source)
    try:
        yield from parse(text.split("\n"), arch.ulong_max)
    except TraceError as error:
        raise TraceError(error.line, error.reason, source) from None


def snapshot(
    data: bytes, *, source: str, arch: Arch, tree: str | None = None, at: int | None = None
) -> Image:
    """Run a trace up to and including line ``at``, and look at ``tree``: K or a hex address.

    Without ``tree`` it is the one that is current then. Raises TraceError, UsageError.
    """
    runner = Runner(Machine(arch))
    notes: list[str] = []
    last = 0
    for operation in operations(data, source, arch):
        if at is not None and operation.n > at:
            break
        last = operation.n
        line = runner.execute(operation)
        if runner.faulted:
            fault = line["fault"]
            notes.append(f"the run ends at line {last} with a fault: {fault['message']}")
            break
    if at is not None and at > (end := data.count(b"\n") + 1):
        message = f"--at {at}: {source} has only {end} lines"
        raise UsageError(message)
    machine = runner.machine
    address = runner.tree
    if tree is not None:
        number = int(tree, 16) if len(tree) <= 18 and _is_hex(tree) else -1
        if number < 0:
            message = f"--tree {tree!r} is neither a tree's number (0 to 7) nor a hex address"
            raise UsageError(message)
        address = machine.tree(number) if number < TREES else number
    require_tree(machine.mem, address, source)
    return Image(arch, machine.profile, machine.mem, address, source, "trace", notes)


def _is_hex(text: str) -> bool:
    return all(char in "0123456789abcdefABCDEF" for char in text.removeprefix("0x")) and text != ""
