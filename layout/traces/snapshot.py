"""A trace as an image: the state of its machine after the last line, or after another one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from layout.images.image import Image, require_tree
from layout.images.nodeastree import doubt, refuse_node
from layout.machine.machine import TREES, Machine
from layout.memory.errors import TraceError, UsageError
from layout.memory.limits import LIMIT
from layout.memory.structs import DEFAULT_VERSION
from layout.traces.runner import Runner
from layout.traces.trace import Operation, parse
from layout.tree.versions import kernel_of

_ADDRESS = re.compile(r"(0[xX])?[0-9a-fA-F]{1,16}")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arches import Arch
    from layout.traces.source import TraceText


def operations(text: TraceText, arch: Arch) -> Iterator[Operation]:
    """The operations of a trace. Raises TraceError that names the source."""
    try:
        yield from parse(text.lines(), arch.ulong_max)
    except TraceError as error:
        raise TraceError(error.line, error.reason, text.source) from None


def snapshot(  # noqa: PLR0913 - what is run, and what is looked at
    text: TraceText,
    *,
    arch: Arch,
    version: str = DEFAULT_VERSION,
    tree: str | None = None,
    at: int | None = None,
    limit: int = LIMIT,
) -> Image:
    """Run a trace up to and including line ``at``, and look at ``tree``: K or a hex address.

    Without ``tree`` it is the one that is current then. ``version`` is the kernel that runs it.
    Raises TraceError, also for a change of the tree that this kernel has no function for;
    UsageError.
    """
    runner = Runner(Machine(arch, kernel=kernel_of(version)), limit)
    notes: list[str] = []
    last = 0
    past = False
    for operation in operations(text, arch):
        past = at is not None and operation.n > at
        if past:
            break
        last = operation.n
        line = runner.execute(operation)
        declared = operation.declared
        if "error" in line and declared.changes and not declared.shows_memory:
            missing = f"Linux {version} has no {declared.callee}"
            reason = f"{operation.op}: {missing}: take the line out, or give another --kernel"
            raise TraceError(last, reason, text.source)
        if runner.faulted:
            fault = line["fault"]
            notes.append(f"the run ends at line {last} with a fault: {fault['message']}")
            break
    if at is not None and not past and at > last and at > (end := text.count()):
        message = f"--at {at}: {text.source} has only {end} lines"
        raise UsageError(message)
    if not last and at is None:
        notes.append(f"{text.source} has no operation: its trees are empty")
    machine = runner.machine
    address = runner.tree
    if tree is not None:
        number = int(tree, 16) if _ADDRESS.fullmatch(tree) else -1
        if number < 0:
            message = f"--tree {tree[:40]!r} is neither a tree's number (0 to 7) nor a hex address"
            raise UsageError(message)
        address = machine.tree(number) if number < TREES else number
        refuse_node([machine.mem], address, text.source)
    require_tree(machine.mem, address, text.source)
    if tree is not None and (unlikely := doubt(machine.mem, address)):
        notes.append(unlikely)
    return Image(arch, machine.profile, machine.mem, address, text.source, "trace", notes)
