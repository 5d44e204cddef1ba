"""R6: a maple state is kept over the end of its read section (November 2025)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, everywhere
from layout.machine.watch.sections import STALE, sections_of
from layout.memory.pointers import MT_FLAGS_USE_RCU
from layout.tree.kernel import Kernel
from layout.tree.state import MA_ACTIVE, MA_START

if TYPE_CHECKING:
    from layout.defects.interleave import Run, Task
    from layout.defects.stage import Stage
    from layout.machine.machine import Machine
    from layout.tree.state import MaState

ADDRESS = 0x1800
OLD, NEW, OTHER = 0x3011, 0x7001, 0x9001
"""What is at the address before and after the writer, and there in another tree."""


class ContinuesActive(Kernel):
    """mas_walk() of kernels after 6.12: an active state goes on from its node."""

    def mas_walk(self, mas: MaState) -> int:
        """Walk from the state's node if it has one, and from the root if that node is dead."""
        if mas.status == MA_ACTIVE:
            entry = self.mas_state_walk(mas)
            if mas.status != MA_START:
                return entry
        return super().mas_walk(mas)


TRACE = """\
init 2
store 0 fff 3001
store 1000 1fff 3011
store 2000 2fff 3021
cset 1800
rcu_lock
cwalk
rcu_unlock
store 1400 1bff 7001
rcu_lock
cwalk
rcu_unlock"""


def lookup(machine: Machine, *, retry_keeps_state: bool) -> dict[str, Task]:
    """A reader that looks up ADDRESS, and a writer that maps something else there.

    The reader finds an entry, sees that it is detached, leaves its read section and tries once
    more; after that it would take the lock. It returns the entry, or 0.
    """
    machine = sections_of(machine)
    machine.manual_grace = True
    kernel, tree = machine.kernel, machine.tree(0)
    kernel.mt_init_flags(tree, MT_FLAGS_USE_RCU)
    for i in range(3):
        kernel.mtree_store_range(tree, i << 12, (i << 12) + 0xFFF, 0x3001 + (i << 4))
        machine.grace()
    detached: set[int] = set()

    def reader() -> Task:
        mas = kernel.new_state(tree, ADDRESS)
        for _ in range(2):
            yield "rcu_read_lock"
            machine.rcu_read_lock()
            yield "mas_walk"
            entry = kernel.mas_walk(mas)
            yield "detached? rcu_read_unlock"
            machine.rcu_read_unlock()
            if entry not in detached:
                return entry
            if not retry_keeps_state:
                kernel.mas_set(mas, ADDRESS)
        return 0

    def writer() -> Task:
        yield "mark detached"
        detached.add(OLD)
        yield "store"
        kernel.mtree_store_range(tree, 0x1000, 0x1FFF, 0)
        kernel.mtree_store_range(tree, 0x1400, 0x1BFF, NEW)
        yield "grace period"
        machine.grace()
        yield "store in another tree"
        kernel.mtree_store_range(machine.tree(1), 0, 0x1FFF, OTHER)

    return {"reader": reader(), "writer": writer()}


def judge(order: Run) -> str:
    """What is wrong in this order of steps."""
    wrong = [report["kind"] for report in order.reports if report["kind"] == STALE][:1]
    if order.results["reader"] == OTHER:
        wrong.append("an entry of another tree")
    return ", ".join(wrong)


def scene(stage: Stage) -> None:
    """All orders of the reader's and the writer's steps, with nodes used again and without."""

    def tasks(machine: Machine) -> dict[str, Task]:
        return lookup(machine, retry_keeps_state=stage.faulty)

    stage.orders("nodes are reused", tasks, judge, reuse_nodes=True)
    stage.orders("nodes are not reused", tasks, judge)


DEFECT = Defect(
    id="R6",
    title="a maple state is kept over the end of its read section",
    kernels="6.18-rc",
    fix=None,
    source="src: the reader of the report, with one retry; the steps of both are this project's",
    changes=(
        "It takes two. retry_keeps_state: a reader that found something detached leaves its RCU "
        "read section, enters a new one and walks again with the same state; the fix sets the "
        "state to the address first. walk_continues_active: mas_walk() goes on from the node of "
        "an active state, as it does after 6.12, whose mas_walk() starts at the root whatever "
        "the status is. The node may be replaced and freed in between. While it is only dead the "
        "walk sees that and starts again; when it is part of another tree by then, the "
        "reader gets an entry of that."
    ),
    kernel=ContinuesActive,
    scene=scene,
    trace=TRACE,
    shows=everywhere(
        "wrong result",
        "nodes are reused: stale maple state in 87 of 128 orders; "
        "nodes are reused: stale maple state, an entry of another tree in 18 of 128 orders; "
        "nodes are not reused: stale maple state in 105 of 128 orders",
        (STALE, "freed node read"),
    ),
)
