"""Answers of the kernel that differ from a plain model of ranges, and are forgiven."""

from __future__ import annotations

from typing import NamedTuple


class Quirk(NamedTuple):
    """An answer that the model does not give, and is forgiven: when, what it is, and why."""

    operations: str
    when: str
    answer: str
    why: str


QUIRKS = {
    "inserted over all": Quirk(
        "insert",
        "the range, widened by free ranges if V is NULL, is 0 to ULONG_MAX, and the root is a leaf",
        "0 instead of -EEXIST: all entries are replaced",
        "a bug: [](found.md#an-insertion-over-all-indexes-replaces-the-tree)",
    ),
    "overlooked": Quirk(
        "empty_area_rev, alloc_rrange",
        "the free range begins in the first slot of the root, and that slot or the search ends at "
        "ULONG_MAX",
        "-EBUSY, though there is room",
        "a bug: [](found.md#a-reverse-search-up-to-ulong_max-misses-every-gap-in-the-first-slot)",
    ),
    "start of a NULL": Quirk(
        "alloc_range, alloc_rrange, alloc_cyclic",
        "V is NULL, and the tree has nodes",
        "the start of the whole free range, below the lower limit",
        "a bug: [](found.md#the-start-of-an-allocated-null-is-too-low)",
    ),
    "below the limit": Quirk(
        "prev, cprev, cfind_rev, cprev_range, cfind_range_rev",
        "the tree has no nodes, only an entry at 0, and MIN is above 0",
        "the entry at 0",
        "a bug: [](found.md#a-search-down-to-a-limit-finds-the-entry-at-0-below-it)",
    ),
    "nothing but room": Quirk(
        "empty_area, alloc_range, alloc_cyclic",
        "the tree is one node of one free range, and the search is from 0 to ULONG_MAX",
        "-EBUSY, though all indexes are free",
        "a bug: [](found.md#a-forward-search-of-all-indexes-misses-an-empty-tree)",
    ),
    "end of a new root": Quirk(
        "cnext, cfind, cnext_range, cfind_range",
        "the cursor has made the tree's first node by a store, and has not walked since",
        "NULL, as if nothing came behind",
        "a bug: [](found.md#after-a-store-into-an-empty-tree-the-state-does-not-know-its-node)",
    ),
    "entry at A": Quirk(
        "mstore",
        "the range covers more than one range",
        "the entry at A, be it NULL; the comment of mas_store() promises the first entry between "
        "A and B",
        "the comment is wrong: [](found.md#mas_store-does-not-return-the-first-entry)",
    ),
    "anything from mas_store": Quirk(
        "mstore",
        "the range covers more than one range and several leaves, or V is NULL",
        "in 6.12 not even the entry at A",
        "as before; 7.2 and 7.3 return the entry at A",
    ),
    "freed in RCU mode": Quirk(
        "all that change the tree",
        "the tree is in RCU mode, or was when nodes of it were replaced, and tracks no gaps",
        "a crash, or another node is freed",
        "two bugs: [](found.md#the-last-child-of-a-destroyed-node-loses-two-bytes-of-its-address), "
        "[](found.md#metadata-is-taken-for-a-child-when-a-tall-tree-is-freed)",
    ),
    "refused": Quirk(
        "all that allocate",
        "the trace has allocations refused",
        "-ENOMEM, and nothing is stored; from erase and cerase of 6.12 and 7.2 the entry, though "
        "it stays",
        "as documented; mtree_erase() cannot say that it failed, and 7.3 no longer does",
    ),
    "stored from an end": Quirk(
        "cstore",
        "the cursor is paused, or beyond what it could find",
        "any: the model takes over what the tree is then",
        "no comment says where such a state stands",
    ),
    "moved from an end": Quirk(
        "cnext, cfind, cprev, cfind_rev and their _range forms",
        "the cursor is beyond what it could find",
        "any entry of the tree, with its range",
        "which step comes next differs by function and version, and no comment says it",
    ),
}
"""Every answer that the model forgives, by a short name."""
