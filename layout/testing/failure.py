"""The report of a failing test on its trees: the path to the slot concerned, and the trace."""

from __future__ import annotations

import base64
import lzma
from typing import TYPE_CHECKING

from layout.defects import DEFECTS
from layout.images.decode import decode
from layout.images.image import Image
from layout.machine.machine import TREES, Machine
from layout.mapletree import MapleTree
from layout.memory.errors import MapleLayoutError
from layout.memory.meaning import node_fields
from layout.memory.nodeview import view
from layout.memory.structs import DEFAULT_VERSION
from layout.show.dump import describe_flags, node_heading
from layout.show.dump import text as dump_text
from layout.show.fields import fields_text
from layout.show.mtdump import mt_dump_text
from layout.show.text import plain
from layout.testing.recording import RecordedTree, Recorder
from layout.tree.kernel import Kernel
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from layout.defects.defect import Defect
    from layout.memory.node import NodeMemory
    from layout.memory.nodeview import Visit
    from layout.traces.trace import Operation

MOST_OPERATIONS = 6
"""So many of the last operations are listed."""

MOST_PROBLEMS = 3
"""So many problems of a tree that cannot be read whole are told."""

_INDEX_FIRST = frozenset(
    {"store", "insert", "erase", "load", "walk", "prealloc", "prealloc_raw", "iter", "cset"}
)
"""Recorded operations whose first argument is an index."""

MOST_NODES = 6
"""So many nodes are shown, without the fields that are unused and zero."""

MOST_LINES = 200
"""So many lines of the kernel's dump are shown."""

_LONG = 400
"""Characters of a command beyond which its trace is packed."""

REPRODUCE = ": to reproduce"
"""How the heading of a section with a command ends."""

Section = tuple[str, str]
"""A heading and a text."""


def sections(values: Iterable[object], *, full: bool = False) -> list[Section]:
    """What to tell of the trees, recorders and machines among a test's fixtures.

    Of each tree the nodes on the way to the index that was asked for last, with ``full`` every
    field and the kernel's dump as well; of each recorder how to get there.
    """
    trees: dict[tuple[int, int], tuple[Machine, int]] = {}
    recorders: dict[int, Recorder] = {}
    for value in values:
        for machine, tree in _trees_of(value):
            trees[id(machine), tree] = (machine, tree)
        recorder = value.recorder if isinstance(value, RecordedTree) else value
        if isinstance(recorder, Recorder):
            recorders[id(recorder)] = recorder
    told = []
    for machine, tree in trees.values():
        name = f"maple tree {tree:x} on {machine.arch.name}"
        told.append((name, _brief(machine, tree, _last_index(recorders.values(), machine, tree))))
        if full:
            told.append((f"{name}: fields", _fields(machine, tree)))
            told.append((f"{name}: mt_dump", _mt_dump(machine, tree)))
    return told + [_reproducer(recorder) for recorder in recorders.values() if recorder.operations]


def _last_index(recorders: Iterable[Recorder], machine: Machine, tree: int) -> int | None:
    """The index of the last operation on this tree that was recorded, if it had one."""
    for recorder in recorders:
        if recorder.machine is machine:
            for operation in reversed(recorder.of_tree(tree)):
                if operation.op in _INDEX_FIRST:
                    return operation.args[0]
    return None


def _trees_of(value: object) -> list[tuple[Machine, int]]:
    """The machine and address of each tree that this value stands for."""
    if isinstance(value, MapleTree):
        return [(value.machine, value.address)]
    if isinstance(value, Recorder):
        return [(value.machine, tree.address) for tree in value.trees]
    if isinstance(value, Machine):
        trees = [value.tree(number) for number in range(TREES)]
        return [(value, tree) for tree in trees if value.mem.ma_root(tree)]
    return []


def _brief(machine: Machine, tree: int, index: int | None) -> str:
    """The tree in one line, what is wrong with it, and the slots on the way to ``index``."""
    mem = machine.mem
    try:
        found = decode(mem, tree)
    except MapleLayoutError as error:
        return f"cannot be read: {error}"
    lines = [
        (
            f"root {found.root:x}, flags {found.flags:x} ({describe_flags(found.flags)}), "
            f"{len(found.nodes)} nodes, {len(found.ranges)} ranges"
        )
    ]
    lines += [f"! {problem}" for problem in found.problems[:MOST_PROBLEMS]]
    if index is not None:
        for visit in found.nodes:
            if visit.min <= index <= visit.max:
                lines += [node_heading(visit), *_way(mem, visit, index)]
    return "\n".join(lines)


def _way(mem: NodeMemory, visit: Visit, index: int) -> Iterator[str]:
    """The fields of the slot that ``index`` lies in, marked, and where the node's data ends."""
    seen = view(mem, visit.address, visit.type, visit.min, visit.max)
    slots = [each.slot for each in seen.ranges if each.first <= index <= each.last]
    names = {f"{kind}[{slot}]" for slot in slots for kind in ("pivot", "slot", "gap")}
    fields = node_fields(mem, visit.address, visit.type, visit.min, visit.max)
    told = [field for field in fields if field.name in names or field.name == "meta.end"]
    for field, line in zip(told, map(plain, fields_text(told)), strict=True):
        yield f"{'>' if field.name in names else ' '}{line}"


def _fields(machine: Machine, tree: int) -> str:
    try:
        visits = decode(machine.mem, tree).nodes
        dump = dump_text(machine.mem, tree, visits[:MOST_NODES], fields=True, empty=False)
        lines = list(map(plain, dump))
    except MapleLayoutError as error:
        return f"cannot be read: {error}"
    if len(visits) > MOST_NODES:
        more = len(visits) - MOST_NODES
        lines += ["", f"{more} more nodes: maple-layout dump - --format fields shows all"]
    return "\n".join(lines)


def _mt_dump(machine: Machine, tree: int) -> str:
    image = Image(machine.arch, machine.profile, machine.mem, tree, "a tree", "tree")
    try:
        lines = mt_dump_text(image).splitlines()
    except (MapleLayoutError, IndexError) as error:
        return f"the kernel's dump stops: {error}"
    if len(lines) > MOST_LINES:
        more = len(lines) - MOST_LINES
        lines[MOST_LINES:] = [f"{more} more lines: maple-layout dump - --format mt shows all"]
    return "\n".join(lines)


def _reproducer(recorder: Recorder) -> Section:
    machine = recorder.machine
    layers = [layer for layer in machine.kernel_class.__mro__ if issubclass(layer, Kernel)]
    plain = kernel_of(machine.kernel.version)
    defects = _defects(layers)
    lines = []
    if len(recorder.operations) > MOST_OPERATIONS:
        lines.append(f"... {len(recorder.operations) - MOST_OPERATIONS} operations before")
    lines += [str(operation) for operation in recorder.operations[-MOST_OPERATIONS:]]
    ids = [each.id for each in defects]
    lines.append(command(recorder.operations, machine.arch.name, ids, plain.version))
    if not recorder.replays():
        lines.append(
            "# This does not give the same trees: what the test did to the machine's kernel, memory"
            " or node cache is not in it."
        )
    known = {*plain.__mro__, *(layer for defect in defects for layer in defect.kernel.__mro__)}
    names = [layer.__name__ for layer in layers if layer not in known]
    own = [name for name in names if name != plain.__name__]  # what puts the others in front
    if own:
        changed = ", ".join(own)
        lines.append(f"# The test's kernel is changed by {changed}; the command's is not.")
    return f"maple tree on {machine.arch.name}{REPRODUCE}", "\n".join(lines)


def _defects(layers: Sequence[type]) -> list[Defect]:
    """The defects that a kernel of these classes has, one for those with the same code."""
    found: dict[type, Defect] = {}
    for defect in DEFECTS.values():
        if defect.kernel in layers and defect.kernel is not Kernel:
            found.setdefault(defect.kernel, defect)
    inner = {base for kernel in found for base in kernel.__mro__[1:]}
    return [defect for kernel, defect in found.items() if kernel not in inner]


def command(
    operations: Sequence[Operation],
    arch: str,
    defects: Iterable[str] = (),
    version: str = DEFAULT_VERSION,
) -> str:
    r"""One line for a shell that runs these operations on the machine of this name.

    >>> from layout.traces.trace import Operation
    >>> print(command([Operation(1, "init", (0,)), Operation(2, "store", (1, 2, 0x30))], "m68k"))
    printf 'init 0\nstore 1 2 30\n' | maple-layout run - --arch m68k
    """
    lines = [str(operation) for operation in operations]
    options = [f"--kernel {version}"] if version != DEFAULT_VERSION else []
    options += [f"--defect {name}" for name in defects]
    run = " ".join([f"maple-layout run - --arch {arch}", *options])
    text = "".join(line + r"\n" for line in lines)
    line = f"printf '{text}' | {run}"
    if len(line) <= _LONG:
        return line
    packed = base64.b64encode(lzma.compress("\n".join([*lines, ""]).encode())).decode()
    return min(line, f"echo {packed} | base64 -d | {run}", key=len)
