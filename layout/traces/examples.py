"""An example of every operation of the trace language: the reference page runs them."""

from __future__ import annotations

BEFORE = """\
init 1
store 10 1f 1001
store 30 3f 2001
"""
"""What comes before each example: two ranges in a tree that tracks gaps."""

EXAMPLES = {
    "init": "init 2",
    "sel": "sel 1",
    "rcu": "rcu on",
    "rcu_lock": "rcu_lock",
    "rcu_unlock": "rcu on\nrcu_lock\nstore 18 1f 3001\nrcu_unlock",
    "destroy": "destroy",
    "dup": "dup 1",
    "dup_noinit": "dup 1\ndup_noinit 1",
    "store": "store 18 2f 3001",
    "storenw": "storenw 18 2f 3001",
    "mstore": "mstore 18 2f 3001",
    "insert": "insert 18 2f 3001",
    "erase": "erase 15",
    "alloc_range": "alloc_range 3001 8 0 ff",
    "alloc_rrange": "alloc_rrange 3001 8 0 ff",
    "alloc_cyclic": "alloc_cyclic 3001 30 40 38",
    "load": "load 15",
    "walk": "walk 25",
    "find": "find 0 ff",
    "find_after": "find_after 20 ff",
    "next": "next 15 ff",
    "prev": "prev 35 0",
    "iter": "iter 0 ff",
    "empty_area": "empty_area 0 ff 8",
    "empty_area_rev": "empty_area_rev 0 ff 8",
    "prealloc": "prealloc 18 2f 3001",
    "prealloc_raw": "prealloc_raw 18 2f 3001",
    "expect_raw": "expect_raw 14",
    "bulk": "init 0\nbulk 20 20 1000 10 8 5001",
    "cset": "cset 10",
    "cpause": "cset 10\ncwalk\ncpause",
    "creset": "cset 10\ncwalk\ncreset",
    "cwalk": "cset 15\ncwalk",
    "cnext": "cset 15\ncnext ff",
    "cnext_range": "cset 15\ncwalk\ncnext_range ff",
    "cfind": "cset 15\ncfind ff",
    "cfind_range": "cset 25\ncfind_range ff",
    "cprev": "cset 35\ncprev 0",
    "cprev_range": "cset 35\ncwalk\ncprev_range 0",
    "cfind_rev": "cset 35\ncfind_rev 0",
    "cfind_range_rev": "cset 25\ncfind_range_rev 0",
    "cstore": "cset 18 2f\ncstore 3001",
    "cerase": "cset 15\ncerase",
    "fail": "rcu on\nfail 0\nstore 18 1a 3001",
    "failnw": "rcu on\nfailnw 0 1\nstorenw 18 1a 3001",
    "validate": "validate",
    "mtdump": "mtdump",
    "dump": "dump",
    "memdump": "memdump",
    "treemem": "treemem",
    "poke": "poke 1000000000 8 77",
}
"""For each operation the lines of its example. The last line's result is shown."""
