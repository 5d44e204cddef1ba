"""Long traces: the bytes of freed nodes are forgotten only where nothing can show them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import arches
from layout import compiled
from layout.machine.equip import equip
from layout.machine.machine import Machine
from layout.machine.watch import shadow
from layout.machine.watch.check import CHECK
from layout.machine.watch.sections import SECTIONS
from layout.traces import stream
from layout.traces.runner import Runner
from layout.traces.source import TraceText
from layout.traces.stream import Stream
from layout.traces.trace import OPERATIONS

FIXTURES = Path(__file__).parents[2] / "fixtures"
ARCHES = ("x86_64", "s390x", "sparc64", "arm", "m68k")
FREED = b"6b" * 256


@pytest.fixture(autouse=True)
def extension():
    """Only compiled machines forget."""
    if compiled.why_not():
        pytest.skip(compiled.why_not())


@pytest.fixture(autouse=True)
def short_is_long(monkeypatch):
    """Every trace is long enough."""
    monkeypatch.setattr(stream, "_LONG", 0)


def transcript(data, arch="s390x", *, forget=True, machine=None, always=False):
    """What a trace gives; ``always`` forgets although a line may show it."""
    machine = machine or Machine(arches.get(arch))
    carried_out = Stream(Runner(machine), TraceText(data, "t"), forget=forget)
    with pytest.MonkeyPatch.context() as patch:
        if always:
            patch.setattr(stream, "may_forget", lambda *_: True)
        told = b"".join(carried_out.transcript())
    assert machine.core is not None
    assert machine.core.forget is False
    return told, machine


def poisoned(machine):
    """Nodes whose bytes were forgotten."""
    return machine.mem.near_cells().count(b"\x6b" * 256)


def plain_lines(rng, count, top):
    """Random lines of the kinds that let nodes be forgotten; also such as make little sense."""
    near = [0, 1, 0xF, 0x10, top - 1, top, *(rng.randrange(top) for _ in range(30))]

    def index():
        return min(top, rng.choice((rng.choice(near), rng.randrange(0x4000))))

    def entry():
        # NULL, values, pointers, reserved ones, and what looks like a node of this machine
        return rng.choice((0, 0x3001, rng.randrange(1 << 20) << 1 | 1, 0x7FFF0000, 2, 0x402, 0x1E))

    for _ in range(count):
        a, b = sorted((index(), min(top, index() + rng.randrange(0x100))))
        if rng.random() < 0.7:
            b = min(top, a + rng.choice((0, 0xF, 0x40, 0x3FF)))
        size = rng.choice((0, 1, 0x10, 0x1000, top))
        yield rng.choice(
            (
                *(f"store {a:x} {b:x} {entry():x}",) * 6,
                *(f"erase {a:x}",) * 4,
                *(f"storenw {a:x} {b:x} {entry():x}", f"mstore {a:x} {b:x} {entry():x}"),
                *(f"insert {a:x} {b:x} {entry():x}", f"load {a:x}", f"find {a:x} {b:x}"),
                *(f"find_after {a:x} {b:x}", f"next {a:x} {b:x}", f"prev {b:x} {a:x}"),
                *(f"walk {a:x}", f"iter {a:x} {b:x}", f"iter 0 {top:x}"),
                *(f"empty_area {a:x} {b:x} {size:x}", f"empty_area_rev {a:x} {b:x} {size:x}"),
                f"alloc_range {entry():x} {size:x} {a:x} {b:x}",
                f"alloc_rrange {entry():x} {size:x} {a:x} {b:x}",
            )
        )
        if rng.random() < 0.002:
            yield rng.choice(("init 0", "init 1", f"store 0 {top:x} 0", "# a comment", ""))


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("seed", range(6))
def test_no_plain_line_shows_a_freed_node(arch, seed):
    rng = random.Random(f"{arch} {seed}")
    top = arches.get(arch).ulong_max
    lines = [f"init {seed & 1}", *plain_lines(rng, 4000, top)]
    data = "\n".join(lines).encode()
    kept, whole = transcript(data, arch, forget=False)
    forgotten, machine = transcript(data, arch)
    assert kept == forgotten
    assert poisoned(machine) > 30
    assert not poisoned(whole)
    # nor is anything that is in use forgotten
    pairs = zip(whole.mem.near_cells(), machine.mem.near_cells(), strict=True)
    freed = whole.cache.freed_map
    differing = {number for number, (ours, theirs) in enumerate(pairs) if ours != theirs}
    assert all(freed[number] for number in differing)


@pytest.mark.parametrize(
    "path", sorted(FIXTURES.glob("golden/*.trace")), ids=lambda path: path.stem
)
def test_goldens_tell_the_same_while_forgetting(path):
    data = path.read_bytes()
    assert transcript(data)[0] == transcript(data, forget=False)[0]


BUILD = "\n".join(f"store {i * 16:x} {i * 16 + 7:x} {0x3001 + 4 * i:x}" for i in range(200))
ERASE = "\n".join(f"erase {i * 16:x}" for i in range(200))
NODE = "1000000000"
SHOWS = {
    "memdump": f"init 0\n{BUILD}\n{ERASE}\nmemdump",
    "dump": f"init 0\n{BUILD}\n{ERASE}\nload 0\ndump",
    "mtdump": f"init 0\n{BUILD}\n{ERASE}\nload 0\nmtdump",
    "a poke of a freed node": f"init 0\n{BUILD}\n{ERASE}\nload 0\npoke {NODE} 20 11",
    "a cursor": f"init 0\n{BUILD}\ncset 100\ncwalk\n{ERASE}\nload 0\ncnext ffff\ncprev 0",
    "a cursor that finds": f"init 0\n{BUILD}\ncset 0\ncfind ffff\n{ERASE}\nload 0\ncfind ffff",
    "a cursor in RCU mode": f"init 2\n{BUILD}\ncset 100\ncwalk\n{ERASE}\nload 0\ncnext ffff",
    "RCU mode": f"init 2\n{BUILD}\n{ERASE}\niter 0 ffff\nmemdump",
    "RCU mode by a line": f"init 0\nrcu on\n{BUILD}\n{ERASE}\nmemdump",
    "callbacks held up": f"init 2\n{BUILD}\nrcu_lock\n{ERASE}\nload 0\nrcu_unlock\nload 0\nmemdump",
    "a stale pointer that was poked": (
        f"init 0\n{BUILD}\nsel 1\ninit 0\nstore 10 20 3001\nsel 0\n{ERASE}\nload 0\n"
        f"sel 1\npoke fffff0048 0 0\nload 10\nwalk 10\niter 0 ff\ndump\nmemdump"
    ),
    "preallocation": f"init 0\n{BUILD}\nexpect_raw 20\n{ERASE}\nprealloc_raw 0 fff 5001\nmemdump",
    "dup and destroy": f"init 0\n{BUILD}\ndup 1\ndestroy\nsel 1\ndestroy\nload 0\nmemdump",
    "refused memory": f"init 0\n{BUILD}\nfail 0 2\nstore 5 900 9001\n{ERASE}\nmemdump",
    "bulk": f"init 0\nbulk 40 20 0 10 8 3001\n{ERASE}\nload 0\nmemdump",
}
"""Traces with a line that may show what lies in a freed node."""


@pytest.mark.parametrize("data", SHOWS.values(), ids=SHOWS)
@pytest.mark.parametrize("arch", ["s390x", "x86_64"])
def test_what_may_show_a_freed_node_keeps_them_all(data, arch):
    kept, whole = transcript(data.encode(), arch, forget=False)
    told, machine = transcript(data.encode(), arch)
    assert told == kept
    assert machine.save() == whole.save()
    assert not poisoned(machine)


@pytest.mark.parametrize(
    "name", ["memdump", "a poke of a freed node", "a cursor", "RCU mode", "dup and destroy"]
)
def test_these_would_show_it(name):
    # so the tests above can fail
    data = SHOWS[name].encode()
    assert transcript(data, always=True)[0] != transcript(data, forget=False)[0]


def test_a_machine_that_is_looked_at_keeps_all():
    data = f"init 0\n{BUILD}\n{ERASE}".encode()
    runner = Runner(Machine(arches.get("s390x")))
    assert len(b"".join(Stream(runner, TraceText(data, "t")).transcript()))
    assert not poisoned(runner.machine)


def test_a_machine_in_use_keeps_all():
    # a state from before may point to any node
    def run(*, forget):
        runner = Runner(Machine(arches.get("s390x")))
        b"".join(Stream(runner, TraceText(f"init 0\n{BUILD}".encode(), "t")).transcript())
        mas = runner.kernel.new_state(runner.tree, 0x100)
        found = [runner.kernel.mas_walk(mas)]
        b"".join(
            Stream(runner, TraceText(f"{ERASE}\nload 0".encode(), "t"), forget=forget).transcript()
        )
        found.append(runner.mem.read(mas.node & ~0xFF, 256))
        return found, runner.machine.save()

    assert run(forget=True) == run(forget=False)


def test_nodes_that_are_handed_out_again_keep_their_bytes():
    data = f"init 0\n{BUILD}\n{ERASE}\n{BUILD}\nstore 0 ffff 1\n{BUILD}".encode()
    machines = [Machine(arches.get("s390x"), reuse_nodes=True) for _ in range(2)]
    kept, forgotten = (
        transcript(data, machine=machine, forget=forget)[0]
        for machine, forget in zip(machines, (False, True), strict=True)
    )
    assert kept == forgotten
    assert machines[0].save() == machines[1].save()


def test_forgetting_ends_where_the_transcript_is_left():
    machine = Machine(arches.get("s390x"))
    data = f"init 0\n{BUILD}\n".encode() + b"iter 0 ffff\n" * 200
    lines = Stream(Runner(machine), TraceText(data, "t"), forget=True).transcript()
    next(lines)
    assert machine.core.forget
    lines.close()
    assert not machine.core.forget


def test_a_forgotten_node_that_is_written_to_keeps_its_other_bytes():
    _, machine = transcript(f"init 0\n{BUILD}\n{ERASE}\nload 0".encode())
    number = machine.mem.near_cells().index(b"\x6b" * 256)
    node = machine.node_base + 256 * number
    machine.mem.write_u8(node + 9, 0x11)
    assert machine.mem.read(node, 256) == b"\x6b" * 9 + b"\x11" + b"\x6b" * 246


def checked(data, arch="s390x", *, forget):
    """The transcript of a run that is watched, the machine, and how many nodes were forgotten."""
    machine = equip(arch, watch=[CHECK, SECTIONS])
    forgotten = []
    plain = machine.mem.forget
    machine.mem.forget = lambda cell: forgotten.append(cell) or plain(cell)
    carried_out = Stream(Runner(machine), TraceText(data, "t"), forget=forget)
    return b"".join(carried_out.transcript()), machine, len(forgotten)


@pytest.mark.parametrize("arch", ["s390x", "i386"])
def test_a_watched_machine_forgets_what_no_line_shows(arch):
    rng = random.Random(arch)
    lines = ["init 1", *plain_lines(rng, 400, arches.get(arch).ulong_max)]
    data = "\n".join(lines).encode()
    kept, whole, none = checked(data, arch, forget=False)
    told, machine, count = checked(data, arch, forget=True)
    assert (told, none) == (kept, 0)
    assert count == sum(machine.cache.freed_map) > 10
    assert whole.cache.freed_map == machine.cache.freed_map
    for number, freed in enumerate(machine.cache.freed_map):
        node = machine.cache.address(number)
        at = node - machine.mem.near_base
        tags = machine.mem.shadow.tags[at : at + 256]
        if freed:  # no history, no bytes
            assert node not in machine.sections.nodes
            assert set(tags) == {shadow.tag(shadow.NEVER)}
            assert not any(machine.mem.read(node, 256))
        else:
            assert tags == whole.mem.shadow.tags[at : at + 256]
            assert machine.mem.read(node, 256) == whole.mem.read(node, 256)


@pytest.mark.parametrize("name", SHOWS)
def test_a_watched_machine_keeps_what_may_be_shown(name):
    data = SHOWS[name].encode()
    if name in {"a cursor in RCU mode", "a poke of a freed node", "memdump", "bulk"}:
        assert checked(data, forget=True)[2] == 0
    assert stream._SHOWS.search(data)


def test_python_and_compiled_code_know_the_same_lines():
    machine = Machine(arches.get("x86_64"))
    words = [*OPERATIONS, "init", "storex", "store_", "iterate", "#", "", "find 1", " load 1"]
    ends = ("", " 0", " 1", " 2", " 0 ", "\r", " 10 20 30", "\t1 2", "#")
    for line in (before + word + end for before in ("", " \t") for word in words for end in ends):
        data = line.encode()
        plain = machine.core.extension.Replay(machine.core, data).shows_no_freed_node()
        assert plain == (stream._SHOWS.search(data) is None), line
