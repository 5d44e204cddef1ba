"""The barriers of lib/maple_tree.c between readers and a writer, and the machines' memory orders.

A barrier is named by the kernel's function that has it. ``tests/interleave/test_barriers.py`` finds
the same functions in the kernel's source.
"""

from __future__ import annotations

from typing import NamedTuple

from layout.memory.errors import UsageError

RELEASE, WMB, RMB, DEREFERENCE = (
    *("rcu_assign_pointer", "smp_wmb", "smp_rmb"),
    "rcu_dereference",
)
KINDS = (RELEASE, WMB, RMB, DEREFERENCE)
"""The kernel's names for kinds of barriers."""


class Barrier(NamedTuple):
    """One barrier: the kernel's function that has it, its kind, and what it orders.

    ``only`` is the kernel version that alone has it, "" if all have.
    """

    function: str
    kind: str
    orders: str
    only: str = ""


BARRIERS: dict[str, Barrier] = {
    each.function: each
    for each in (
        Barrier("mas_put_in_tree", RELEASE, "a node's content before the pointer to it"),
        Barrier("mas_wr_store_entry", RELEASE, "what an entry points to before the entry"),
        Barrier("mas_wr_slot_store", RELEASE, "what an entry points to before the entry"),
        Barrier("mas_wr_append", RELEASE, "an end pivot and metadata before the entry"),
        Barrier("mas_root_expand", RELEASE, "the first node's content before the root"),
        Barrier("mas_store_root", RELEASE, "what an entry points to before the root"),
        Barrier("mas_new_root", RELEASE, "the new node's content before the root"),
        Barrier("__mt_destroy", RELEASE, "earlier stores before an empty root"),
        Barrier("mte_set_node_dead", WMB, "the mark of a dead node before its reuse"),
        Barrier("ma_dead_node", RMB, "reads of a node before the read of its mark"),
        Barrier("mte_dead_node", RMB, "reads of a node before the read of its mark", "6.12"),
        Barrier("mas_root", DEREFERENCE, "the read of the root before reads of that node"),
        Barrier("mt_slot", DEREFERENCE, "the read of a slot before reads of that node"),
    )
}
"""The barriers that can be taken out, by the kernel's function."""

UNPUBLISHED = {
    "mas_wr_node_store": "it writes a node that is not in the tree yet, or outside RCU mode",
    "mas_destroy_rebalance": "it ends a bulk load",
    "mas_dup_build": "it writes a tree that nobody reads yet",
    "mte_dead_leaves": "it writes nodes that are cut off",
    "mt_dump": "it prints",
}
"""Functions with such calls between which and a reader nothing is ordered, and why."""

_AS = {"mas_wr_exact_fit": "mas_wr_store_entry", "mt_destroy": "__mt_destroy"}
_PUBLISHED = frozenset({"slot", "ma_root"})

TSO, WEAK = "tso", "weak"
ORDERS = (TSO, WEAK)
"""Memory orders: stores become visible in program order, or only as barriers say."""

_IN_ORDER = frozenset({"x86_64", "i386", "s390x", "sparc64", "m68k"})
"""Machines whose Linux runs with total store order; m68k has one processor."""


def order_of(arch: str) -> str:
    """The memory order of a machine, by its name: TSO or WEAK.

    >>> order_of("s390x"), order_of("powerpc64")
    ('tso', 'weak')
    """
    return TSO if arch in _IN_ORDER else WEAK


def release_of(function: str, field: str) -> str:
    """The barrier of a store by this emulated function into this field; "" where it has none.

    >>> release_of("mas_wr_exact_fit", "slot[3]"), release_of("mas_wr_slot_store", "pivot[3]")
    ('mas_wr_store_entry', '')
    """
    name = _AS.get(function, function)
    barrier = BARRIERS.get(name)
    wanted = barrier is not None and barrier.kind == RELEASE
    return name if wanted and field.partition("[")[0] in _PUBLISHED else ""


def barriers_of(version: str) -> list[Barrier]:
    """The barriers that a kernel version has."""
    return [each for each in BARRIERS.values() if each.only in ("", version)]


def without(names: list[str]) -> frozenset[str]:
    """The barriers that these names stand for: functions, or kinds for all of a kind.

    Raises UsageError.
    """
    found: set[str] = set()
    for name in names:
        if name in BARRIERS:
            found.add(name)
        elif name in KINDS:
            found.update(each.function for each in BARRIERS.values() if each.kind == name)
        else:
            message = (
                f"there is no barrier {name[:40]!r}: choose one of {', '.join(BARRIERS)}, "
                f"or all of {', '.join(KINDS)}"
            )
            raise UsageError(message)
    return frozenset(found)
