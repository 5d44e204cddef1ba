"""The first different bytes of kernel and emulator: the node at a mismatch, from both memories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import arches
from layout.ckernel.diff import with_sums
from layout.ckernel.execute import run
from layout.compare.difference import Difference, between_nodes
from layout.compare.live import live_node
from layout.machine.machine import TREES, Machine, Saved
from layout.memory.node import NODE_SIZE
from layout.memory.nodeview import Visit
from layout.memory.pointers import LEAF_64
from layout.traces.runner import Runner
from layout.traces.trace import Operation
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layout.ckernel.build import Built
    from layout.ckernel.diff import Mismatch
    from layout.traces.session import Line

SIDES = ("kernel", "emulator")
_LONGEST = 200


def explain(built: Built, operations: Sequence[Operation], mismatch: Mismatch) -> Difference:
    """The mismatch as a difference: with both nodes if any node's bytes differ.

    The operations are run once more on both sides, up to the one of the mismatch.
    """
    last = mismatch.operation
    done = [operation for operation in operations if operation.n <= last.n]
    if "fault" not in mismatch.fields and with_sums(built.source):
        machine = _emulated(built, done)
        found = node_difference(kernel_memory(built, done), machine)
        if found is not None:
            return _with_operation(found, last)
    field = next((name for name in mismatch.fields if name != "sum"), mismatch.fields[0])
    kernel, emulator = mismatch.told(field)
    values = (_short(kernel), _short(emulator))
    return Difference(SIDES, field, values, line=last.n, op=last.op)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def _with_operation(found: Difference, operation: Operation) -> Difference:
    return Difference(
        SIDES,
        found.field,
        found.values,
        line=operation.n,
        op=operation.op,
        node=found.node,
        offset=found.offset,
        sides=found.sides,
    )


def _emulated(built: Built, operations: Sequence[Operation]) -> Machine:
    runner = Runner(Machine(arches.get(built.arch), kernel=kernel_of(built.source.emulator)))
    for operation in operations:
        runner.execute(operation)
    return runner.machine


def kernel_memory(built: Built, operations: Sequence[Operation]) -> Machine:
    """A machine with the bytes that the kernel's code left behind."""
    lines = run(built, [*operations, *looks(operations[-1].n)]).lines
    return memory_of(built, lines[len(operations) :])


def looks(n: int) -> list[Operation]:
    """Operations that show all memory, as lines ``n``."""
    found = [Operation(n, "memdump", ())]
    for number in range(TREES):
        found += [Operation(n, "sel", (number,)), Operation(n, "treemem", ())]
    return found


def memory_of(built: Built, lines: Sequence[Line]) -> Machine:
    """A machine with the bytes that the lines of ``looks()`` show."""
    machine = Machine(arches.get(built.arch), kernel=kernel_of(built.source.emulator))
    nodes: list[Line] = lines[0]["mem"]
    saved = machine.save()
    trees = bytearray(saved.trees)
    for number, line in enumerate(lines[2::2]):
        memory = bytes.fromhex(line["hex"])
        at = machine.tree(number) - machine.tree_base
        trees[at : at + len(memory)] = memory
    machine.restore(
        Saved(
            bytes(trees),
            tuple(bytes.fromhex(node["hex"]) for node in nodes),
            bytes(node["freed"] for node in nodes),
            (len(nodes), sum(node["freed"] for node in nodes)),
            (),
        )
    )
    return machine


def node_difference(kernel: Machine, emulator: Machine) -> Difference | None:
    """The first node that differs; one that is in a tree comes before one that is not.

    The second machine may have the memory of another kernel, too.
    """
    count = min(kernel.cache.allocated, emulator.cache.allocated)
    differing = [
        address
        for address in (kernel.cache.address(number) for number in range(count))
        if kernel.mem.read(address, NODE_SIZE) != emulator.mem.read(address, NODE_SIZE)
    ]
    top = emulator.arch.ulong_max
    visits = [
        live_node(emulator, address)
        or live_node(kernel, address)
        or Visit(address, LEAF_64, 0, top, -1)
        for address in differing
    ]
    for visit in sorted(visits, key=lambda visit: visit.depth < 0):
        found = between_nodes((kernel.mem, visit), (emulator.mem, visit))
        if found is not None:
            return found
    for address in differing:  # bytes that no field covers
        pair = kernel.mem.read(address, NODE_SIZE), emulator.mem.read(address, NODE_SIZE)
        offset = next(i for i in range(NODE_SIZE) if pair[0][i] != pair[1][i])
        values = (f"{pair[0][offset]:02x}", f"{pair[1][offset]:02x}")
        return Difference(SIDES, "a byte", values, node=address, offset=offset)
    return None
