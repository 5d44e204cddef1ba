"""The operations of the trace language, each declared once.

A new operation is a declaration here and, for the kernel's own code, an ``op_NAME`` in
``layout/ckernel/harness/operations.c``. It is a call of one of the kernel's functions, or a
function of its own. That takes a Session and the arguments of the line; it returns what the line
says of the operation. Where it breaks a rule of the machine the fault goes up to the runner.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from layout.memory.errors import UsageError
from layout.memory.limits import most_ranges, nodes_for, too_many
from layout.memory.pointers import MT_FLAGS_HEIGHT_MASK, mte_node_type, mte_to_node
from layout.traces.language import NO_LIMIT, Group, Section
from layout.traces.session import entry_line, reachable
from layout.tree.state import MA_ERROR

if TYPE_CHECKING:
    from layout.traces.language import Declaration
    from layout.traces.session import Line, Session
    from layout.tree.state import MaState

OPERATIONS: dict[str, Declaration] = {}
"""Every operation by its name."""

_section = partial(Section, OPERATIONS)
_trees = _section(Group.TREES)
_stores = _section(Group.STORES, changes=True, returns="ret")
_allocations = _section(Group.ALLOCATIONS, changes=True, returns="ret start")
_reads = _section(Group.READS, returns="entry")
_gaps = _section(Group.GAPS, returns="ret state")
_reserves = _section(Group.RESERVES, changes=True)
_on_cursor = _section(Group.CURSOR)
_forward = _section(Group.FORWARD, returns="entry state")
_backward = _section(Group.BACKWARD, returns="entry state")
_cursor_stores = _section(Group.CURSOR_STORES, changes=True)
_memory = _section(Group.MEMORY)
_looks = _section(Group.LOOKS)


# -- trees
_trees.call(
    "init F",
    "mt_init_flags(tree, F)",
    "Make the tree empty, with these flags. Nodes that it had are forgotten, not freed.",
    changes=True,
)


@_trees.function("K", returns="tree")
def _sel(run: Session, number: int) -> Line:
    """Go on with tree K."""
    run.tree = run.machine.tree(number)
    return {"tree": number}


@_trees.function("on|off", calls="mt_set_in_rcu(tree)", changes=True)
def _rcu(run: Session, on: int) -> Line:
    """Turn RCU mode on or off (mt_clear_in_rcu)."""
    if on:
        run.kernel.mt_set_in_rcu(run.tree)
    else:
        run.kernel.mt_clear_in_rcu(run.tree)
    return {}


@_trees.function()
def _rcu_lock(run: Session) -> Line:
    """Begin a read section, which holds RCU callbacks up. Sections nest."""
    run.machine.rcu_read_lock()
    return {}


@_trees.function(changes=True)
def _rcu_unlock(run: Session) -> Line:
    """End a read section; after the last the callbacks run."""
    done = run.machine.rcu_read_unlock()
    return {"rcu": done} if done else {}


@_trees.function(calls="mtree_destroy(tree)", changes=True)
def _destroy(run: Session) -> Line:
    """Free all nodes of the tree."""
    run.kernel.mt_destroy(run.tree)
    return {}


_copies = partial(
    _trees.function,
    "K",
    calls="mtree_dup(tree, K, GFP_KERNEL)",
    changes=True,
    returns="ret droot dflags",
    needs="mtree_dup",
)


@_copies()
def _dup(run: Session, number: int) -> Line:
    """Make tree K empty, with the current tree's flags, and copy the current tree into it."""
    flags = run.mem.ma_flags(run.tree) & ~MT_FLAGS_HEIGHT_MASK
    run.kernel.mt_init_flags(run.machine.tree(number), flags)
    return _dup_noinit(run, number)


@_copies()
def _dup_noinit(run: Session, number: int) -> Line:
    """Copy the current tree into tree K as it is."""
    new = run.machine.tree(number)
    ret = run.kernel.mtree_dup(run.tree, new)
    return {
        "ret": ret,
        "droot": f"{run.mem.ma_root(new):x}",
        "dflags": f"{run.mem.ma_flags(new):x}",
    }


# -- stores
_stores.call(
    "store A B V",
    "mtree_store_range(tree, A, B, V, GFP_KERNEL)",
    "Store V over A to B, whatever is there.",
)
_stores.call(
    "storenw A B V",
    "mtree_store_range(tree, A, B, V, GFP_NOWAIT)",
    "The same with allocations that may not block.",
)


@_stores.function("A B V", calls="mas_store(mas, V)", returns="entry err")
def _mstore(run: Session, index: int, last: int, entry: int) -> Line:
    """Store V over A to B with a state of its own; entry is what was at A."""
    kernel = run.kernel
    mas = run.new_state(index, last)
    content = kernel.mas_store(mas, entry)
    err = kernel.xa_err(mas.node) if mas.status == MA_ERROR else 0
    kernel.mas_destroy(mas)
    return {**entry_line(content), "err": err}


_stores.call(
    "insert A B V",
    "mtree_insert_range(tree, A, B, V, GFP_KERNEL)",
    "Store V over A to B if nothing is there; else ret is -EEXIST.",
)
_stores.call("erase I", "mtree_erase(tree, I)", "Erase the whole range around I.", returns="entry")
_allocations.call(
    "alloc_range V SIZE MIN MAX",
    "mtree_alloc_range(tree, &start, V, SIZE, MIN, MAX, GFP_KERNEL)",
    "Store V in the lowest free area between MIN and MAX.",
)
_allocations.call(
    "alloc_rrange V SIZE MIN MAX",
    "mtree_alloc_rrange(tree, &start, V, SIZE, MIN, MAX, GFP_KERNEL)",
    "Store V in the highest free area between MIN and MAX.",
)
_allocations.call(
    "alloc_cyclic V LO HI NEXT",
    "mtree_alloc_cyclic(tree, &start, V, LO, HI, &NEXT, GFP_KERNEL)",
    "Store V at the first free index from NEXT on, and from LO if there is none; then ret is 1.",
    returns="ret start next",
    needs="mtree_alloc_cyclic",
)


# -- reads
_reads.call("load I", "mtree_load(tree, I)", "The entry at I.")
_reads.call(
    "walk I",
    "mas_walk(mas)",
    "The entry at I and the state after the walk; index and last are the range around I.",
    returns="entry state",
)
_reads.call(
    "find I MAX",
    "mt_find(tree, &I, MAX)",
    "The first entry between I and MAX; index is then the one behind its range.",
    returns="entry index",
)
_reads.call(
    "find_after I MAX",
    "mt_find_after(tree, &I, MAX)",
    "The same for an I that find returned: 0 means that it wrapped, and nothing is found.",
    returns="entry index",
)
_reads.call("next I MAX", "mt_next(tree, I, MAX)", "The first entry behind I, up to MAX.")
_reads.call("prev I MIN", "mt_prev(tree, I, MIN)", "The last entry before I, down to MIN.")


@_reads.function("MIN MAX", calls="mas_for_each(mas, entry, MAX)", returns="ranges")
def _iter(run: Session, low: int, high: int) -> Line:
    """All ranges with entries that touch MIN to MAX."""
    mas = run.new_state(low)
    ranges: list[list[str]] = []
    while entry := run.kernel.mas_find(mas, high):
        ranges.append([f"{mas.index:x}", f"{mas.last:x}", f"{entry:x}"])
        if len(ranges) > most_ranges(run.cache.allocated):
            run.kernel.livelock("mas_for_each")
        if len(ranges) > run.limit:
            raise too_many(run.limit, "ranges")
    return {"ranges": ranges}


_gaps.call(
    "empty_area MIN MAX SIZE",
    "mas_empty_area(mas, MIN, MAX, SIZE)",
    "The lowest free area between MIN and MAX; the state is told if ret is 0.",
)
_gaps.call(
    "empty_area_rev MIN MAX SIZE",
    "mas_empty_area_rev(mas, MIN, MAX, SIZE)",
    "The highest free area between MIN and MAX; the state is told if ret is 0.",
)


# -- preallocated nodes


@_reserves.function(
    "A B V",
    calls="mas_preallocate(mas, V, GFP_KERNEL)",
    returns="ret store_type requested allocated leftover",
)
def _prealloc(run: Session, index: int, last: int, entry: int) -> Line:
    """Allocate the nodes for a store of V over A to B, then store (mas_store_prealloc)."""
    kernel, cache = run.kernel, run.cache
    mas = run.new_state(index, last)
    before = cache.allocated
    ret = kernel.mas_preallocate(mas, entry)
    line: Line = {
        "ret": ret,
        "store_type": mas.store_type,
        "requested": cache.allocated - before,
        "allocated": kernel.mas_allocated(mas),
    }
    if not ret:
        before = cache.freed
        kernel.mas_store_prealloc(mas, entry)
        line["leftover"] = cache.freed - before
    return line


@_reserves.function(
    "A B V", calls="mas_preallocate(mas, V, GFP_KERNEL)", returns="ret store_type total nodes"
)
def _prealloc_raw(run: Session, index: int, last: int, entry: int) -> Line:
    """Allocate the nodes for a store, show their bytes, and free them."""
    mas = run.new_state(index, last)
    ret = run.kernel.mas_preallocate(mas, entry)
    line = {"ret": ret, "store_type": mas.store_type, **_nodes(run, mas)}
    run.kernel.mas_destroy(mas)
    return line


@_reserves.function("N", calls="mas_expected_entries(mas, N)", returns="ret total nodes")
def _expect_raw(run: Session, count: int) -> Line:
    """The same with the nodes for N entries."""
    mas = run.new_state()
    ret = _expected_entries(run, mas, count)
    line = {"ret": ret, **_nodes(run, mas)}
    run.kernel.mas_destroy(mas)
    return line


def _expected_entries(run: Session, mas: MaState, count: int) -> int:
    """mas_expected_entries(), ended by the nodes that it really asks for: a count may overflow."""
    cache = run.cache
    before = cache.room
    cache.room = min(before, len(cache.freed_map) + nodes_for(run.limit))
    try:
        return run.kernel.mas_expected_entries(mas, count)
    except UsageError:
        if cache.room < before:
            raise too_many(run.limit, "entries") from None
        raise
    finally:
        cache.room = before


def _nodes(run: Session, mas: MaState) -> Line:
    """The nodes that a state holds."""
    nodes = [run.raw(node) for node in run.kernel.reserved_nodes(mas)]
    return {"total": run.kernel.mas_allocated(mas), "nodes": nodes}


@_reserves.function(
    "EXPECTED COUNT FIRST STEP LEN VALUE",
    calls="mas_expected_entries(mas, EXPECTED)",
    returns="ret allocated err_at left",
)
def _bulk(  # noqa: PLR0913 - the operation's arguments
    run: Session, expected: int, count: int, first: int, step: int, length: int, value: int
) -> Line:
    """Allocate the nodes for EXPECTED entries, then store COUNT ranges (mas_store)."""
    kernel, top = run.kernel, run.machine.arch.ulong_max
    mas = run.new_state()
    ret = _expected_entries(run, mas, expected)
    line: Line = {"ret": ret, "allocated": kernel.mas_allocated(mas)}
    if ret:
        return line
    for i in range(count):
        if i == run.limit:
            raise too_many(run.limit, "entries")
        mas.index = first + i * step & top
        mas.last = mas.index + length - 1 & top
        kernel.mas_store(mas, value + i * 0x1000 & top)
        if mas.status == MA_ERROR:
            line["err_at"] = i
            break
    line["left"] = kernel.mas_allocated(mas)
    kernel.mas_destroy(mas)
    return line


# -- the cursor


@_on_cursor.function("I [LAST]", calls="mas_init(cursor, tree, I)")
def _cset(run: Session, index: int, last: int | None = None) -> Line:
    """Set the cursor to I, or to the range I to LAST, in the current tree."""
    run.cursor.assign(run.new_state(index, last))
    return {}


_on_cursor.call(
    "cpause ...",
    "mas_pause(cursor)",
    "Pause the cursor, so that others may change the tree.",
    returns="state",
)


@_on_cursor.function("...", calls="mas_reset(cursor)")
def _creset(run: Session) -> Line:
    """Reset the cursor: the next operation walks from the root."""
    run.cursor.reset()
    return {}


_on_cursor.call("cwalk", "mas_walk(cursor)", "Walk to the cursor's index.", returns="entry state")
_forward.call("cnext MAX ...", "mas_next(cursor, MAX)", "Go to the next entry.")
_forward.call(
    "cnext_range MAX ...",
    "mas_next_range(cursor, MAX)",
    "Go to the next range, be it empty.",
    needs="mas_next_range",
)
_forward.call(
    "cfind MAX ...",
    "mas_find(cursor, MAX)",
    "Go to the entry at the cursor's index at first, then to the next one.",
)
_forward.call(
    "cfind_range MAX ...",
    "mas_find_range(cursor, MAX)",
    "Go to the range at the cursor's index at first, then to the next one, be it empty.",
    needs="mas_next_range",
)
_backward.call("cprev MIN ...", "mas_prev(cursor, MIN)", "Go to the previous entry.")
_backward.call(
    "cprev_range MIN ...",
    "mas_prev_range(cursor, MIN)",
    "Go to the previous range, be it empty.",
    needs="mas_next_range",
)
_backward.call(
    "cfind_rev MIN ...",
    "mas_find_rev(cursor, MIN)",
    "Go to the entry at the cursor's index at first, then to the previous one.",
)
_backward.call(
    "cfind_range_rev MIN ...",
    "mas_find_range_rev(cursor, MIN)",
    "Go to the range at the cursor's index at first, then to the previous one, be it empty.",
    needs="mas_next_range",
)
_cursor_stores.call(
    "cstore V ...",
    "mas_store_gfp(cursor, V, GFP_KERNEL)",
    "Store V over the cursor's range.",
    returns="ret state",
)
_cursor_stores.call(
    "cerase ...",
    "mas_erase(cursor)",
    "Erase the whole range around the cursor's index.",
    returns="entry state",
)


# -- allocation failures


@_memory.function("N [CALLS] or -")
def _fail(run: Session, granted: int, refusals: int | None = None) -> Line:
    """Grant N more nodes, then refuse: a request for more than what is left gets nothing.

    After CALLS refusals the injection ends; without CALLS it lasts until ``fail -``.
    """
    return _refuse(run, granted, refusals, nowait_only=False)


@_memory.function("N [CALLS] or -")
def _failnw(run: Session, granted: int, refusals: int | None = None) -> Line:
    """The same, but only requests that may not block are counted and refused."""
    return _refuse(run, granted, refusals, nowait_only=True)


def _refuse(run: Session, granted: int, refusals: int | None, *, nowait_only: bool) -> Line:
    # the counts are signed longs in the reference: what looks negative is no limit
    sign = run.machine.arch.ulong_max // 2
    limit = None if granted == NO_LIMIT or granted > sign else granted
    calls = None if refusals is None or refusals > sign else refusals
    run.cache.fail(limit, calls, nowait_only=nowait_only)
    return {}


# -- looking at trees and memory


@_looks.function(calls="mt_validate(tree)", returns="ok")
def _validate(run: Session) -> Line:
    """Check the tree as the kernel does; printk says what is wrong."""
    ok = run.kernel.mt_validate(run.tree)
    run.failed = run.failed or not ok
    return {"ok": ok}


@_looks.function(calls="mt_dump(tree, mt_dump_hex)", returns="text")
def _mtdump(run: Session) -> Line:
    """The tree as the kernel prints it."""
    run.kernel.mt_dump(run.tree)
    text = "".join(run.kernel.log)
    run.kernel.log.clear()
    return {"text": text}


@_looks.function(returns="tree root flags nodes")
def _dump(run: Session) -> Line:
    """Every node that can be reached from the root, breadth first."""
    return {
        "tree": f"{run.tree:x}",
        "root": f"{run.mem.ma_root(run.tree):x}",
        "flags": f"{run.mem.ma_flags(run.tree):x}",
        "nodes": [
            {**run.raw(mte_to_node(enode)), "type": mte_node_type(enode)}
            for enode in reachable(run)
        ],
    }


@_looks.function(returns="mem")
def _memdump(run: Session) -> Line:
    """Every node that was ever handed out."""
    cache = run.cache
    return {
        "mem": [
            {**run.raw(cache.address(i)), "freed": cache.freed_map[i]}
            for i in range(cache.allocated)
        ]
    }


@_looks.function(returns="hex")
def _treemem(run: Session) -> Line:
    """The bytes of struct maple_tree."""
    return {"hex": run.mem.read(run.tree, run.mem.tree_size, "struct maple_tree").hex()}


@_looks.function("ADDR OFFSET BYTE", returns="was")
def _poke(run: Session, address: int, offset: int, byte: int) -> Line:
    """Overwrite one byte, for trying damage."""
    at = address + offset & run.machine.arch.ulong_max
    was = run.mem.read(at, 1, "the byte to poke")
    run.mem.write(at, bytes([byte]), "poke")
    return {"was": was.hex()}


def _names(group: Group) -> tuple[str, ...]:
    return tuple(name for name, operation in OPERATIONS.items() if operation.group is group)


AREAS = _names(Group.ALLOCATIONS)[:2]
"""Stores into the lowest, and the highest, free area; GAPS only look for it."""

READS = _names(Group.READS)
GAPS = _names(Group.GAPS)
FORWARD = _names(Group.FORWARD)
BACKWARD = _names(Group.BACKWARD)
"""Operations that are alike: they may stand for one another in a trace."""


def farthest(op: str, top: int) -> int:
    """The limit with which a cursor goes as far as there is; ``top`` is the largest index."""
    return top if op in FORWARD else 0
