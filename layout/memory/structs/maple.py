"""The maple tree's structs, declared once for every machine and kernel version.

Source: include/linux/maple_tree.h and lib/maple_tree.c of Linux 6.1 and 6.12; the BTF of an
x86_64 kernel 6.18.44; the source of 7.2 and 7.3, see docs/layouts.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import construct

from layout.memory.structs.ctypes import CModel, CStruct, CUnion
from layout.memory.structs.locks import declare_locks

if TYPE_CHECKING:
    from arches import Arch
    from layout.memory.structs.locks import Config

VERSIONS = ("6.1", "6.12", "6.18", "7.2", "7.3")
"""The kernel versions whose layouts are known, oldest first."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The number of slots of each kind of node; all else follows from it."""

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


def declare(arch: Arch, version: str, lock: int | Config) -> dict[str, CStruct]:
    """Every struct by its C name. ``lock``: the size of spinlock_t in bytes, or what makes it."""
    m, n = CModel(arch), sizes(arch)
    sheaves = VERSIONS.index(version) >= VERSIONS.index("6.18")  # nodes come from the slab's
    copies = VERSIONS.index(version) >= VERSIONS.index("7.2")  # maple_copy instead of big nodes
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
    if copies:
        s["maple_copy"] = _maple_copy(m)
        last_view = "cp" / s["maple_copy"] * "struct maple_copy"
    else:
        s["maple_alloc"] = CStruct(
            m.ulong_("total"),
            m.uchar_("node_count"),
            m.uint_("request_count"),
            m.pointers("slot", "struct maple_alloc", n.alloc_slots),
        )
        last_view = "alloc" / s["maple_alloc"] * "struct maple_alloc"
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
            last_view,
        )
    )
    s["ma_topiary"] = CStruct(
        m.pointer("head", "struct maple_enode"),
        m.pointer("tail", "struct maple_enode"),
        m.pointer("mtree", "struct maple_tree"),
    )
    _declare_maple_tree(s, m, version, lock)
    checked = not isinstance(lock, int) and lock.lockdep
    s["ma_state"] = _ma_state(m, version, sheaves=sheaves, lockdep=checked)
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
        *([m.uchar_("vacant_height"), m.uchar_("sufficient_height")] if sheaves else []),
    )
    if copies:
        return s
    big_slots, big_gaps = n.range64_slots * 2 + 2, n.arange64_slots * 2 + 1
    s["maple_big_node"] = CStruct(
        *([] if sheaves else [m.pointer("parent", "struct maple_pnode")]),
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


def _maple_copy(m: CModel) -> CStruct:
    """What 7.2 gathers up to four nodes in, to write them out as up to three."""
    target = CStruct(
        m.pointer("node", "struct maple_node"),
        m.ulong_("max"),
        m.enum("mt", "maple_type"),
        transparent=True,
    )
    source = CStruct(
        m.pointer("node", "struct maple_node"),
        m.ulong_("max"),
        *(m.uchar_("start"), m.uchar_("end")),
        m.enum("mt", "maple_type"),
        transparent=True,
    )
    return CStruct(
        "dst" / construct.Array(3, target) * "struct [3]",
        "src" / construct.Array(4, source) * "struct [4]",
        m.pointers("slot", "void", 3),
        m.ulongs("gap", 3),
        m.ulong_("min"),
        CUnion(
            m.ulongs("pivot", 3),
            CStruct(m.pointers("_pad", "void", 2), m.ulong_("max"), transparent=True),
        ),
        *(m.uchar_(name) for name in ("end", "s_count", "d_count", "split", "data", "height")),
    )


def _declare_maple_tree(s: dict[str, CStruct], m: CModel, version: str, lock: int | Config) -> None:
    """Declare maple_tree, and before it what its lock is made of."""
    external: Any = CStruct(transparent=True)
    if isinstance(lock, int):
        words = ["lock" / m.uint * "unsigned int"] if lock else []
        rest = [construct.Padding(lock - 4)] if lock > 4 else []
        spinlock = CStruct(*words, *rest, transparent=True)
        lockdep = False
    else:
        s |= declare_locks(m, lock)
        spinlock, lockdep = s["spinlock"], lock.lockdep
    if lockdep:
        external = m.ulong
    views = ["ma_lock" / spinlock * "spinlock_t"]
    if version in ("6.1", "6.12"):
        views.append("ma_external_lock" / external * "lockdep_map_p")
    elif lockdep:
        views.append(m.pointer("ma_external_lock", "struct lockdep_map"))
    flags, root = m.uint_("ma_flags"), m.pointer("ma_root", "void")
    members = (root, flags) if version == "6.1" else (flags, root)
    s["maple_tree"] = CStruct(CUnion(*views), *members)


def _ma_state(m: CModel, version: str, *, sheaves: bool, lockdep: bool) -> CStruct:
    words = [
        m.pointer("tree", "struct maple_tree"),
        m.ulong_("index"),
        m.ulong_("last"),
        m.pointer("node", "struct maple_enode"),
        m.ulong_("min"),
        m.ulong_("max"),
    ]
    if sheaves:
        words += [m.pointer("sheaf", "struct slab_sheaf"), m.pointer("alloc", "struct maple_node")]
        words += [m.ulong_("node_request")]
    else:
        words += [m.pointer("alloc", "struct maple_alloc")]
    small = (m.uchar_("depth"), m.uchar_("offset"), m.uchar_("mas_flags"))
    if version == "6.1":  # the status is a magic value of node there
        return CStruct(*words, *small)
    status, store_type = m.enum("status", "maple_status"), m.enum("store_type", "store_type")
    sequence = []  # of the lock when the walk began; without CONFIG_RCU_STRICT_GRACE_PERIOD
    if lockdep and VERSIONS.index(version) >= VERSIONS.index("7.3"):
        sequence = [m.uint_("ld_seq")]
    return CStruct(*words, status, *small, m.uchar_("end"), store_type, *sequence)


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
"""The enumerators of each enum, numbered from 0. 6.1 has maple_type only, 7.2 one type more."""


def enums(version: str) -> dict[str, tuple[str, ...]]:
    """The enums that exist in this kernel version."""
    known = {k: v for k, v in ENUMS.items() if version != "6.1" or k == "maple_type"}
    if VERSIONS.index(version) >= VERSIONS.index("7.2"):
        known["maple_type"] += ("maple_copy",)
    return known
