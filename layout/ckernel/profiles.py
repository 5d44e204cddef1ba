"""How likely the moves of generated traces are, by profile."""

from __future__ import annotations

USUAL = {
    "store": 30, "clear": 4, "insert": 8, "erase": 8, "read": 15, "gap": 3, "allocate": 5,
    "mas_store": 5, "preallocate": 6, "raw": 1.5, "bulk": 0.3, "cursor": 8, "refuse": 1.5,
    "rcu": 0.7, "look": 2, "destroy": 0.4, "crowd": 0.5,
}  # fmt: skip
"""How likely each move is."""

PROFILES: dict[str, dict[str, float]] = {
    "mixed": {},
    "stores": {"store": 90, "bulk": 0, "destroy": 0, "refuse": 0},
    "cursor": {"cursor": 80, "bulk": 0.1},
    "allocation": {"allocate": 60, "store": 5, "gap": 20},
    "refusals": {"refuse": 12, "bulk": 1, "preallocate": 10, "raw": 4, "allocate": 8},
    "preallocation": {"preallocate": 50, "raw": 8},
    "bulk": {"bulk": 8, "rcu": 0},
    "trees": {"tree": 12, "refuse": 3},
    "rcu": {"rcu": 5, "bulk": 0, "tree": 2},
    "nulls": {"clear": 25, "erase": 18},
    "inserts": {"insert": 60},
    "full leaves": {"crowd": 25, "store": 10, "destroy": 0, "bulk": 0},
    "deep": {"cursor": 20, "destroy": 0, "bulk": 0, "tree": 2},
    "edges": {"cursor": 30, "erase": 15, "clear": 8, "destroy": 6, "mas_store": 10},
}
"""How likely each move is, where it is not as usual."""

DIRECTED: dict[str, dict[str, float]] = {
    "bounds": {"gap": 20, "allocate": 20, "insert": 20, "read": 30, "cursor": 25, "erase": 12,
               "clear": 10, "crowd": 1, "bulk": 0, "tree": 1},
}  # fmt: skip
"""Profiles that only a caller chooses. The indexes of ``bounds`` are the first and last ones, and
those at the edges of the ranges and the leaves that the tree has."""

ABUSE = {"stale": 4, "overfill": 2, "absurd": 1}
"""What the kernel's code is known not to survive."""
