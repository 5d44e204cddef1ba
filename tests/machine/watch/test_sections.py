import json
from pathlib import Path

import pytest

import arches
from layout.machine.equip import equip
from layout.machine.machine import Machine
from layout.machine.watch.ledger import LEDGER, ledger_of
from layout.machine.watch.sections import POISON, SECTIONS, STALE, sections_of
from layout.memory.errors import TraceError, UsageError
from layout.traces.runner import Runner
from layout.traces.trace import parse
from layout.tree.kernel import Kernel
from layout.tree.state import MA_ACTIVE, MA_START

FIXTURES = Path(__file__).parents[3] / "fixtures"


class WalkContinuesActive(Kernel):
    """mas_walk as in kernels after 6.12: an active state goes on from its node."""

    def mas_walk(self, mas):
        if mas.status == MA_ACTIVE:
            entry = self.mas_state_walk(mas)
            if mas.status == MA_ACTIVE:
                return entry
        return super().mas_walk(mas)


def machine(arch="s390x", *kernels, reuse=False, watch=(SECTIONS,)):
    """A tree in RCU mode with thirty ranges of 0x1000 in several leaves."""
    made = equip(arch, kernels=kernels, watch=watch, reuse_nodes=reuse)
    kernel, tree = made.kernel, made.tree(0)
    kernel.mt_init_flags(tree, 2)
    for i in range(40):
        kernel.mtree_store_range(tree, i << 12, (i << 12) + 0xFFF, 0x3001 + (i << 4))
        made.quiesce()
    return made


def retry(made, *, set_again):
    """R6: a reader drops the lock, a writer replaces the node, the reader walks again."""
    kernel, tree = made.kernel, made.tree(0)
    mas = kernel.new_state(tree, 0x5800)
    made.rcu_read_lock()
    made.begin(100, "walk")
    assert kernel.mas_walk(mas) == 0x3051
    node = mas.node & ~0xFF
    made.rcu_read_unlock()
    made.begin(101, "write")
    kernel.mtree_store_range(tree, 0x5400, 0x57FF, 0x7001)
    made.quiesce()
    made.begin(102, "walk again")
    made.rcu_read_lock()
    if set_again:
        kernel.mas_set(mas, 0x5800)
    entry = kernel.mas_walk(mas)
    made.rcu_read_unlock()
    return node, entry


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("arch", arches.names())
def test_state_used_in_another_section(arch, reuse):
    made = machine(arch, WalkContinuesActive, reuse=reuse)
    node, _ = retry(made, set_again=False)
    [report] = made.sections.reports
    assert (report.kind, report.node, report.operation) == (STALE, node, 102)
    assert (report.function, report.written_by) == ("mtree_range_walk", 101)
    assert report.written_as == "freed node"
    assert "got its node in read section 1 and is used in read section 2" in report.detail
    assert "dead in operation 101, queued in operation 101, freed in operation 101" in report.detail
    line = made.finish()
    assert line["reports"] == [report.to_json()]
    json.dumps(line)


@pytest.mark.parametrize("arch", arches.names())
def test_nothing_stale_in_the_fixed_caller_or_with_todays_walk(arch):
    made = machine(arch, WalkContinuesActive)
    assert retry(made, set_again=True)[1] == 0x3051
    assert made.sections.reports == []
    assert "reports" not in made.finish()
    made = machine(arch)
    assert retry(made, set_again=False)[1] == 0x3051
    assert made.sections.reports == []


def test_section_alone_is_enough():
    # nobody wrote: the node is as it was, by chance
    made = machine()
    kernel = made.kernel
    mas = kernel.new_state(made.tree(0), 0x5800)
    made.rcu_read_lock()
    kernel.mas_walk(mas)
    made.rcu_read_unlock()
    made.rcu_read_lock()
    assert kernel.mas_next(mas, 0xFFFFF) == 0x3061
    assert kernel.mas_next(mas, 0xFFFFF) == 0x3071
    [report] = made.sections.reports  # once, not at every step
    assert (report.written_as, report.written_by) == ("live node", None)
    assert report.function == "mas_next_slot"


def test_hand_over():
    made = machine()
    kernel = made.kernel
    mas = kernel.new_state(made.tree(0), 0x5800)
    made.rcu_read_lock()
    kernel.mas_walk(mas)
    made.rcu_read_unlock()
    made.rcu_read_lock()
    made.hand_over(mas)
    kernel.mas_next(mas, 0xFFFFF)
    assert made.sections.reports == []


def test_hand_over_brings_no_freed_node_back():
    made = machine()
    kernel = made.kernel
    mas = kernel.new_state(made.tree(0), 0x5800)
    kernel.mas_walk(mas)
    kernel.mtree_store_range(made.tree(0), 0x5400, 0x57FF, 0x7001)
    assert made.quiesce() == 2  # the leaf was split, so its parent is new too
    made.rcu_read_lock()
    made.hand_over(mas)
    assert kernel.mas_next(mas, 0xFFFFF) == 0x3061
    assert [r.written_as for r in made.sections.reports] == ["freed node"]


def test_one_section_outlives_a_write():
    # the dead node stays as it is, and the kernel sees for itself that it is dead
    made = machine(reuse=True, watch=(SECTIONS, POISON))
    kernel, tree = made.kernel, made.tree(0)
    mas = kernel.new_state(tree, 0x5800)
    made.rcu_read_lock()
    kernel.mas_walk(mas)
    kernel.mtree_store_range(tree, 0x6000, 0x6FFF, 0x7001)
    kernel.mtree_store_range(tree, 0x6400, 0x67FF, 0x7003)
    assert made.quiesce() == 0
    assert kernel.mas_next(mas, 0xFFFFF) == 0x7001
    assert made.sections.reports == []
    assert made.rcu_read_unlock() == 2


def test_states_paused_reset_or_copied():
    made = machine()
    kernel, tree = made.kernel, made.tree(0)
    mas = kernel.new_state(tree, 0x5800)
    made.rcu_read_lock()
    kernel.mas_walk(mas)
    kernel.mas_pause(mas)
    made.rcu_read_unlock()
    made.rcu_read_lock()
    assert kernel.mas_find(mas, 0xFFFFF) == 0x3061
    assert made.sections.reports == []
    copy = mas.copy()
    made.rcu_read_unlock()
    made.rcu_read_lock()
    kernel.mas_next(copy, 0xFFFFF)
    assert len(made.sections.reports) == 1


def test_a_callback_waits_for_the_readers_of_its_time_alone():
    made = machine()
    kernel, tree, sections = made.kernel, made.tree(0), made.sections
    sections.task = "first"
    made.rcu_read_lock()
    made.rcu_read_lock()  # nested: the same section
    assert sections.current == 1
    sections.task = "writer"
    kernel.mtree_store_range(tree, 0x5400, 0x57FF, 0x7001)
    sections.task = "second"
    made.rcu_read_lock()
    assert sections.current == 2
    kernel.mtree_store_range(tree, 0x8400, 0x87FF, 0x7001)
    assert (made.quiesce(), len(kernel.rcu_queue)) == (0, 3)
    sections.task = "first"
    assert made.rcu_read_unlock() == 0
    assert made.rcu_read_unlock() == 2
    assert len(kernel.rcu_queue) == 1
    sections.task = "second"
    assert made.rcu_read_unlock() == 1
    assert (kernel.rcu_queue, kernel.waits) == ([], [])


def test_grace_periods_by_hand():
    made = machine()
    made.manual_grace = True
    made.kernel.mtree_store_range(made.tree(0), 0x5400, 0x57FF, 0x7001)
    freed = made.cache.freed  # nodes that were not needed went back at once
    made.rcu_read_lock()
    assert made.rcu_read_unlock() == 0
    assert made.cache.freed == freed
    assert made.grace() == 2
    assert made.cache.freed == freed + 2


def test_poison():
    made = machine(watch=(POISON,))
    [number] = [i for i in range(len(made.cache.freed_map)) if made.cache.freed_map[i]][:1]
    data = made.mem.read(made.cache.address(number), 256)
    assert data == b"\x6b" * 255 + b"\xa5"


def test_history_of_a_reused_node():
    made = machine(reuse=True)
    free = made.cache.free_list()
    made.begin(500, "store")
    made.kernel.mtree_store_range(made.tree(0), 0x5400, 0x57FF, 0x7001)
    mas = made.kernel.new_state(made.tree(0), 0x5400)
    made.kernel.mas_walk(mas)
    node = mas.node & ~0xFF
    assert node in free
    events = list(made.sections.nodes[node].events)
    assert events[-2:] == ["reused in operation 500", "put in the tree in operation 500"]
    assert made.sections.nodes[node].state == "live"


def test_unlock_without_lock():
    made = machine()
    with pytest.raises(UsageError, match="nobody is in a read section"):
        made.rcu_read_unlock()
    made.rcu_read_lock()
    made.sections.task = "writer"
    with pytest.raises(UsageError, match="task 'writer' is in no read section"):
        made.rcu_read_unlock()
    with pytest.raises(UsageError, match="nobody is in a read section"):
        Machine(arches.get("mips")).rcu_read_unlock()


def run(text, arch="s390x", **options):
    runner = Runner(equip(arch, **options))
    return [runner.execute(o) for o in parse(text.split("\n"), runner.machine.arch.ulong_max)]


TRACE = """init 2
store 1000 1fff 3001
store 3000 3fff 3003
rcu_lock
cset 1000
cwalk
{between}
store 1000 17ff 3005
rcu_lock
cnext ffff
rcu_unlock"""


@pytest.mark.parametrize("arch", arches.names())
def test_sections_in_a_trace(arch):
    lines = run(TRACE.format(between="rcu_unlock"), arch, watch=[SECTIONS])
    [report] = [report for line in lines for report in line.get("reports", [])]
    assert (report["kind"], report["operation"], report["written_by"]) == (STALE, 10, 8)
    lines = run(TRACE.format(between="load 1000") + "\nrcu_unlock", arch, watch=[SECTIONS])
    assert all("reports" not in line for line in lines)
    # node 0, the first of two ranges, was replaced before the reader came
    assert (lines[7]["fr"], lines[-1]["fr"], lines[-1]["rcu"]) == ([], [1], 1)


def test_read_sections_hold_frees_up_on_every_machine():
    plain = run(TRACE.format(between="load 1000") + "\nrcu_unlock")
    watched = run(TRACE.format(between="load 1000") + "\nrcu_unlock", watch=[SECTIONS])
    assert plain == watched
    with pytest.raises(TraceError, match="line 2: rcu_unlock: rcu_read_unlock without"):
        run("init 2\nrcu_unlock")


@pytest.mark.parametrize(
    "name",
    ["golden/18b-cursor-and-mas-store-alloc-rcu", "golden/09b-rcu-short", "captured/erase2-set19"],
)
def test_recordings_are_clean(name):
    text = (FIXTURES / f"{name}.trace").read_text()
    watched = run(text, watch=[SECTIONS, LEDGER])
    for line in watched:
        del line["ledger"]
    assert watched == run(text)


def test_together_with_the_ledger():
    made = machine("s390x", WalkContinuesActive, watch=(LEDGER, SECTIONS))
    retry(made, set_again=False)
    assert len(sections_of(made).sections.reports) == 1
    assert list(made.finish()) == ["reports", "ledger"]
    assert ledger_of(made).accounts[-1].name == "walk again"
    with pytest.raises(UsageError, match="this machine has no sections"):
        sections_of(equip("s390x"))


def test_a_state_that_starts_again_is_not_stale():
    made = machine()
    mas = made.kernel.new_state(made.tree(0), 0x5800)
    made.rcu_read_lock()
    made.kernel.mas_walk(mas)
    made.rcu_read_unlock()
    mas.reset()
    assert mas.status == MA_START
    assert made.kernel.mas_walk(mas) == 0x3051
    assert mas.node  # looking from outside is no use
    made.rcu_read_lock()
    assert mas.node
    assert made.sections.reports == []
