"""The maple tree's structs, declared once for every machine and kernel version.

Source: include/linux/maple_tree.h and lib/maple_tree.c of Linux 6.1 and 6.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import construct

from layout.structs.ctypes import CModel, CStruct, CUnion

if TYPE_CHECKING:
    from arches import Arch


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many slots each kind of node has; the rest follows from it."""

    node_slots: int
    range64_slots: int
    arange64_slots: int
    alloc_slots: int

    @property
    def slots(self) -> tuple[int, int, int, int]:
        """mt_slots, indexed by node type."""
        return (self.node_slots, self.range64_slots, self.range64_slots, self.arange64_slots)

    @property
    def pivots(self) -> tuple[int, int, int, int]:
        """mt_pivots, indexed by node type."""
        r64, a64 = self.range64_slots - 1, self.arange64_slots - 1
        return (0, r64, r64, a64)

    @property
    def min_slots(self) -> tuple[int, int, int, int]:
        """mt_min_slots, indexed by node type."""
        r64 = self.range64_slots // 2 - 2
        return (self.node_slots // 2, r64, r64, self.arange64_slots // 2 - 1)


def sizes(arch: Arch) -> Sizes:
    """The slot counts on this machine."""
    return Sizes(31, 16, 10, 30) if arch.word_size == 8 else Sizes(63, 32, 21, 61)


def declare(arch: Arch, version: str, lock_size: int) -> dict[str, CStruct]:
    """Every struct by its C name. ``lock_size`` is the size of spinlock_t in bytes."""
    m, n = CModel(arch), sizes(arch)
    s: dict[str, CStruct] = {}
    s["maple_metadata"] = CStruct(m.uchar_("end"), m.uchar_("gap"))
    meta = "meta" / s["maple_metadata"] * "struct maple_metadata"
    s["maple_range_64"] = CStruct(
        m.pointer("parent", "struct maple_pnode"),
        m.ulongs("pivot", n.range64_slots - 1),
        CUnion(
            m.pointers("slot", "void", n.range64_slots),
            CStruct(m.pointers("pad", "void", n.range64_slots - 1), meta, transparent=True),
        ),
    )
    s["maple_arange_64"] = CStruct(
        m.pointer("parent", "struct maple_pnode"),
        m.ulongs("pivot", n.arange64_slots - 1),
        m.pointers("slot", "void", n.arange64_slots),
        m.ulongs("gap", n.arange64_slots),
        meta,
    )
    s["maple_alloc"] = CStruct(
        m.ulong_("total"),
        m.uchar_("node_count"),
        m.uint_("request_count"),
        m.pointers("slot", "struct maple_alloc", n.alloc_slots),
    )
    s["maple_topiary"] = CStruct(
        m.pointer("parent", "struct maple_pnode"), m.pointer("next", "struct maple_enode")
    )
    s["rcu_head"] = CStruct(
        m.pointer("next", "struct rcu_head"),
        "func" / m.ulong * "void (*)(struct rcu_head *)",
        align=arch.word_size,  # struct callback_head asks for it, also where long has less
    )
    s["maple_node"] = CStruct(
        CUnion(
            CStruct(
                m.pointer("parent", "struct maple_pnode"),
                m.pointers("slot", "void", n.node_slots),
                transparent=True,
            ),
            CStruct(
                m.pointer("pad", "void"),
                "rcu" / s["rcu_head"] * "struct rcu_head",
                m.pointer("piv_parent", "struct maple_enode"),
                m.uchar_("parent_slot"),
                m.enum("type", "maple_type"),
                m.uchar_("slot_len"),
                m.uint_("ma_flags"),
                transparent=True,
            ),
            "mr64" / s["maple_range_64"] * "struct maple_range_64",
            "ma64" / s["maple_arange_64"] * "struct maple_arange_64",
            "alloc" / s["maple_alloc"] * "struct maple_alloc",
        )
    )
    s["ma_topiary"] = CStruct(
        m.pointer("head", "struct maple_enode"),
        m.pointer("tail", "struct maple_enode"),
        m.pointer("mtree", "struct maple_tree"),
    )
    s["maple_tree"] = _maple_tree(m, version, lock_size)
    s["ma_state"] = _ma_state(m, version)
    s["ma_wr_state"] = CStruct(
        m.pointer("mas", "struct ma_state"),
        m.pointer("node", "struct maple_node"),
        m.ulong_("r_min"),
        m.ulong_("r_max"),
        m.enum("type", "maple_type"),
        m.uchar_("offset_end"),
        *([m.uchar_("node_end")] if version == "6.1" else []),
        m.pointer("pivots", "unsigned long"),
        m.ulong_("end_piv"),
        m.pointer("slots", "void *"),
        m.pointer("entry", "void"),
        m.pointer("content", "void"),
    )
    big_slots, big_gaps = n.range64_slots * 2 + 2, n.arange64_slots * 2 + 1
    s["maple_big_node"] = CStruct(
        m.pointer("parent", "struct maple_pnode"),
        m.ulongs("pivot", big_slots - 1),
        CUnion(
            m.pointers("slot", "struct maple_enode", big_slots),
            CStruct(m.ulongs("padding", big_gaps), m.ulongs("gap", big_gaps), transparent=True),
        ),
        m.uchar_("b_end"),
        m.enum("type", "maple_type"),
    )
    states = [m.pointer(name, "struct ma_state") for name in ("orig_l", "orig_r", "l", "m", "r")]
    s["maple_subtree_state"] = CStruct(
        *states,
        m.pointer("free", "struct ma_topiary"),
        m.pointer("destroy", "struct ma_topiary"),
        m.pointer("bn", "struct maple_big_node"),
    )
    return s


def _maple_tree(m: CModel, version: str, lock_size: int) -> CStruct:
    lock = CStruct(
        *(["lock" / m.uint * "unsigned int"] if lock_size else []),
        *([construct.Padding(lock_size - 4)] if lock_size > 4 else []),
        transparent=True,
    )
    locks: Any = CUnion(
        "ma_lock" / lock * "spinlock_t",
        "ma_external_lock" / CStruct(transparent=True) * "lockdep_map_p",
    )
    flags, root = m.uint_("ma_flags"), m.pointer("ma_root", "void")
    if version == "6.1":
        return CStruct(locks, root, flags)
    return CStruct(locks, flags, root)


def _ma_state(m: CModel, version: str) -> CStruct:
    words = (
        m.pointer("tree", "struct maple_tree"),
        m.ulong_("index"),
        m.ulong_("last"),
        m.pointer("node", "struct maple_enode"),
        m.ulong_("min"),
        m.ulong_("max"),
        m.pointer("alloc", "struct maple_alloc"),
    )
    small = (m.uchar_("depth"), m.uchar_("offset"), m.uchar_("mas_flags"))
    if version == "6.1":  # the status is a magic value of node there
        return CStruct(*words, *small)
    status, store_type = m.enum("status", "maple_status"), m.enum("store_type", "store_type")
    return CStruct(*words, status, *small, m.uchar_("end"), store_type)


ENUMS: dict[str, tuple[str, ...]] = {
    "maple_type": ("maple_dense", "maple_leaf_64", "maple_range_64", "maple_arange_64"),
    "maple_status": (
        *("ma_active", "ma_start", "ma_root", "ma_none"),
        *("ma_pause", "ma_overflow", "ma_underflow", "ma_error"),
    ),
    "store_type": (
        *("wr_invalid", "wr_new_root", "wr_store_root", "wr_exact_fit", "wr_spanning_store"),
        *("wr_split_store", "wr_rebalance", "wr_append", "wr_node_store", "wr_slot_store"),
    ),
}
"""The enumerators of each enum, numbered from 0. 6.1 has maple_type only."""


def enums(version: str) -> dict[str, tuple[str, ...]]:
    """The enums that exist in this kernel version."""
    return {k: v for k, v in ENUMS.items() if version != "6.1" or k == "maple_type"}
