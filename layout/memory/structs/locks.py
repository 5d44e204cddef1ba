"""Kernel configuration: the layout of spinlock_t, which determines the offsets in maple_tree.

Source: spinlock_types.h, spinlock_types_raw.h, spinlock_types_up.h, lockdep_types.h, rtmutex.h and
rbtree_types.h in include/linux of 6.12, and asm/spinlock_types.h of each architecture. The size of
the lock itself is the machine's (``Arch.smp_lock``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import construct

from layout.memory.errors import UsageError
from layout.memory.structs.ctypes import CStruct, CUnion

if TYPE_CHECKING:
    from arches import Arch
    from layout.memory.structs.ctypes import CModel

OPTIONS = {
    "smp": "CONFIG_SMP; taken for granted without up",
    "up": "a kernel for one processor: the lock is empty",
    "debug-spinlock": "CONFIG_DEBUG_SPINLOCK: each lock knows its owner",
    "lockdep": "CONFIG_PROVE_LOCKING: a lockdep_map in each lock; means debug-spinlock",
    "lock-stat": "CONFIG_LOCK_STAT: statistics in each lockdep_map; means lockdep",
    "rt": "CONFIG_PREEMPT_RT: the lock is an rt_mutex",
}
"""The options of a kernel's configuration that change struct maple_tree."""


@dataclass(frozen=True, slots=True)
class Config:
    """A kernel configuration, as far as it changes locks."""

    smp: bool = True
    debug: bool = False
    lockdep: bool = False
    lock_stat: bool = False
    rt: bool = False


def parse_config(text: str, arch: Arch) -> Config:
    """The configuration that ``text`` names: options separated by commas (``up,lockdep``).

    Raises UsageError for options that are not known or exclude one another, and for an SMP
    kernel on a machine that has none.
    """
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in OPTIONS:
            message = f"no configuration {word!r}: choose among {', '.join(OPTIONS)}"
            raise UsageError(message)
    if "smp" in words and "up" in words:
        message = "a kernel is for one processor (up) or for several (smp): choose one"
        raise UsageError(message)
    if "smp" in words and not arch.smp_lock:
        message = f"{arch.name} has no SMP kernels: leave out smp"
        raise UsageError(message)
    lock_stat = "lock-stat" in words
    lockdep = lock_stat or "lockdep" in words
    return Config(
        smp="up" not in words and bool(arch.smp_lock),
        debug=lockdep or "debug-spinlock" in words,
        lockdep=lockdep,
        lock_stat=lock_stat,
        rt="rt" in words,
    )


def declare_locks(m: CModel, config: Config) -> dict[str, CStruct]:
    """The structs that make up spinlock_t, by name; ``spinlock`` comes last."""
    s: dict[str, CStruct] = {}
    dep_map = []
    if config.lockdep:
        s["lockdep_map"] = _lockdep_map(m, config)
        dep_map = ["dep_map" / s["lockdep_map"] * "struct lockdep_map"]
    s["raw_spinlock"] = CStruct(
        "raw_lock" / _arch_spinlock(m, config) * "arch_spinlock_t",
        *([m.uint_("magic"), m.uint_("owner_cpu")] if config.debug else []),
        *([m.pointer("owner", "void")] if config.debug else []),
        *dep_map,
    )
    if config.rt:
        s["rb_root"] = CStruct(m.pointer("rb_node", "struct rb_node"))
        s["rb_root_cached"] = CStruct(
            "rb_root" / s["rb_root"] * "struct rb_root",
            m.pointer("rb_leftmost", "struct rb_node"),
        )
        s["rt_mutex_base"] = CStruct(
            "wait_lock" / s["raw_spinlock"] * "raw_spinlock_t",
            "waiters" / s["rb_root_cached"] * "struct rb_root_cached",
            m.pointer("owner", "struct task_struct"),
        )
        s["spinlock"] = CStruct("lock" / s["rt_mutex_base"] * "struct rt_mutex_base", *dep_map)
        return s
    views: list[Any] = ["rlock" / s["raw_spinlock"] * "struct raw_spinlock"]
    if dep_map:
        before = s["raw_spinlock"].sizeof() - s["lockdep_map"].sizeof()
        padding = "__padding" / construct.Array(before, m.uchar) * f"u8 [{before}]"
        views.append(CStruct(padding, *dep_map, transparent=True))
    s["spinlock"] = CStruct(CUnion(*views))
    return s


def _arch_spinlock(m: CModel, config: Config) -> CStruct:
    """arch_spinlock_t: a word or more on SMP machines; on others empty unless debugged."""
    size = m.arch.smp_lock if config.smp else 4 * config.debug
    if size > 4:
        words = "lock" / construct.Array(size // 4, m.uint) * f"unsigned int [{size // 4}]"
        return CStruct(words, transparent=True)
    return CStruct(*([m.uint_("lock")] if size else []), transparent=True)


def _lockdep_map(m: CModel, config: Config) -> CStruct:
    return CStruct(
        m.pointer("key", "struct lock_class_key"),
        m.pointers("class_cache", "struct lock_class", 2),
        m.pointer("name", "const char"),
        *("wait_type_outer" / m.uchar * "u8", "wait_type_inner" / m.uchar * "u8"),
        "lock_type" / m.uchar * "u8",
        *(["cpu" / m.uint * "int", m.ulong_("ip")] if config.lock_stat else []),
    )
