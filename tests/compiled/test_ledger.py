"""The ledger over compiled operations counts what it counts in Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from damaged import damaged_trace

from layout import MapleTree
from layout.defects import operations
from layout.machine.equip import equip
from layout.machine.watch.check import CHECK
from layout.machine.watch.ledger import LEDGER, ledger_of
from layout.machine.watch.sections import SECTIONS
from layout.machine.watch.table import summary
from layout.machine.watch.watched_state import Records, Stored
from layout.memory.slab import GFP_KERNEL
from layout.traces import stream
from layout.traces.runner import Runner
from layout.traces.source import TraceText
from layout.traces.stream import Stream
from layout.tree.versions import KERNELS

FIXTURES = Path(__file__).parents[2] / "fixtures"


def is_compiled(machine):
    return hasattr(machine.mem, "core")


def accounts(data, arch, version="6.12", **options):
    """The transcript with a ledger, what the command says of it, and all bytes."""
    machine = equip(arch, watch=[LEDGER], version=version)
    told = b"".join(Stream(Runner(machine), TraceText(data), **options).transcript())
    return told, summary(machine.ledger), machine.ledger.held, machine.save()


@pytest.mark.parametrize("version", KERNELS)
@pytest.mark.parametrize(
    ("name", "arch"),
    [
        ("golden/09b-rcu-short", "x86_64"),
        ("golden/11b-prealloc-alloc-rcu", "sparc64"),
        ("golden/15b-fault-injection-alloc-rcu", "s390x"),
        ("extra/32bit-12-dup-and-destroy", "arm"),
        ("extra/32bit-18-cursor-and-mas-store", "mips"),
        ("extra/bulk-rebalance-2", "s390x"),
        ("extra/damaged-and-written", "x86_64"),
        ("extra/expected-entries-overflow", "sparc64"),
        ("extra/failcur-1", "x86_64"),
    ],
)
def test_traces_on_both_legs(on_both, name, arch, version):
    lines = (FIXTURES / f"{name}.trace").read_bytes().splitlines(keepends=True)[:500]
    compiled_, python = on_both(lambda: accounts(b"".join(lines), arch, version))
    assert compiled_ == python
    assert compiled_[0].count(b'"ledger"') == compiled_[0].count(b"\n") > 2


@pytest.mark.parametrize("arch", ["s390x", "sparc64", "x86_64", "arm"])
@pytest.mark.parametrize("seed", range(8))
def test_damaged_trees_on_both_legs(on_both, arch, seed):
    compiled_, python = on_both(lambda: accounts(damaged_trace(arch, seed), arch))
    assert compiled_ == python


def test_what_was_done_before_a_fault_counts(on_both):
    kinds = set()
    for path in sorted((FIXTURES / "corpus/6.12").glob("*.trace")):
        data = path.read_bytes()
        if data.count(b"\n") > 60:
            continue
        compiled_, python = on_both(lambda data=data: accounts(data, "s390x"))
        assert compiled_ == python
        last = json.loads(compiled_[0].splitlines()[-1])
        if "fault" in last and last["ledger"]["bytes_written"]:
            kinds.add(last["fault"]["kind"])
    assert kinds == {"bug", "null"}


@pytest.mark.usefixtures("extension")
@pytest.mark.parametrize("version", KERNELS)
def test_the_ledger_alone_is_over_compiled_operations(version):
    machine = equip("s390x", watch=[LEDGER], version=version)
    assert is_compiled(machine)
    assert machine.kernel.version == version
    assert is_compiled(MapleTree("arm", watch=[LEDGER], kernel=version).machine)


@pytest.mark.parametrize(
    "options",
    [
        {"watch": [CHECK, LEDGER]},
        {"watch": [LEDGER, SECTIONS]},
        {"watch": [CHECK]},
        {"watch": [LEDGER], "kernels": operations(["R1"])},
        {"watch": [LEDGER], "in_python": True},
    ],
    ids=["with the checker", "with sections", "the checker", "defect", "in Python"],
)
def test_all_else_runs_python(options):
    assert not is_compiled(equip("s390x", **options))


def test_machines_side_by_side(on_both):
    def side_by_side():
        machines = [equip(arch, watch=[LEDGER]) for arch in ("s390x", "arm", "s390x")]
        for i in range(40):
            for times, each in enumerate(machines):
                for j in range(times):
                    first = i * 0x30 + j * 0x10
                    each.kernel.mtree_store_range(each.tree(0), first, first + 9, 0x3001)
        return [ledger_of(each).accounts for each in machines]

    compiled_, python = on_both(side_by_side)
    assert compiled_ == python
    assert [len(each) for each in compiled_] == [0, 40, 80]


@pytest.mark.usefixtures("extension")
def test_more_spans_than_are_handed_over_at_once():
    machine = equip("s390x", watch=[LEDGER])
    [first, *_] = machine.cache.alloc_bulk(GFP_KERNEL, 600)
    ledger = machine.ledger
    ledger.open(1, "much")
    for i in range(600 * 16):
        machine.mem.core.write_word(first + 16 * i, 1)
    account = ledger.close()
    assert (account.requested, account.used) == (0, 0)  # before the operation
    assert (account.bytes_written, account.words_written) == (600 * 16 * 8, 600 * 16)
    assert account.cache_lines == 600
    assert ledger.used == 600


@pytest.mark.usefixtures("extension")
def test_a_span_is_the_same_however_it_was_written():
    machine = equip("x86_64", watch=[LEDGER])
    core, [node, *_] = machine.mem.core, machine.cache.alloc_bulk(GFP_KERNEL, 3)
    core.take_spans()
    for at in (16, 24, 8, 48, 40, 12, 255, 256, 32):
        core.write_u8(node + at, 1)
    core.write_word(node + 40, 1)
    covered = {byte for first, behind in core.take_spans() for byte in range(first, behind)}
    wanted = {16, 24, 8, 12, 255, 256, 32, *range(40, 49)}
    assert covered == {node + at for at in wanted}
    assert core.take_spans() == []


def test_what_is_written_behind_its_back_does_not_count(on_both):
    def behind():
        machine = equip("x86_64", watch=[LEDGER])
        node = machine.cache.alloc_one(GFP_KERNEL)
        saved = machine.save()
        machine.ledger.open(1, "all")
        machine.mem.poison(node, b"\x01" * 8)
        machine.restore(saved)
        machine.mem.write(node + 8, bytes(4))
        machine.mem.write_words(node + 12, ())
        machine.mem.write_u32(node + 16, 5)
        machine.mem.set_ma_root(machine.tree(0), 5)  # no node
        return machine.ledger.close()

    compiled_, python = on_both(behind)
    assert compiled_ == python
    assert compiled_.bytes_written == 8


def test_states_have_records_and_copies_have_none(on_both):
    def states():
        machine = equip("s390x", watch=[LEDGER])
        mas = machine.kernel.new_state(machine.tree(0), 5, last=9)
        machine.kernel.mas_store_gfp(mas, 0x3001, GFP_KERNEL)
        new = mas.copy()
        assert isinstance(new, Records)
        return mas.stored, new.stored, new.index, new.last, new.status, new.reserve

    compiled_, python = on_both(states)
    assert compiled_ == python
    stored = Stored("call 1, mas_store_gfp 5-9", 0xFFFFF0000, (5, 9), 0)
    assert compiled_[:4] == (stored, None, 5, 9)


def test_freed_nodes_of_long_traces_are_forgotten(extension, monkeypatch):  # noqa: ARG001 - it needs one
    monkeypatch.setattr(stream, "_LONG", 0)
    data = b"init 0\n" + b"".join(b"store %x0 %xf 3001\n" % (i, i) for i in range(40))
    data += b"store 0 fff 3005\n"
    kept, forgotten = (accounts(data, "s390x", forget=forget) for forget in (False, True))
    assert kept[:3] == forgotten[:3]
    poisoned = forgotten[3].nodes.count(b"\x6b" * 256)
    assert poisoned == sum(forgotten[3].freed_map) > 0
