"""struct vm_area_struct in the machine's memory: the fields of a VMA, and the cache of VMAs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory import structs
from layout.memory.errors import MachineFault, UsageError
from layout.memory.structs import DEFAULT_VERSION

if TYPE_CHECKING:
    from layout.machine.machine import Machine

VMA_LIMIT = 1 << 20
"""VMAs a machine has room for."""

RCU_FREE_VMA = 0xF3
"""What rcu_head.func holds for vm_area_free_rcu_cb: free this VMA."""


class _Word:
    """An unsigned long or pointer of the struct."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, vma: Vma, owner: type[Vma]) -> int:
        cache = vma.cache
        return cache.mem.read_word(vma.address + cache.offsets[self.name], f"vma->{self.name}")

    def __set__(self, vma: Vma, value: int) -> None:
        cache = vma.cache
        cache.mem.write_word(
            vma.address + cache.offsets[self.name], value & cache.ulong_max, f"vma->{self.name}"
        )


class Vma:
    """The struct vm_area_struct at ``address``: each attribute reads and writes its bytes.

    A Vma can have any address. If nothing is mapped there, an access to a field raises
    MachineFault, as in the kernel. ``vm_end`` is exclusive; ``vm_pgoff`` counts pages. Two Vmas are
    equal if their addresses are equal.
    """

    __slots__ = ("address", "cache")

    vm_start = _Word("vm_start")
    vm_end = _Word("vm_end")
    vm_mm = _Word("vm_mm")
    vm_page_prot = _Word("vm_page_prot")
    vm_flags = _Word("vm_flags")
    anon_vma = _Word("anon_vma")
    vm_ops = _Word("vm_ops")
    vm_pgoff = _Word("vm_pgoff")
    vm_file = _Word("vm_file")

    def __init__(self, cache: VmaCache, address: int) -> None:
        self.cache = cache
        self.address = address

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vma) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __repr__(self) -> str:
        return f"<Vma {self.address:x}>"

    @property
    def detached(self) -> bool:
        """Whether the VMA was taken out of its tree; never, without CONFIG_PER_VMA_LOCK."""
        at = self.cache.offsets.get("detached")
        return at is not None and self.cache.mem.read_u8(self.address + at, "vma->detached") != 0

    def mark_detached(self, *, detached: bool) -> None:
        """vma_mark_detached."""
        at = self.cache.offsets.get("detached")
        if at is not None:
            self.cache.mem.write_u8(self.address + at, int(detached), "vma->detached")

    @property
    def vm_lock_seq(self) -> int:
        """The count of its mm's write lock when it was last locked; -1 without PER_VMA_LOCK."""
        at = self.cache.offsets.get("vm_lock_seq")
        return -1 if at is None else self.cache.mem.read_u32(self.address + at, "vma->vm_lock_seq")

    @vm_lock_seq.setter
    def vm_lock_seq(self, value: int) -> None:
        at = self.cache.offsets.get("vm_lock_seq")
        if at is not None:
            self.cache.mem.write_u32(self.address + at, value & 0xFFFFFFFF, "vma->vm_lock_seq")

    @property
    def pages(self) -> int:
        """vma_pages()."""
        return (self.vm_end - self.vm_start) // self.cache.mem.arch.page_size

    @property
    def is_anonymous(self) -> bool:
        """vma_is_anonymous(): it has no operations."""
        return self.vm_ops == 0


class VmaCache:
    """kmem_cache "vm_area_struct": VMAs in a separate arena, in address order.

    Freed VMAs keep their bytes. They are allocated again only if ``reuse`` is set. ``live`` has the
    addresses in use. The struct is 6.12's, as the operations on address spaces are, whatever
    kernel's operations the trees have.
    """

    def __init__(self, machine: Machine, *, reuse: bool = False) -> None:
        layout = structs.profile(machine.arch, DEFAULT_VERSION).layout("vm_area_struct")
        self.mem = machine.mem
        self.ulong_max = machine.arch.ulong_max
        self.offsets = {member.name: member.offset for member in layout.members}
        self.size = layout.size
        self.base = machine.node_base * 2
        self.reuse = reuse
        self.live: set[int] = set()
        self.queue: list[int] = []
        self._free: list[int] = []
        self._arena = self.mem.map(self.base, bytearray(), "vmas")

    def number(self, address: int) -> int:
        """Which VMA of this cache lies at ``address``, from 0."""
        return (address - self.base) // self.size

    def alloc(self) -> Vma:
        """kmem_cache_alloc, zeroed."""
        if self._free:
            address = self._free.pop()
            self.mem.write(address, bytes(self.size), "a new VMA")
        else:
            address = self._arena.end
            if self.number(address) >= VMA_LIMIT:
                message = (
                    f"the simulated machine is out of memory: it has room for {VMA_LIMIT} VMAs"
                )
                raise UsageError(message)
            self.mem.grow(self._arena, self.size)
        self.live.add(address)
        return Vma(self, address)

    def free(self, vma: Vma) -> None:
        """kmem_cache_free. Raises MachineFault: bad free, double free."""
        address = vma.address
        if address not in self.live:
            known = self.base <= address < self._arena.end
            kind = "double free" if known else "bad free"
            message = f"kmem_cache_free(vm_area_struct, {self.mem.arch.hex_pointer(address)})"
            raise MachineFault(kind, address, message, arch=self.mem.arch.name)
        self.live.remove(address)
        if self.reuse:
            self._free.append(address)

    def free_rcu(self, vma: Vma) -> None:
        """Free after the grace period: call_rcu() writes over vm_start and vm_end at once.

        Without CONFIG_PER_VMA_LOCK there is no vm_rcu and the VMA is freed now.
        """
        if "vm_rcu" not in self.offsets:
            self.free(vma)
            return
        vma.vm_start, vma.vm_end = 0, RCU_FREE_VMA
        self.queue.append(vma.address)

    def run_rcu(self) -> int:
        """The grace period is over: free what waits; returns how many."""
        waiting, self.queue = self.queue, []
        for address in waiting:
            self.free(Vma(self, address))
        return len(waiting)
