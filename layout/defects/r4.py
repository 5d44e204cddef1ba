"""R4: a redundant write spends a preallocation, and memory is low (June 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.defects.defect import Defect, everywhere
from layout.memory.errors import MachineFault
from layout.memory.slab import GFP_KERNEL
from layout.mm.addressspace import AddressSpace
from layout.mm.manager import MemoryManager
from layout.mm.vm_flags import MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE
from layout.tree.kernel import Kernel
from layout.tree.state import MA_ERROR, MA_STATE_PREALLOC, WrState

if TYPE_CHECKING:
    from layout.defects.stage import Stage
    from layout.mm.calls import VmaMerge
    from layout.mm.vmas import Vma
    from layout.tree.state import MaState


class Prealloc61(Kernel):
    """Preallocation as in 6.1: enough for any one store, chosen before the store is known."""

    def mas_preallocate(self, mas: MaState, entry: int, gfp: int = GFP_KERNEL) -> int:  # noqa: ARG002
        """Get the nodes of a spanning store. Returns 0 or -ENOMEM."""
        self.mas_node_count_gfp(mas, 1 + 3 * self.mas_mt_height(mas), gfp)
        mas.mas_flags |= MA_STATE_PREALLOC
        if mas.status != MA_ERROR:
            return 0
        err = self.xa_err(mas.node)
        self.mas_set_alloc_req(mas, 0)
        self.mas_destroy(mas)
        mas.reset()
        return err

    def mas_store_prealloc(self, mas: MaState, entry: int) -> None:
        """Store; what is missing is asked for without blocking. What is left over is freed."""
        wr = WrState(mas, entry)
        self.mas_wr_preallocate(wr, entry)
        if mas.status == MA_ERROR:
            message = f"kernel BUG: an error in mas_store_prealloc(), mas->node == {mas.node:#x}"
            raise MachineFault("bug", mas.node, message, arch=self.mem.arch.name)
        self.mas_wr_store_entry(wr)
        self.mas_destroy(mas)


class Adjust61(AddressSpace):
    """__vma_adjust() of 6.1 where a VMA gives its end to the next: the end is cleared first."""

    def commit_merge(
        self,
        vmg: VmaMerge,
        adjust: Vma | None,
        remove: tuple[Vma, ...],
        adj_start: int,
        *,
        expanded: bool,
    ) -> bool:
        """Merge as now, but for a write of NULL that the next one covers."""
        if expanded or adjust is None or adj_start >= 0:
            return super().commit_merge(vmg, adjust, remove, adj_start, expanded=expanded)
        vma, vmi = vmg.vma, vmg.vmi
        assert vma is not None
        self.vma_iter_config(vmi, adjust.vm_start + adj_start, adjust.vm_end)
        if not self.vma_iter_prealloc(vmi, adjust):
            return False
        self.vma_iter_config(vmi, vmg.end, vma.vm_end)
        self.vma_iter_clear(vmi)
        vmi.reset()
        self.vma_set_range(vma, vmg.start, vmg.end, vmg.pgoff)
        adjust.vm_start += adj_start
        adjust.vm_pgoff += adj_start // self.page_size
        self.vma_iter_store(vmi, adjust)
        return True


def two_writes(stage: Stage, *, rcu: bool, redundant: bool) -> None:
    """The end of the range 40000-4ffff goes to the next one, by two writes or by one."""
    kernel, tree = stage.kernel, stage.tree
    entries = [0x2A000000 + 0x100 * i for i in range(10)]
    for i, entry in enumerate(entries):
        kernel.mtree_store_range(tree, i << 16, (i << 16) + 0xFFFF, entry)
    if rcu:
        kernel.mt_set_in_rcu(tree)
    mas = kernel.new_state(tree, 0x48000, 0x5FFFF)
    kernel.mas_preallocate(mas, entries[5])
    stage.machine.cache.fail(0, None, nowait_only=True)
    if redundant:
        _store(stage, mas, 0x4FFFF, 0)
    _store(stage, mas, 0x5FFFF, entries[5])
    stage.attempt("load 48000", lambda: kernel.mtree_load(tree, 0x48000))


def _store(stage: Stage, mas: MaState, last: int, entry: int) -> None:
    if mas.last != last:
        mas.reset()
    mas.index, mas.last = 0x48000, last
    what = f"store_prealloc 48000-{last:x} {entry:x}"
    stage.attempt(what, lambda: stage.kernel.mas_store_prealloc(mas, entry))


def mprotect(stage: Stage) -> None:
    """The end of one VMA goes to the next by a system call, while memory is low."""
    manager = MemoryManager(stage.machine, spaces=Adjust61 if stage.faulty else AddressSpace)
    mm = manager.new_mm()
    page = mm.page_size
    anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
    for i in range(4):
        prot = PROT_READ | PROT_WRITE if i % 2 else PROT_READ
        mm.mmap(0x1000000 + 8 * page * i, 8 * page, prot, anonymous)
    stage.machine.cache.fail(0, None, nowait_only=True)
    start = 0x1000000 + 4 * page
    stage.attempt(
        "mprotect", lambda: mm.mprotect(start, 4 * page, PROT_READ | PROT_WRITE) & mm.ulong_max
    )


def scene(stage: Stage) -> None:
    """Two writes for one preallocation; then the same by a system call."""
    two_writes(stage, rcu=True, redundant=stage.faulty)
    if stage.faulty:
        two_writes(stage.fresh("not in RCU mode"), rcu=False, redundant=True)
        two_writes(stage.fresh("the second write alone"), rcu=True, redundant=False)
    mprotect(stage.fresh("mprotect"))


_FIRST = "store_prealloc 48000-4ffff 0"
_SECOND = "store_prealloc 48000-5ffff 2a000500"
_STORED = "load 48000 = 000000002a000500"
_SHOWN = (
    f"{_FIRST}; not in RCU mode: {_FIRST}; not in RCU mode: {_SECOND}; "
    f"not in RCU mode: {_STORED}; "
    f"the second write alone: {_SECOND}; the second write alone: {_STORED}; "
    f"{_SECOND}: bug at ffffffffffffffd2; mprotect: mprotect: bug at ffffffffffffffd2"
)

DEFECT = Defect(
    id="R4",
    title="a redundant write spends the preallocation, and memory is low",
    kernels="6.1 stable, until June 2023",
    fix=None,
    source=(
        "run: the two writes with the kernel's own 6.1 code; mprotect() is carried out by this "
        "project's address spaces"
    ),
    changes=(
        "mas_preallocate() gets 1 + 3 * height nodes whatever will be stored, and "
        "mas_store_prealloc() gives back at its end what it has not used. The caller, "
        "__vma_adjust() behind mprotect(), stores twice: NULL over the end that a VMA loses, "
        "then the next VMA over that end and its own range. The second store has to ask for a "
        "node without blocking; if there is none, BUG_ON. Only in RCU mode does the first "
        "store change the leaf so that the second needs a node."
    ),
    kernel=Prealloc61,
    scene=scene,
    shows=everywhere("fault", _SHOWN),
)
