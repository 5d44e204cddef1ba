"""Scripts of VMA operations, and the sequence of tree operations that this project makes of them."""

import arches
from layout.machine.machine import Machine
from layout.mm.manager import MemoryManager
from layout.mm.vmas import RCU_FREE_VMA
from layout.tree.kernel import Kernel
from layout.tree.state import ENOMEM

PAGE = 0x1000


class LoggingKernel(Kernel):
    """Writes down each store with its preallocation."""

    events: list[str]
    number = None
    fail_next = False

    def _log(self, what, mas, entry, more=""):
        tree = "mm" if mas.tree == self.mm_mt else "detach"
        name = f"v{self.number(entry)}" if entry else "0"
        self.events.append(f"{what} {tree} {mas.index:x} {mas.last:x} {name}{more}")

    def mas_preallocate(self, mas, entry, gfp=0xCC0):
        if self.fail_next:
            self.fail_next = False
            self._log("preallocate", mas, entry, " fails")
            return -ENOMEM
        self._log("preallocate", mas, entry)
        ret = super().mas_preallocate(mas, entry, gfp)
        self.events[-1] += f" nodes {self.mas_allocated(mas)}"
        return ret

    def mas_store_prealloc(self, mas, entry):
        self._log("store_prealloc", mas, entry)
        super().mas_store_prealloc(mas, entry)

    def mas_store_gfp(self, mas, entry, gfp=0xCC0):
        self._log("store_gfp", mas, entry)
        return super().mas_store_gfp(mas, entry, gfp)


class LoggingManager(MemoryManager):
    def vm_area_alloc(self, mm):
        return self._note(super().vm_area_alloc(mm))

    def vm_area_dup(self, vma):
        return self._note(super().vm_area_dup(vma))

    def _note(self, vma):
        self.machine.kernel.events.append(f"alloc v{self.vmas.number(vma.address)}")
        return vma

    def vm_area_free(self, vma):
        self.machine.kernel.events.append(f"free v{self.vmas.number(vma.address)}")
        super().vm_area_free(vma)


def run(script, arch="x86_64"):
    """The events of a script, in the form of the reference's output."""
    machine = Machine(arches.get(arch), kernel=LoggingKernel)
    manager = LoggingManager(machine)
    kernel = machine.kernel
    kernel.events = events = []
    kernel.number = manager.vmas.number
    mm = manager.new_mm()
    kernel.mm_mt = mm.mm_mt
    for line in script:
        op, *words = line.split()
        args = [int(word, 16) for word in words]
        events.append(f"# {line}")
        ret = 0
        if op == "fail":
            kernel.fail_next = True
        else:
            ret = OPERATIONS[op](mm, *args)
            mm.mmap_write_unlock()
            kernel.fail_next = False
        events.append(f"= {ret}")
    events.append("# end")
    for vma in mm:
        assert vma.vm_end != RCU_FREE_VMA
        number = manager.vmas.number(vma.address)
        events.append(
            f"vma v{number} {vma.vm_start:x} {vma.vm_end:x} {vma.vm_flags:x} {vma.vm_pgoff:x}"
        )
    assert kernel.mt_validate(mm.mm_mt)
    return events


def _map(mm, start, end, flags, pgoff, file):
    ret = mm.mmap_region(start, end - start, flags, pgoff, file)
    if file == 9 and ret == start:
        mm.vma_lookup(start).vm_ops = 0x300
    return 0 if ret == start else ret


def _protect(mm, start, end, prot):
    return mm.mprotect(start, end - start, prot)


def _fault(mm, address):
    vma = mm.vma_lookup(address)
    if vma is not None and not vma.anon_vma:
        mm.manager.new_anon_vma(vma)
    return 0


def _split(mm, address, below):
    vmi = mm.vma_iterator(address)
    vma = mm.vma_iter_load(vmi)
    if vma is None or address <= vma.vm_start:
        return 0
    return mm.split_vma(vmi, vma, address, new_below=bool(below))


def _extend(mm, address, delta):
    vma = mm.vma_lookup(address)
    if vma is None or mm.find_vma_intersection(vma.vm_end, vma.vm_end + delta):
        return 0
    grown = mm.vma_merge_extend(mm.vma_iterator(vma.vm_end), vma, delta)
    return -ENOMEM if grown is None else 0


def _shrink(mm, address):
    vmi = mm.vma_iterator(address)
    vma = mm.vma_iter_load(vmi)
    if vma is None or address <= vma.vm_start:
        return 0
    return mm.vma_shrink(vmi, vma, vma.vm_start, address, vma.vm_pgoff)


def _copy(mm, address, target, keep):
    vma = mm.vma_lookup(address)
    if vma is None:
        return 0
    length = vma.vm_end - vma.vm_start
    if mm.find_vma_intersection(target, target + length):
        return 0
    copy, _ = mm.copy_vma(vma, target, length, vma.vm_pgoff, keep_source=bool(keep))
    return -ENOMEM if copy is None else 0


OPERATIONS = {
    "map": _map,
    "unmap": lambda mm, start, end: mm.munmap(start, end - start),
    "protect": _protect,
    "fault": _fault,
    "split": _split,
    "extend": _extend,
    "shrink": _shrink,
    "copy": _copy,
}


_MIX = ("map",) * 8 + ("unmap",) * 3 + ("protect",) * 6 + tuple(OPERATIONS)


def random_script(rng, length, span=0x60):
    """A script of ``length`` operations over ``span`` pages from 0x10000 on."""
    script = []

    def page():
        return 0x10000 + rng.randrange(span) * PAGE

    def pages():
        start = page()
        return start, start + PAGE * rng.choice((1, 1, 2, 3, 4, 8, 20))

    for _ in range(length):
        if rng.random() < 0.04:
            script.append("fail")
        op = rng.choice(_MIX)
        start, end = pages()
        if op == "map":
            file = rng.choice((0, 0, 0, 1, 1, 2, 9))
            flags = rng.choice((0x71, 0x100073, 0x70, 0x75))
            pgoff = start // PAGE if not file else (start - 0x10000) // PAGE
            script.append(f"map {start:x} {end:x} {flags:x} {pgoff:x} {file:x}")
        elif op == "unmap":
            script.append(f"unmap {start:x} {end:x}")
        elif op == "protect":
            script.append(f"protect {start:x} {end:x} {rng.choice((0, 1, 1, 3, 5)):x}")
        else:
            last = {
                "fault": "",
                "shrink": "",
                "split": f" {rng.randrange(2)}",
                "extend": f" {PAGE * rng.randrange(1, 6):x}",
                "copy": f" {page():x} {rng.randrange(2)}",
            }
            script.append(f"{op} {start:x}{last[op]}")
    return script
