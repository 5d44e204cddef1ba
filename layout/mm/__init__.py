"""Address spaces: VMAs as structs in the machine's memory, in a tree, with Linux's operations.

The entries of the tree are addresses of struct vm_area_struct. One module per subject; functions
keep their kernel names, and return errnos negative. :class:`~layout.mm.addressspace.AddressSpace`
lists them all.

>>> import arches
>>> from layout.machine.machine import Machine
>>> from layout.mm.manager import MemoryManager
>>> from layout.mm.vm_flags import MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE
>>> mm = MemoryManager(Machine(arches.get("s390x"))).new_mm()
>>> hex(mm.mmap(0, 0x2000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS))
'0x3fff7ff9000'
>>> mm.munmap(0x3FFF7FFA000, 0x1000)
0
>>> [(hex(vma.vm_start), hex(vma.vm_end)) for vma in mm]
[('0x3fff7ff9000', '0x3fff7ffa000')]
"""
