"""What a failing test tells of its trees: every field, the kernel's dump, and how to get there."""

from __future__ import annotations

import base64
import lzma
from typing import TYPE_CHECKING

from layout.images.decode import decode
from layout.images.image import Image
from layout.machine.machine import TREES, Machine
from layout.mapletree import MapleTree
from layout.memory.errors import MapleLayoutError
from layout.show.dump import text as dump_text
from layout.show.fields import UNUSED_TEXT
from layout.show.mtdump import mt_dump_text
from layout.show.text import plain
from layout.testing.recording import RecordedTree, Recorder
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from layout.traces.trace import Operation

MOST_NODES = 6
"""So many nodes are shown, without the fields that are unused and zero."""

MOST_LINES = 200
"""So many lines of the kernel's dump are shown."""

_LONG = 2000
"""Characters of a command beyond which its trace is packed."""

Section = tuple[str, str]
"""A heading and a text."""


def sections(values: Iterable[object]) -> list[Section]:
    """What to tell of the trees, recorders and machines among a test's fixtures."""
    trees: dict[tuple[int, int], tuple[Machine, int]] = {}
    recorders: dict[int, Recorder] = {}
    for value in values:
        for machine, tree in _trees_of(value):
            trees[id(machine), tree] = (machine, tree)
        recorder = value.recorder if isinstance(value, RecordedTree) else value
        if isinstance(recorder, Recorder):
            recorders[id(recorder)] = recorder
    told = [section for machine, tree in trees.values() for section in _dumps(machine, tree)]
    return told + [_reproducer(recorder) for recorder in recorders.values() if recorder.operations]


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


def _dumps(machine: Machine, tree: int) -> list[Section]:
    name = f"maple tree {tree:x} on {machine.arch.name}"
    return [
        (f"{name}: fields", _fields(machine, tree)),
        (f"{name}: mt_dump", _mt_dump(machine, tree)),
    ]


def _fields(machine: Machine, tree: int) -> str:
    try:
        visits = decode(machine.mem, tree).nodes
        dump = dump_text(machine.mem, tree, visits[:MOST_NODES], fields=True)
        lines = [line for line in map(plain, dump) if not line.endswith(f"  {UNUSED_TEXT}")]
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
    lines = [command(recorder.operations, machine.arch.name)]
    if not recorder.replays():
        lines.append(
            "# This does not give the same trees: what the test did to the machine's kernel, memory"
            " or node cache is not in it."
        )
    before = machine.kernel_class.__mro__[: machine.kernel_class.__mro__.index(Kernel)]
    if names := [layer.__name__ for layer in before if layer.__name__ != Kernel.__name__]:
        changed = ", ".join(names)
        lines.append(f"# The test's kernel is changed by {changed}; the command's is not.")
    return f"maple tree on {machine.arch.name}: to reproduce", "\n".join(lines)


def command(operations: Sequence[Operation], arch: str) -> str:
    r"""One line for a shell that runs these operations on the machine of this name.

    >>> from layout.traces.trace import Operation
    >>> print(command([Operation(1, "init", (0,)), Operation(2, "store", (1, 2, 0x30))], "m68k"))
    printf 'init 0\nstore 1 2 30\n' | maple-layout run - --arch m68k
    """
    lines = [str(operation) for operation in operations]
    run = f"maple-layout run - --arch {arch}"
    text = "".join(line + r"\n" for line in lines)
    line = f"printf '{text}' | {run}"
    if len(line) <= _LONG:
        return line
    packed = base64.b64encode(lzma.compress("\n".join([*lines, ""]).encode())).decode()
    return f"echo {packed} | base64 -d | {run}"
