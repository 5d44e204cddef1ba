"""The access checker: silent over what the kernel does, exact about everything else."""

import contextlib
from pathlib import Path

import pytest
from machines import THREE

import arches
from layout.defects import operations
from layout.machine.equip import equip
from layout.machine.machine import Machine
from layout.machine.watch.check import CHECK
from layout.machine.watch.follow import Followed
from layout.machine.watch.ledger import LEDGER
from layout.machine.watch.report import Report
from layout.machine.watch.watch import reports_of
from layout.mapletree import MapleTree
from layout.memory.errors import MachineFault, UsageError
from layout.memory.pointers import LEAF_64, NODE_MASK, RANGE_64
from layout.traces.runner import Runner
from layout.traces.trace import parse
from layout.tree.kernel import Kernel
from layout.tree.peeks import PEEKS, is_unused, is_zero, peeks

FIXTURES = Path(__file__).parents[3] / "fixtures"
GOLDEN = sorted((FIXTURES / "golden").glob("*.trace"))
CAPTURED = sorted((FIXTURES / "captured").glob("*.trace"))
LONG = {
    "16-large",
    "16b-large-alloc-rcu",
    "17-bulk",
    "erase2-set09",
    "erase2-set23",
    "erase2-set25",
}


def lines(machine, path):
    runner = Runner(machine)
    return [
        runner.execute(op) for op in parse(path.read_text().split("\n"), machine.arch.ulong_max)
    ]


def checked(arch, **options):
    return equip(arch, watch=[CHECK], **options)


# -- what today's kernel does breaks no rule, and is done as without the checker


@pytest.mark.long
@pytest.mark.parametrize("arch", THREE)
@pytest.mark.parametrize(
    "path", [p for p in GOLDEN + CAPTURED if p.stem not in LONG], ids=lambda p: p.stem
)
def test_no_report_on_golden_traces(arch, path):
    assert not [line["reports"] for line in lines(checked(arch), path) if "reports" in line]


@pytest.mark.slow
@pytest.mark.parametrize("arch", THREE)
@pytest.mark.parametrize(
    "path", [p for p in GOLDEN + CAPTURED if p.stem in LONG], ids=lambda p: p.stem
)
def test_no_report_on_long_golden_traces(arch, path):
    assert not [line["reports"] for line in lines(checked(arch), path) if "reports" in line]


@pytest.mark.long
@pytest.mark.parametrize("arch", ["arm", "mips", "m68k"])
@pytest.mark.parametrize(
    "path", sorted((FIXTURES / "extra").glob("32bit-*.trace")), ids=lambda p: p.stem
)
def test_no_report_on_32_bit_traces(arch, path):
    assert not [line["reports"] for line in lines(checked(arch), path) if "reports" in line]


@pytest.mark.parametrize("arch", THREE)
@pytest.mark.parametrize(
    "name",
    [
        "07c-spanning-rcu",
        pytest.param("12-dup-and-destroy", marks=pytest.mark.long),
        pytest.param("15-fault-injection", marks=pytest.mark.long),
    ],
)
def test_checked_runs_give_the_plain_transcript(arch, name):
    [path] = [p for p in GOLDEN if p.stem == name]
    assert lines(checked(arch), path) == lines(Machine(arches.get(arch)), path)


def test_nodes_in_use_again_have_no_history():
    tree = MapleTree("s390x", rcu=True, watch=[CHECK])
    for i in range(400):
        tree.store(i * 0x1000 % 0x37000, i * 0x1000 % 0x37000 + 0xFFF, 0x1001 + 0x100 * i)
        if i % 7 == 0:
            tree.erase(i * 0x3000 % 0x37000)
    tree.clear()
    assert reports_of(tree.machine) == []


# -- what a caller reads


@pytest.fixture(params=THREE)
def tree(request):
    tree = MapleTree(request.param, watch=[CHECK])
    for i in range(7):
        tree.store(0x10000 + 0x2000 * i, 0x10FFF + 0x2000 * i, 0x2A0001 + 0x100 * i)
    return tree


def only(tree):
    [report] = reports_of(tree.machine)
    return report


def test_metadata_read_as_slot(tree):
    [leaf] = tree.nodes()
    value = tree.machine.mem.slot(leaf.address, LEAF_64, 15)
    little = tree.machine.arch.byteorder == "little"
    assert value == (0xE if little else 0x0E << 56)
    assert only(tree) == Report(
        *("metadata read as slot", leaf.address, 248, "slot[15]", "metadata end", 7, 8),
        *("test_metadata_read_as_slot", value),
        {"x86_64": 0xE, "s390x": 0x0E << 56, "sparc64": 0x0E << 56},
    )


def test_slot_read_as_metadata():
    tree = MapleTree("sparc64", watch=[CHECK])
    for i in range(15):
        tree.store(i * 0x10, i * 0x10 + 0xF, 0x1001 + 0x100 * i)
    [leaf] = tree.nodes()
    assert tree.machine.mem.meta_end(leaf.address, LEAF_64) == 0
    report = only(tree)
    assert (report.kind, report.offset, report.written_as) == (
        "slot read as metadata",
        248,
        "slot[15]",
    )


def test_pivot_15_is_slot_0(tree):
    [leaf] = tree.nodes()
    pivots = tree.machine.mem.pivots(leaf.address, LEAF_64, 16)
    assert pivots[6] == 0x15FFF  # each is judged when it is looked at
    assert pivots[15] == 0
    report = only(tree)
    assert (report.kind, report.offset, report.read_as, report.written_as) == (
        "slot read as pivot",
        128,
        "pivot[15]",
        "slot[0]",
    )


def test_behind_the_data(tree):
    tree.erase(0x1C000)
    [leaf] = tree.nodes()
    slots = [1, 1, 1]
    tree.machine.mem.load_slots(slots, 1, leaf.address, LEAF_64, 12, 2)
    assert slots == [1, 0, 0]
    report = only(tree)
    assert (report.kind, report.offset, report.written_as) == (
        "read past data end",
        128 + 13 * 8,
        "zeroed",
    )


def test_runs_are_judged_field_by_field(tree):
    [leaf] = tree.nodes()
    mem = tree.machine.mem
    words = [0] * 32
    mem.load_pivots(words, 0, leaf.address, 0, 15)
    mem.load_slots(words, 15, leaf.address, LEAF_64, 0, 15)
    assert reports_of(tree.machine) == []
    mem.load_pivots(words, 0, leaf.address, 14, 3)
    mem.load_gaps(words, 0, leaf.address, 0, 1)
    assert [(r.kind, r.offset, r.read_as) for r in reports_of(tree.machine)] == [
        ("slot read as pivot", 128, "pivot[15]"),
        ("slot read as pivot", 136, "pivot[16]"),
        ("slot read as gap", 160, "gap[0]"),
    ]


def test_fields_that_are_never_looked_at_are_not_judged(tree):
    [leaf] = tree.nodes()
    pivots = tree.machine.mem.pivots(leaf.address, LEAF_64, 40)
    slots = tree.machine.mem.slots(leaf.address, LEAF_64, 16)
    assert (pivots[0], slots[1]) == (0xFFFF, 0x2A0001)
    assert reports_of(tree.machine) == []
    assert slots[15] == tree.machine.mem.slot(leaf.address, LEAF_64, 15)
    assert only(tree).read_as == "slot[15]"  # the same function, so it is reported once


def test_what_is_cleared_stays_what_it_was(tree):
    [leaf] = tree.nodes()
    mem = tree.machine.mem
    mem.clear_pivots(leaf.address, 13, 2)
    mem.clear_slots(leaf.address, LEAF_64, 13, 2)
    assert (mem.pivot(leaf.address, 14), mem.slot(leaf.address, LEAF_64, 14)) == (0, 0)
    assert reports_of(tree.machine) == []
    assert mem.gap(leaf.address, 10) == 0  # where slot 14 is
    assert only(tree).kind == "slot read as gap"


def test_a_memset_of_pivots_over_slots(tree):
    [leaf] = tree.nodes()
    tree.machine.mem.clear_pivots(leaf.address, 14, 2)
    report = only(tree)
    assert (report.kind, report.offset) == ("slot overwritten as pivot", 128)


def test_the_parent_word_before_pivot_0(tree):
    [leaf] = tree.nodes()
    mem = tree.machine.mem
    assert mem.pivot(leaf.address, -1) == mem.parent(leaf.address)
    report = only(tree)
    assert (report.kind, report.offset, report.read_as, report.written_as) == (
        "parent read as pivot",
        0,
        "pivot[-1]",
        "parent",
    )


def test_behind_the_node(tree):
    [leaf] = tree.nodes()
    mem = tree.machine.mem
    mem.slot(leaf.address, LEAF_64, 16)
    mem.set_slot(leaf.address, LEAF_64, 16, 1)
    read, written = reports_of(tree.machine)
    assert (read.kind, read.offset, read.read_as) == ("read past the node", 256, "slot[16]")
    assert (written.kind, written.offset) == ("written past the node", 256)
    assert mem.slots(leaf.address, LEAF_64, 257)[256] == 0
    assert reports_of(tree.machine)[-1].read_as == "slot[256]"


def test_a_pivot_over_a_slot(tree):
    [leaf] = tree.nodes()
    tree.machine.mem.set_pivot(leaf.address, 16, 5)
    report = only(tree)
    assert (report.kind, report.offset, report.read_as, report.written_as) == (
        "slot overwritten as pivot",
        136,
        "pivot[16]",
        "slot[1]",
    )
    assert report.written_by == 2  # later stores append


@pytest.mark.parametrize("name", ["s390x", "m68k"])
def test_never_written(name):
    machine = checked(name)
    node = machine.cache.alloc_one(0)
    assert machine.mem.parent(node) == 0
    [report] = reports_of(machine)
    assert (report.kind, report.written_by, report.means) == (
        "never written",
        None,
        dict.fromkeys((THREE if name == "s390x" else ("i386", "mips", "m68k")), 0),
    )


# -- nodes that are gone


@pytest.fixture(params=THREE)
def replaced(request):
    """A machine, and a leaf that a writer replaced while a reader holds up its being freed."""
    machine = checked(request.param)
    machine.begin(1, "store")
    tree = machine.tree(0)
    machine.kernel.mt_set_in_rcu(tree)
    for i in range(3):
        machine.kernel.mtree_store_range(tree, 16 * i, 16 * i + 7, 0x1001)
    leaf = machine.mem.ma_root(tree) & ~NODE_MASK
    machine.kernel.run_rcu()
    machine.rcu_read_lock()
    machine.begin(2, "store")
    machine.kernel.mtree_store_range(tree, 2, 3, 0x2001)
    machine.begin(3, "read")
    return machine, leaf


def test_a_dead_node_is_read_and_then_tested(replaced):
    machine, leaf = replaced
    pivots = machine.mem.pivots(leaf, LEAF_64, 3)
    assert pivots[2] == 0x17
    assert machine.mem.parent(leaf) & ~NODE_MASK == leaf
    assert machine.mem.pivot(leaf, 3) == 0x1F
    assert machine.mem.parent(leaf) & ~NODE_MASK == leaf
    assert reports_of(machine) == []


def test_a_dead_node_is_read_untested(replaced):
    machine, leaf = replaced
    machine.mem.pivot(leaf, 3)
    assert machine.finish()["reports"] == [
        {
            "kind": "dead node read untested",
            "node": f"{leaf:x}",
            "offset": 32,
            "read_as": "pivot[3]",
            "written_as": "pivot[3]",
            "written_by": 1,
            "operation": 3,
            "function": "test_a_dead_node_is_read_untested",
            "value": "1f",
            "means": {"x86_64": "1f", "s390x": "1f", "sparc64": "1f"},
        }
    ]


def test_rcu_head_read_as_pivot(replaced):
    machine, leaf = replaced
    assert machine.mem.pivot(leaf, 1) == 0xF1
    [report] = reports_of(machine)
    assert (report.kind, report.offset, report.written_by) == ("rcu_head read as pivot", 16, 2)
    assert report.means == {"x86_64": 0xF1, "s390x": 0xF1, "sparc64": 0xF1}


def test_a_freed_node(replaced):
    machine, leaf = replaced
    machine.rcu_read_unlock()
    machine.begin(4, "read")
    machine.mem.meta_end(leaf, LEAF_64)
    machine.mem.set_parent(leaf, 0)
    assert [r.kind for r in reports_of(machine)] == ["freed node read", "freed node written"]


# -- declared peeks


class OwnGuard(Kernel):
    """Does what the correct step does, without declaring it."""

    def seam_leaf_to_free(self, node, mt, offset):
        entry = self.mem.slot(node, mt, offset)
        return entry if entry & ~NODE_MASK and entry >> 3 & 0xF else 0


@pytest.mark.parametrize("arch", THREE)
def test_a_replaced_function_is_not_exempt(arch):
    for kernel, kinds in (
        (Kernel, set()),
        (OwnGuard, {"metadata read as slot"}),
    ):
        machine = checked(arch, kernels=[kernel])
        tree = machine.tree(0)
        for i in range(211):
            machine.kernel.mtree_store_range(tree, i << 12, (i << 12) + 0xFFF, 0x1001)
        root = machine.mem.ma_root(tree)
        assert root >> 3 & 0xF == RANGE_64
        machine.kernel.mt_destroy(tree)
        assert {report.kind for report in reports_of(machine)} == kinds
        assert machine.cache.freed == machine.cache.allocated


# -- what was read under a peek is followed


class Peeking(Kernel):
    """Reads the last word of a leaf as a slot under a peek, and uses it."""

    use = "drop"

    @peeks("metadata read as slot", holds=is_unused, why="it is dropped")
    def mtree_load(self, tree, _index):
        node = self.mem.ma_root(tree) & ~NODE_MASK
        word = self.mem.slot(node, LEAF_64, self.mt_slots[LEAF_64] - 1)
        return getattr(self, f"use_to_{self.use}")(word, node)

    def use_to_drop(self, word, _node):
        return 5 if word else 6

    def use_to_return(self, word, _node):
        return ~word & self.ulong_max

    def use_to_follow(self, word, _node):
        return self.mem.parent((word >> 4 & 0xF0) + 0x40)

    def use_to_choose(self, word, node):
        return self.mem.slot(node, LEAF_64, word & 1)

    def use_to_store(self, word, node):
        self.mem.set_slot(node, LEAF_64, 0, word ^ 1)
        return 0

    def use_to_copy(self, word, node):
        self.mem.store_slots(node, LEAF_64, 0, [0, -word & self.ulong_max], 0, 2)
        return 0

    def use_to_free(self, word, _node):
        self.cache.free(word | 0x30)
        return 0

    def mas_prev(self, mas, low):
        mas.index = mas.last + 1
        return low


@pytest.fixture(params=["x86_64", "s390x", "mips"])
def peeking_on(request):
    return request.param


@pytest.fixture(params=[[CHECK], [CHECK, LEDGER], [LEDGER, CHECK]], ids=["alone", "first", "last"])
def peeking(peeking_on, request):
    machine = equip(peeking_on, watch=request.param, kernels=[Peeking])
    machine.kernel.mtree_store_range(machine.tree(0), 0x10, 0x1F, 0x3001)
    return machine


@pytest.mark.parametrize(
    ("use", "detail"),
    [
        ("follow", "used as an address by use_to_follow"),
        ("choose", "used as an address by use_to_choose"),
        ("store", "stored by use_to_store"),
        ("copy", "stored by use_to_copy"),
        ("free", "freed by use_to_free"),
        ("return", "returned by mtree_load"),
    ],
)
def test_a_word_read_under_a_peek_is_used(peeking, use, detail):
    peeking.kernel.use = use
    with contextlib.suppress(MachineFault):
        peeking.kernel.mtree_load(peeking.tree(0), 0)
    [report] = reports_of(peeking)
    assert report.kind == "metadata read as slot, then used"
    assert (report.function, report.written_as) == ("mtree_load", "metadata end")
    assert report.detail.split(":")[0] == detail


def test_a_word_read_under_a_peek_is_dropped(peeking):
    assert peeking.kernel.mtree_load(peeking.tree(0), 0) == 5
    assert reports_of(peeking) == []


def test_a_state_takes_a_followed_word_to_its_caller(peeking):
    kernel = peeking.kernel
    kernel.use = "drop"
    mas = kernel.new_state(peeking.tree(0))
    leaf = peeking.mem.ma_root(mas.tree) & ~NODE_MASK
    kernel.use_to_drop = lambda word, _node: setattr(mas, "last", word)
    kernel.mtree_load(mas.tree, 0)
    assert reports_of(peeking) == []
    kernel.mas_prev(mas, 0)
    report, *_ = reports_of(peeking)
    assert (report.node, report.detail.split(":")[0]) == (leaf, "returned by mas_prev")


def test_what_is_computed_is_followed_too():
    word = Followed.of(0x1234, "here")
    for number in (word + 1, 1 + word, word & 0xF, ~word, -word, 7 | word, word << 2, 9 - word):
        assert type(number) is Followed
        assert number.origin == "here"
    assert 9 - word == 9 - 0x1234
    assert type(word == 0x1234) is bool


class Hasty(Kernel):
    """Declares the correct step's peek under a condition that does not hold."""

    @peeks("metadata read as slot", holds=is_zero, why="metadata is 0")
    def seam_leaf_to_free(self, node, mt, offset):
        entry = self.mem.slot(node, mt, offset)
        return entry if entry & ~NODE_MASK and entry >> 3 & 0xF else 0


@pytest.mark.parametrize("arch", THREE)
def test_a_condition_that_does_not_hold(arch):
    machine = checked(arch, kernels=[Hasty])
    tree = machine.tree(0)
    for i in range(211):
        machine.kernel.mtree_store_range(tree, i << 12, (i << 12) + 0xFFF, 0x1001)
    machine.kernel.mt_destroy(tree)
    reports = reports_of(machine)
    assert {report.kind for report in reports} == {"metadata read as slot"}
    assert {report.detail for report in reports} == {
        "declared as a peek because metadata is 0, which is not so here"
    }


def test_every_peek_has_a_condition_and_a_reason():
    for kinds in PEEKS.values():
        for peek in kinds.values():
            assert peek.why
            assert peek.holds.__doc__


# -- the command's view


def test_reports_are_part_of_the_line_and_mix_with_a_ledger():
    machine = equip("x86_64", watch=[CHECK, LEDGER], kernels=operations(["R1"]))
    trace = "init 0\n" + "".join(f"store {i:x}0 {i:x}7 1001\n" for i in range(1, 8))
    runner = Runner(machine)
    out = [
        runner.execute(op)
        for op in parse(
            (trace + "cset 100 1ff\ncfind 1ff\ncnext ffffffffffffffff").split("\n"), 2**64 - 1
        )
    ]
    assert out[-1]["entry"] == "e"
    assert [r["kind"] for r in out[-1]["reports"]] == ["metadata read as slot"]
    assert out[-1]["reports"][0]["written_by"] == 8
    assert out[-1]["ledger"]["bytes_written"] == 0
    assert not any("reports" in line for line in out[:-1])


def test_a_report_reads_as_a_sentence(tree):
    [leaf] = tree.nodes()
    tree.machine.mem.slot(leaf.address, LEAF_64, 15)
    assert str(only(tree)).startswith(
        "metadata read as slot: test_a_report_reads_as_a_sentence in operation 8 used byte 248 of node "
        "1000000000 as slot[15]; it is metadata end, written by operation 7; the word is 0xe on x86_64"
    )


def test_a_machine_without_the_checker():
    with pytest.raises(UsageError, match=r"watch=\[CHECK\]"):
        reports_of(Machine(arches.get("s390x")))


def test_history_ends_where_nodes_are_put_back():
    machine = checked("s390x")
    machine.kernel.mtree_store_range(machine.tree(0), 1, 2, 0x1001)
    saved = machine.save()
    machine.restore(saved)
    leaf = machine.mem.ma_root(machine.tree(0)) & ~NODE_MASK
    assert machine.mem.slot(leaf, LEAF_64, 15) == 0x02 << 56
    assert reports_of(machine) == []
