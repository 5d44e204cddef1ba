"""struct vm_area_struct, declared once for every machine; the entries of a process's tree.

Source: include/linux/mm_types.h of Linux 6.12. Which members there are depends on the kernel's
configuration: CONFIGS has one for each machine that the captured kernels' VMAs fit in size
(Debian's for x86_64 and s390x, a minimal one without SMP for sparc64). Which options give the
last members of s390x's is not known for certain; up to ``vm_private_data`` only PER_VMA_LOCK
moves anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.structs.ctypes import CModel, CStruct, CUnion

if TYPE_CHECKING:
    from arches import Arch

CONFIGS: dict[str, tuple[str, ...]] = {
    "x86_64": ("PER_VMA_LOCK", "SWAP", "NUMA", "NUMA_BALANCING", "USERFAULTFD"),
    "s390x": ("PER_VMA_LOCK", "SWAP", "USERFAULTFD"),
    "sparc64": (),
}
"""The options that give members to struct vm_area_struct, by machine.

A machine that is left out gets none: a kernel without SMP, swap and NUMA.
"""


def declare_mm(arch: Arch, version: str) -> dict[str, CStruct]:
    """The structs of address spaces by their C names; none for versions other than 6.12."""
    if version != "6.12":
        return {}
    m, config = CModel(arch), CONFIGS.get(arch.name, ())
    s: dict[str, CStruct] = {}
    s["list_head"] = CStruct(
        m.pointer("next", "struct list_head"), m.pointer("prev", "struct list_head")
    )
    s["rb_node"] = CStruct(
        m.ulong_("__rb_parent_color"),
        m.pointer("rb_right", "struct rb_node"),
        m.pointer("rb_left", "struct rb_node"),
        align=arch.word_size,  # the attribute asks for it, also where long has less
    )
    rcu = CStruct(
        m.pointer("next", "struct callback_head"),
        "func" / m.ulong * "void (*)(struct callback_head *)",
        align=arch.word_size,
        transparent=True,
    )
    lock = (
        m.uchar_("detached"),
        m.uint_("vm_lock_seq"),
        m.pointer("vm_lock", "struct vma_lock"),
    )
    shared = CStruct(
        "rb" / s["rb_node"] * "struct rb_node", m.ulong_("rb_subtree_last"), transparent=True
    )
    s["vm_area_struct"] = CStruct(
        CUnion(
            CStruct(m.ulong_("vm_start"), m.ulong_("vm_end"), transparent=True),
            *(["vm_rcu" / rcu * "struct callback_head"] if "PER_VMA_LOCK" in config else []),
        ),
        m.pointer("vm_mm", "struct mm_struct"),
        "vm_page_prot" / m.ulong * "pgprot_t",
        "vm_flags" / m.ulong * "vm_flags_t",
        *(lock if "PER_VMA_LOCK" in config else ()),
        "shared" / shared * "struct (unnamed)",
        "anon_vma_chain" / s["list_head"] * "struct list_head",
        m.pointer("anon_vma", "struct anon_vma"),
        m.pointer("vm_ops", "struct vm_operations_struct"),
        m.ulong_("vm_pgoff"),
        m.pointer("vm_file", "struct file"),
        m.pointer("vm_private_data", "void"),
        *(["swap_readahead_info" / m.ulong * "atomic_long_t"] if "SWAP" in config else []),
        *([m.pointer("vm_policy", "struct mempolicy")] if "NUMA" in config else []),
        *(
            [m.pointer("numab_state", "struct vma_numab_state")]
            if "NUMA_BALANCING" in config
            else []
        ),
        *(
            ["vm_userfaultfd_ctx" / m.ulong * "struct vm_userfaultfd_ctx"]
            if "USERFAULTFD" in config
            else []
        ),
    )
    return s
