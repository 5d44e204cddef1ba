"""R5: a failed fork leaves a marker and the parent's VMAs in the child's tree (August 2025)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, Shows
from layout.memory.pointers import XA_ZERO_ENTRY
from layout.mm.addressspace import AddressSpace
from layout.mm.manager import MemoryManager
from layout.mm.recovery import EmptyAfterFailure
from layout.mm.vm_flags import MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_READ
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from layout.defects.defect import Outcome
    from layout.defects.interleave import Run, Task, Until
    from layout.defects.stage import Stage
    from layout.machine.machine import Machine

FIRST, APART = 0x1000000, 0x100000
"""Where the parent's three VMAs are."""


def family(machine: Machine, *, faulty: bool) -> tuple[AddressSpace, AddressSpace]:
    """A parent with three VMAs, and an empty child; the copy of the second VMA will fail."""
    manager = MemoryManager(machine, spaces=AddressSpace if faulty else EmptyAfterFailure)
    parent, child = manager.new_mm(), manager.new_mm()
    anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
    for i in range(3):
        parent.mmap(FIRST + i * APART, parent.page_size, PROT_READ, anonymous)
    manager.fail_step(2)  # each VMA is allocated, then its pages are copied
    return parent, child


def whose(entry: int, parent: AddressSpace, child: AddressSpace) -> str:
    """What an entry is to somebody who knows the marker."""
    if entry == XA_ZERO_ENTRY:
        return f"{entry:x}"
    owner = child.manager.vmas.mem.read_word(
        entry + child.manager.vmas.offsets["vm_mm"], "vma->vm_mm"
    )
    return {parent.mm_mt: "parent's", child.mm_mt: "child's"}[owner]


def swapoff(
    machine: Machine, until: Callable[[str, Callable[[], bool]], Until], *, faulty: bool
) -> dict[str, Task]:
    """A fork that fails, and somebody who looks at every VMA of the child with its lock held.

    The second returns what it has found: for each entry whose it is and its vm_start.
    """
    parent, child = family(machine, faulty=faulty)
    kernel = machine.kernel
    vm_start = child.manager.vmas.offsets["vm_start"]
    held: list[str] = []

    def fork() -> Task:
        yield until("mmap_write_lock", lambda: not held)
        held.append("for writing")
        err = yield from child.dup_mmap_steps(parent)
        held.remove("for writing")  # dup_mmap() drops it at its end
        yield until("exit_mmap", lambda: not held)
        child.exit_mmap()
        return err

    def reader() -> Task:
        yield until("mmap_read_lock", lambda: "for writing" not in held)
        held.append("for reading")
        vmi = child.vma_iterator()
        found = []
        while True:
            yield "mas_find, vma->vm_start"
            entry = kernel.mas_find(vmi, kernel.ulong_max)
            if not entry:
                break
            start = machine.dereference(entry, vm_start)
            found.append((whose(entry, parent, child), start))
        held.remove("for reading")
        return found

    return {"fork": fork(), "swapoff": reader()}


_FOLLOWS = "swapoff follows the marker"


def judge(order: Run) -> str:
    """What is wrong in this order of steps."""
    if order.fault is not None:
        return _FOLLOWS
    whose_are = [owner for owner, _ in order.results["swapoff"]]
    return f"swapoff finds {', '.join(whose_are)}" if "parent's" in whose_are else ""


def scene(stage: Stage) -> None:
    """A fork fails; what is in the child's tree then; and who sees it in which order."""
    parent, child = family(stage.machine, faulty=stage.faulty)
    stage.attempt("fork", lambda: child.dup_mmap(parent) & child.ulong_max)
    for first, last, entry in child.entries():
        stage.say(f"mas_find: {first:x}-{last:x} {whose(entry, parent, child)}")
    for i in range(3):
        address = FIRST + i * APART
        found = stage.kernel.mtree_load(child.mm_mt, address)
        stage.say(f"mtree_load {address:x}: {whose(found, parent, child) if found else 'nothing'}")
    stage.attempt("exit_mmap", child.exit_mmap)
    stage.orders(
        "fork and swapoff",
        lambda machine: swapoff(machine, stage.until, faulty=stage.faulty),
        judge,
    )


def _shows(outcome: Outcome, end: str, seen: str, fault: str = "") -> Shows:
    tree = (
        ("1000000-1000fff", "child's"),
        ("1100000-1100fff", "406"),
        ("1200000-1200fff", "parent's"),
    )
    lines = [f"mas_find: {first[:-4]}{end} {owner}" for first, owner in tree]
    return Shows(
        outcome,
        "; ".join(
            [
                *lines,
                "mtree_load 1000000: child's",
                "mtree_load 1200000: parent's",
                f"fork and swapoff: {seen} in 1 of 3 orders",
                *([f"fork and swapoff: {fault} at 0000000000000406"] if fault else []),
            ]
        ),
    )


DEFECT = Defect(
    id="R5",
    title="a failed fork leaves a marker and the parent's VMAs in the child's tree",
    kernels="6.8 until January 2026",
    fix=None,
    source="src: dup_mmap() of 6.12 and the recovery that took its place, both by this project",
    changes=(
        "No operation of the tree is different: dup_mmap() is. It copies the parent's tree and "
        "puts copies in place of the parent's VMAs, one by one. If that fails at one of them it "
        "stores XA_ZERO_ENTRY, 0x406, there and gives up; the parent's VMAs behind it stay until "
        "exit_mmap(). Readers that walk with mas_find() and do not ask xa_is_zero() take the "
        "marker for a VMA; mtree_load() and mt_find() hide it. The fix frees the copies and the "
        "tree before the lock is dropped."
    ),
    kernel=Kernel,
    scene=scene,
    shows={
        "x86_64": _shows("fault", "0fff", _FOLLOWS, "null"),
        "s390x": _shows("wrong result", "0fff", "swapoff finds child's, 406, parent's"),
        "sparc64": _shows("fault", "1fff", _FOLLOWS, "misaligned"),
    },
)
