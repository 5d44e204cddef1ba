import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from machines import THREE

import arches
from layout.machine.machine import Machine
from layout.memory.errors import KernelError, MachineFault
from layout.testing.failure import command, sections
from layout.testing.recording import Recorder
from layout.traces.language import Kind
from layout.traces.operations import OPERATIONS
from layout.traces.trace import Operation, parse
from layout.tree.kernel import Kernel

TOP = 2**64 - 1
pytestmark = pytest.mark.maple_arch(*THREE)


@pytest.fixture
def recorder(maple_machine):
    return Recorder(maple_machine)


def lines(recorder):
    return [str(operation) for operation in recorder.operations]


def test_every_operation_of_a_tree_becomes_a_line_that_gives_the_same_bytes(recorder):
    tree = recorder(alloc_range=True, rcu=True)
    tree.store(0x10, 0x1F, 0x3001)
    with pytest.raises(KernelError):
        tree.insert(0x18, 0x28, 0x4001)
    assert tree.load(0x10) == 0x3001
    tree.range_at(5)
    assert [r.first for r in tree] == [r.first for r in reversed(tree)] == [0x10]
    tree.find_empty_area(8)
    tree.find_empty_area(8, 0, 0xFF, reverse=True)
    with tree.preallocate(0x30, 0x3F, 0x5001) as write:
        write.store()
    with tree.preallocate(0x40, 0x4F, 0x6001):
        pass
    copy = tree.copy()
    tree.erase(0x10)
    copy.check()
    tree.clear()
    assert lines(recorder) == [
        "init 3",
        "store 10 1f 3001",
        "insert 18 28 4001",
        "load 10",
        "walk 5",
        "iter 0 ffffffffffffffff",
        "cset ffffffffffffffff",
        "cfind_rev 0",
        "cset f",
        "cfind_rev 0",
        "empty_area 0 ffffffffffffffff 8",
        "empty_area_rev 0 ff 8",
        "prealloc 30 3f 5001",
        "prealloc_raw 40 4f 6001",
        "sel 1",
        "init 3",
        "sel 0",
        "dup_noinit 1",
        "erase 10",
        "sel 1",
        "validate",
        "sel 0",
        "destroy",
    ]
    assert list(parse(lines(recorder), TOP)) == recorder.operations
    assert recorder.replays()


def test_lines_of_all_operations_are_understood():
    numbers = {Kind.FLAGS: 3, Kind.TREE: 2, Kind.BYTE: 0xFF, Kind.SWITCH: 1}
    for op, declared in OPERATIONS.items():
        args = tuple(numbers.get(argument.kind, 0x1F) for argument in declared.arguments)
        shorter = args[: declared.required]
        for given in [args, shorter, *([(-1,)] if declared.may_be_off else [])]:
            wanted = Operation(2, op, given)
            assert list(parse(["cset 0", str(wanted)], TOP))[1] == wanted


def test_what_is_refused_before_it_starts_is_not_recorded(recorder):
    tree = recorder()
    with pytest.raises(ValueError, match="does not fit"):
        tree.load(1 << 64)
    assert lines(recorder) == ["init 0"]


def test_what_was_done_behind_its_back_is_told(recorder):
    tree = recorder()
    tree.store(0x10, 0x1F, 0x3001)
    told = dict(sections([tree]))[f"maple tree on {recorder.machine.arch.name}: to reproduce"]
    assert "#" not in told
    [node] = tree.nodes()
    tree.machine.mem.set_pivot(node.address, 0, 0xE)
    told = dict(sections([tree]))[f"maple tree on {recorder.machine.arch.name}: to reproduce"]
    assert told.splitlines()[-1].startswith("# This does not give the same trees")


def test_a_changed_kernel_is_named():
    class Forgetful(Kernel):
        def mtree_erase(self, _tree, _index):
            return 0

    tree = Recorder(Machine(arches.get("s390x"), kernel=Forgetful))()
    tree.store(1, 2, 0x3001)
    tree.erase(1)
    told = dict(sections([tree]))["maple tree on s390x: to reproduce"]
    assert told.splitlines()[-1] == (
        "# The test's kernel is changed by Forgetful; the command's is not."
    )
    assert "--defect" not in told


def test_only_eight_trees_fit_into_a_trace(recorder):
    trees = [recorder() for _ in range(8)]
    assert recorder.replays()
    trees.append(recorder())
    assert not recorder.replays()


def test_a_fault_is_the_last_thing_that_a_trace_does(recorder):
    tree = recorder()
    for i in range(40):
        tree.store(i, i, 0x3001)
    tree.machine.mem.set_ma_root(tree.address, 0x700000000E)
    with pytest.raises(MachineFault):
        tree.load(5)
    assert not recorder.replays()
    headings = dict(sections([tree], full=True))
    name = f"maple tree fffff0000 on {recorder.machine.arch.name}"
    assert "! tree fffff0000: ma_root" in headings[name]
    assert "root leaf_64 node 7000000000" in headings[f"{name}: fields"]
    assert "the kernel's dump stops" in headings[f"{name}: mt_dump"]


@pytest.mark.parametrize("count", [3, 400])
def test_the_command_runs(recorder, count):
    """Short traces are readable in it, long ones are packed."""
    tree = recorder()
    for i in range(count):
        tree.store(i * 16, i * 16 + 9, i << 1 | 1)
    line = command(recorder.operations, recorder.machine.arch.name)
    assert len(line) < 4000
    assert ("printf" in line) == (count == 3)
    program = shlex.quote(str(Path(sys.executable).with_name("maple-layout")))
    done = subprocess.run(
        ["sh", "-c", line.replace("maple-layout", program)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout.splitlines()) == count + 1
    assert f'"root":"{tree.machine.mem.ma_root(tree.address):x}"' in done.stdout.splitlines()[-1]


def test_long_dumps_are_cut(recorder):
    tree = recorder()
    for i in range(400):
        tree.store(i * 16, i * 16 + 9, i << 1 | 1)
    told = dict(sections([tree], full=True))
    name = f"maple tree fffff0000 on {recorder.machine.arch.name}"
    assert told[f"{name}: fields"].endswith(
        "more nodes: maple-layout dump - --format fields shows all"
    )
    assert told[f"{name}: mt_dump"].endswith(
        "more lines: maple-layout dump - --format mt shows all"
    )
    assert max(text.count("\n") for text in told.values()) <= 201
