import random
from pathlib import Path

import pytest

import arches
from layout import compiled
from layout.compare import lockstep
from layout.compare.difference import between_images
from layout.compare.live import live_node
from layout.compare.lockstep import compare, compare_trace
from layout.images.decode import decode
from layout.machine.machine import Machine
from layout.traces.inputs import load
from layout.traces.runner import Runner
from layout.traces.source import TraceText
from layout.traces.trace import parse

TOP = 2**64 - 1
FIXTURES = Path(__file__).parents[2] / "fixtures"
THREE = [arches.get(name) for name in arches.THREE]
LONG = ("16", "17")  # their transcripts are compared with the kernel's in any case
SHORT = [path for path in sorted(FIXTURES.glob("golden/*.trace")) if path.name[:2] not in LONG]


def operations(text):
    return parse(text.split("\n"), TOP)


@pytest.mark.long
@pytest.mark.parametrize("trace", SHORT, ids=lambda path: path.stem)
def test_goldens_mean_the_same_everywhere(trace):
    outcome = compare(operations(trace.read_text()), THREE)
    if outcome.bad:  # a livelock, as the kernel's own transcript has it
        assert "15" in trace.stem
        assert "refused memory" in outcome.bad
    assert outcome.difference is None
    assert outcome.operations > 100


def test_summary_counts():
    text = "init 1\n" + "\n".join(f"store {i * 16:x} {i * 16 + 7:x} 3001" for i in range(40))
    outcome = compare(operations(text), THREE)
    assert outcome.as_json() == {"equal": True, "operations": 41, "first_difference": None}
    assert outcome.height == 2
    assert outcome.splits > 3
    assert outcome.nodes > 5
    assert outcome.swapped_bytes > 100


@pytest.mark.parametrize(
    ("offset", "field", "values"),
    [
        (0, "parent", ["fffff0077", "7700000fffff0001"]),
        (7, "parent", ["7700000fffff0001", "fffff0077"]),
        (8, "pivot[0]", ["77", "770000000000000f"]),
        (0x88, "slot[1]", ["3077", "7700000000003001"]),
        (0x97, "slot[2]", ["7700000000000000", "77"]),
    ],
)
def test_a_poked_byte_means_something_else_in_another_byte_order(offset, field, values):
    text = f"init 0\nstore 10 20 3001\npoke 1000000000 {offset:x} 77\nload 0"
    outcome = compare(operations(text), THREE[:2])
    assert outcome.as_json() == {
        "equal": False,
        "operations": 3,
        "first_difference": {
            "line": 3,
            "arches": ["x86_64", "s390x"],
            "node": "1000000000",
            "offset": offset // 8 * 8,
            "field": field,
            "values": values,
        },
    }


def test_metadata_bytes_mean_the_same_everywhere():
    text = "init 0\nstore 10 20 3001\npoke 1000000000 f8 1"
    assert compare(operations(text), THREE).difference is None


def test_results_are_compared_too():
    # the byte is not in a live node, so only the result differs
    text = "init 0\nstore 10 20 3001\nerase 10\npoke fffff0000 8 40\nload 0"
    outcome = compare(operations(text), THREE[:2])
    assert outcome.difference.line == 5
    assert outcome.difference.field == "entry"
    assert outcome.difference.node is None


def save(tmp_path, name, text, arch):
    from layout.show.dump import json_text

    runner = Runner(Machine(arches.get(arch)))
    for operation in operations(text):
        runner.execute(operation)
    visits = decode(runner.mem, runner.tree).nodes
    path = tmp_path / name
    path.write_text("".join(json_text(runner.mem, runner.tree, visits)))
    return load(str(path))


BUILD = "init 1\n" + "\n".join(
    f"store {i * 16:x} {i * 16 + 7:x} {i * 256 + 1:x}" for i in range(40)
)


def test_dumps_of_two_machines_are_equal(tmp_path):
    images = [save(tmp_path, name, BUILD, name) for name in ("x86_64", "sparc64")]
    assert between_images(*images) is None


def test_every_byte_of_a_changed_image_is_found(tmp_path):
    """All bytes of a leaf but those that mean nothing there."""
    good = save(tmp_path, "good", BUILD, "s390x")
    leaf = decode(good.memory, good.tree).nodes[1]
    missed = []
    for at in range(256):
        bad = load(str(tmp_path / "good"))
        old = bad.memory.read_u8(leaf.address + at)
        bad.memory.write_u8(leaf.address + at, old ^ 0x40)
        difference = between_images(good, bad)
        if difference is None:
            missed.append(at)
        else:
            assert difference.node == leaf.address
            assert difference.offset <= at < difference.offset + 8
    assert missed == list(range(250, 256))  # beside the metadata


def test_same_tree_at_another_address(tmp_path):
    a = save(tmp_path, "a", BUILD, "x86_64")
    b = save(
        tmp_path,
        "b",
        "sel 1\n" + BUILD.replace("init 1\n", "init 1\nstore 0 0 5002\ndestroy\n"),
        "x86_64",
    )
    assert a.tree != b.tree
    assert between_images(a, b) is None


def test_different_trees(tmp_path):
    a = save(tmp_path, "a", BUILD, "x86_64")
    b = save(tmp_path, "b", BUILD + "\nstore 5 6 9001", "x86_64")
    assert between_images(a, b).field == "pivot[0]"
    c = save(tmp_path, "c", "init 1\nstore 5 6 9001", "x86_64")
    assert between_images(a, c).field == "ma_flags"


def test_live_nodes_are_told_from_dead_ones():
    machine = Machine(arches.get("s390x"))
    runner = Runner(machine)
    for operation in operations(BUILD):
        runner.execute(operation)
    live = {visit.address: visit for visit in decode(machine.mem, machine.tree(0)).nodes}
    for number in range(machine.cache.allocated):
        address = machine.cache.address(number)
        assert live_node(machine, address) == live.get(address)
        assert machine.cache.freed_map[number] == (address not in live)
    assert live_node(machine, machine.tree(0)) is None


@pytest.mark.skipif(compiled.why_not() != "", reason="only compiled machines forget")
@pytest.mark.parametrize("names", [("x86_64", "s390x", "sparc64"), ("i386", "hppa")])
def test_freed_nodes_are_forgotten_once_they_were_compared(names, monkeypatch):
    """Nothing that is told changes, the bytes that differ only by byte order included."""
    rng = random.Random(1)
    lines = ["init 1"]
    for i in range(1500):
        at = rng.randrange(300) * 16
        lines.append(rng.choice((f"store {at:x} {at + 15:x} {i << 12 | 1:x}", f"erase {at:x}")))
    text = TraceText("\n".join(lines).encode(), "t")
    machines = [arches.get(name) for name in names]
    made = []
    runners = lockstep._runners
    monkeypatch.setattr(lockstep, "_runners", lambda *args: made.append(runners(*args)) or made[-1])
    outcomes = []
    for forget in (False, True):
        monkeypatch.setattr(lockstep, "may_forget", lambda *_, forget=forget: forget)
        outcomes.append(compare_trace(text, machines))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].swapped_bytes > 1000
    poison = b"\x6b" * 256
    kept, dropped = ([each.mem.near_cells().count(poison) for each in them] for them in made)
    assert not any(kept)
    assert min(dropped) > 100
    assert {each.cache.room - 2**23 for each in made[1]} == {dropped[0]}


@pytest.mark.skipif(compiled.why_not() != "", reason="only compiled machines forget")
def test_a_difference_is_told_all_the_same_where_nodes_are_forgotten(monkeypatch):
    lines = ["init 0", *(f"store {i % 90:x} {i % 90:x} {i << 12 | 1:x}" for i in range(600))]
    data = "\n".join([*lines, "poke 1000000000 8 77"]).encode()
    machines = [arches.get("x86_64"), arches.get("s390x")]
    told = []
    for forget in (False, True):
        monkeypatch.setattr(lockstep, "may_forget", lambda *_, forget=forget: forget)
        outcome = compare_trace(TraceText(data, "t"), machines)
        told.append((outcome.as_json(), outcome.swapped_bytes))
    assert told[0] == told[1]
    assert told[0][1] == 0 or outcome.difference is None
