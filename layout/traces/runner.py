"""Replaying a trace on one machine, operation by operation; results as transcript lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layout.memory.errors import MachineFault, TraceError, UsageError
from layout.memory.node import NODE_SIZE
from layout.memory.pointers import MT_FLAGS_HEIGHT_MASK, NODE_MASK, RANGE_64, ROOT_NODE, xa_is_node
from layout.memory.slab import GFP_KERNEL, GFP_NOWAIT
from layout.traces.trace import CURSOR, NO_LIMIT, Operation
from layout.tree.find import MAX_RANGES
from layout.tree.state import MA_ERROR, STATUS_NAMES, MaState
from layout.tree.walk import MAX_DESCENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from layout.machine.machine import Machine

Line = dict[str, Any]
"""One transcript line: ``n``, ``op`` and what the operation returned."""

_NOT_HERE: Line = {"error": "not in this kernel"}
"""The line of an operation that this kernel version has not; the run goes on."""

_FAULT_CALLS = 16
"""Allocation calls that the line of an operation with a fault keeps."""

MUTATING = frozenset(
    {"init", "store", "storenw", "mstore", "insert", "erase", "alloc_range", "alloc_rrange"}
    | {"alloc_cyclic", "prealloc", "prealloc_raw", "expect_raw", "bulk", "dup", "dup_noinit"}
    | {"destroy", "rcu", "cstore", "cerase", "rcu_unlock"}
)
"""Operations whose lines end with allocations, frees, root and flags."""


class Runner:
    """Carries out operations on a machine; keeps the current tree and the cursor.

    ``failed`` turns true when a validate fails; ``faulted`` when the machine stopped the
    kernel, after which nothing can be carried out any more.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.mem = machine.mem
        self.cache = machine.cache
        self.kernel = machine.kernel
        self.tree = machine.tree(0)
        self.cursor = self.kernel.new_state(self.tree)
        self.failed = False
        self.faulted = False
        self._operations: dict[str, Callable[..., Line]] = {
            name[4:]: getattr(self, name) for name in dir(self) if name.startswith("_op_")
        }

    def execute(self, operation: Operation) -> Line:
        """Carry out one operation; a machine fault becomes part of its line.

        Raises TraceError for one that needs more nodes than the machine has room for.
        """
        machine = self.machine
        machine.begin(operation.n, operation.op)
        try:
            returned = self._operations[operation.op](*operation.args)
            callbacks = machine.quiesce() if self.kernel.rcu_queue else 0
        except (UsageError, MachineFault, IndexError) as stop:
            return self.stopped(operation, stop)
        if callbacks:
            returned["rcu"] = callbacks
        return self._line(operation, returned)

    def stopped(self, operation: Operation, stop: Exception) -> Line:
        """The line of an operation that did not come to its end.

        Raises TraceError if it asked for more nodes than there is room for.
        """
        if isinstance(stop, UsageError):
            raise TraceError(operation.n, f"{operation.op}: {stop}") from None
        if not isinstance(stop, MachineFault | IndexError):
            raise stop
        self.faulted = True
        returned: Line = {"fault": _fault(stop, operation, self.machine)}
        if operation.op in CURSOR:
            returned["fault"]["state"] = self._state(self.cursor)
        return self._line(operation, returned)

    def _line(self, operation: Operation, returned: Line) -> Line:
        kernel = self.kernel
        line: Line = {"n": operation.n, "op": operation.op, **returned}
        if operation.op in MUTATING and "error" not in returned:
            line.update(self._tail())
        if kernel.warnings:
            line["warn"] = kernel.warnings
        if kernel.log:
            line["printk"] = "".join(kernel.log)
        line.update(self.machine.finish())
        return line

    def _tail(self) -> Line:
        cache, mem = self.cache, self.mem
        calls = cache.calls
        return {
            "ac": calls[:_FAULT_CALLS] if self.faulted else calls,  # a livelock has thousands
            "fr": cache.frees,
            "na": cache.allocated,
            "nf": cache.freed,
            "root": f"{mem.ma_root(self.tree):x}",
            "flags": f"{mem.ma_flags(self.tree):x}",
        }

    def _state(self, mas: MaState) -> Line:
        return {
            "index": f"{mas.index:x}",
            "last": f"{mas.last:x}",
            "status": STATUS_NAMES[mas.status],
            "node": f"{mas.node:x}",
            "min": f"{mas.min:x}",
            "max": f"{mas.max:x}",
            "offset": mas.offset,
            "end": mas.end,
            "depth": mas.depth,
        }

    # -- trees

    def _op_init(self, flags: int) -> Line:
        self.kernel.mt_init_flags(self.tree, flags)
        return {}

    def _op_sel(self, number: int) -> Line:
        self.tree = self.machine.tree(number)
        return {"tree": number}

    def _op_rcu(self, on: int) -> Line:
        if on:
            self.kernel.mt_set_in_rcu(self.tree)
        else:
            self.kernel.mt_clear_in_rcu(self.tree)
        return {}

    def _op_rcu_lock(self) -> Line:
        self.machine.rcu_read_lock()
        return {}

    def _op_rcu_unlock(self) -> Line:
        done = self.machine.rcu_read_unlock()
        return {"rcu": done} if done else {}

    def _op_destroy(self) -> Line:
        self.kernel.mt_destroy(self.tree)
        return {}

    def _op_dup(self, number: int) -> Line:
        flags = self.mem.ma_flags(self.tree) & ~MT_FLAGS_HEIGHT_MASK
        self.kernel.mt_init_flags(self.machine.tree(number), flags)
        return self._op_dup_noinit(number)

    def _op_dup_noinit(self, number: int) -> Line:
        new = self.machine.tree(number)
        ret = self.kernel.mtree_dup(self.tree, new)
        return {
            "ret": ret,
            "droot": f"{self.mem.ma_root(new):x}",
            "dflags": f"{self.mem.ma_flags(new):x}",
        }

    # -- the ordinary API

    def _op_store(self, index: int, last: int, entry: int) -> Line:
        return {"ret": self.kernel.mtree_store_range(self.tree, index, last, entry)}

    def _op_storenw(self, index: int, last: int, entry: int) -> Line:
        return {"ret": self.kernel.mtree_store_range(self.tree, index, last, entry, GFP_NOWAIT)}

    def _op_insert(self, index: int, last: int, entry: int) -> Line:
        return {"ret": self.kernel.mtree_insert_range(self.tree, index, last, entry)}

    def _op_erase(self, index: int) -> Line:
        return {"entry": f"{self.kernel.mtree_erase(self.tree, index):x}"}

    def _op_load(self, index: int) -> Line:
        return {"entry": f"{self.kernel.mtree_load(self.tree, index):x}"}

    def _op_find(self, index: int, limit: int) -> Line:
        entry, index = self.kernel.mt_find(self.tree, index, limit)
        return {"entry": f"{entry:x}", "index": f"{index:x}"}

    def _op_find_after(self, index: int, limit: int) -> Line:
        entry, index = self.kernel.mt_find_after(self.tree, index, limit)
        return {"entry": f"{entry:x}", "index": f"{index:x}"}

    def _op_next(self, index: int, limit: int) -> Line:
        return {"entry": f"{self.kernel.mt_next(self.tree, index, limit):x}"}

    def _op_prev(self, index: int, low: int) -> Line:
        return {"entry": f"{self.kernel.mt_prev(self.tree, index, low):x}"}

    def _op_alloc_range(self, entry: int, size: int, low: int, high: int) -> Line:
        ret, start = self.kernel.mtree_alloc_range(self.tree, entry, size, low, high)
        return {"ret": ret, "start": f"{start:x}"}

    def _op_alloc_rrange(self, entry: int, size: int, low: int, high: int) -> Line:
        ret, start = self.kernel.mtree_alloc_rrange(self.tree, entry, size, low, high)
        return {"ret": ret, "start": f"{start:x}"}

    def _op_alloc_cyclic(self, entry: int, low: int, high: int, following: int) -> Line:
        ret, start, following = self.kernel.mtree_alloc_cyclic(
            self.tree, entry, low, high, following
        )
        return {"ret": ret, "start": f"{start:x}", "next": f"{following:x}"}

    # -- the advanced API, with a state of its own

    def _op_walk(self, index: int) -> Line:
        mas = self.kernel.new_state(self.tree, index)
        entry = self.kernel.mas_walk(mas)
        return {"entry": f"{entry:x}", **self._state(mas)}

    def _op_empty_area(self, low: int, high: int, size: int) -> Line:
        mas = self.kernel.new_state(self.tree)
        ret = self.kernel.mas_empty_area(mas, low, high, size)
        return {"ret": ret, **({} if ret else self._state(mas))}

    def _op_empty_area_rev(self, low: int, high: int, size: int) -> Line:
        mas = self.kernel.new_state(self.tree)
        ret = self.kernel.mas_empty_area_rev(mas, low, high, size)
        return {"ret": ret, **({} if ret else self._state(mas))}

    def _op_mstore(self, index: int, last: int, entry: int) -> Line:
        kernel = self.kernel
        mas = kernel.new_state(self.tree, index, last)
        content = kernel.mas_store(mas, entry)
        err = kernel.xa_err(mas.node) if mas.status == MA_ERROR else 0
        kernel.mas_destroy(mas)
        return {"entry": f"{content:x}", "err": err}

    def _op_prealloc(self, index: int, last: int, entry: int) -> Line:
        kernel, cache = self.kernel, self.cache
        mas = kernel.new_state(self.tree, index, last)
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

    def _op_prealloc_raw(self, index: int, last: int, entry: int) -> Line:
        kernel = self.kernel
        mas = kernel.new_state(self.tree, index, last)
        ret = kernel.mas_preallocate(mas, entry)
        line = {"ret": ret, "store_type": mas.store_type, **self._reserve(mas)}
        kernel.mas_destroy(mas)
        return line

    def _op_expect_raw(self, count: int) -> Line:
        kernel = self.kernel
        if "mas_expected_entries" in kernel.gone:
            return dict(_NOT_HERE)
        mas = kernel.new_state(self.tree)
        ret = kernel.mas_expected_entries(mas, count)
        line = {"ret": ret, **self._reserve(mas)}
        kernel.mas_destroy(mas)
        return line

    def _reserve(self, mas: MaState) -> Line:
        """The nodes that a state holds."""
        nodes = [self._raw(node) for node in self.kernel.reserved_nodes(mas)]
        return {"total": self.kernel.mas_allocated(mas), "nodes": nodes}

    def _op_bulk(  # noqa: PLR0913 - the operation's arguments
        self, expected: int, count: int, first: int, step: int, length: int, value: int
    ) -> Line:
        kernel, top = self.kernel, self.machine.arch.ulong_max
        if "mas_expected_entries" in kernel.gone:
            return dict(_NOT_HERE)
        mas = kernel.new_state(self.tree)
        ret = kernel.mas_expected_entries(mas, expected)
        line: Line = {"ret": ret, "allocated": kernel.mas_allocated(mas)}
        if ret:
            return line
        for i in range(count):
            mas.index = first + i * step & top
            mas.last = mas.index + length - 1 & top
            kernel.mas_store(mas, value + i * 0x1000 & top)
            if mas.status == MA_ERROR:
                line["err_at"] = i
                break
        line["left"] = kernel.mas_allocated(mas)
        kernel.mas_destroy(mas)
        return line

    def _op_iter(self, low: int, high: int) -> Line:
        mas = self.kernel.new_state(self.tree, low)
        ranges: list[list[str]] = []
        while entry := self.kernel.mas_find(mas, high):
            ranges.append([f"{mas.index:x}", f"{mas.last:x}", f"{entry:x}"])
            if len(ranges) > MAX_RANGES:
                self.kernel.livelock("mas_for_each")
        return {"ranges": ranges}

    # -- the cursor

    def _op_cset(self, index: int, last: int | None = None) -> Line:
        self.cursor.assign(self.kernel.new_state(self.tree, index, last))
        return {}

    def _moved(self, entry: int) -> Line:
        return {"entry": f"{entry:x}", **self._state(self.cursor)}

    def _op_cwalk(self) -> Line:
        return self._moved(self.kernel.mas_walk(self.cursor))

    def _op_cnext(self, limit: int) -> Line:
        return self._moved(self.kernel.mas_next(self.cursor, limit))

    def _op_cnext_range(self, limit: int) -> Line:
        return self._moved(self.kernel.mas_next_range(self.cursor, limit))

    def _op_cprev(self, low: int) -> Line:
        return self._moved(self.kernel.mas_prev(self.cursor, low))

    def _op_cprev_range(self, low: int) -> Line:
        return self._moved(self.kernel.mas_prev_range(self.cursor, low))

    def _op_cfind(self, limit: int) -> Line:
        return self._moved(self.kernel.mas_find(self.cursor, limit))

    def _op_cfind_range(self, limit: int) -> Line:
        return self._moved(self.kernel.mas_find_range(self.cursor, limit))

    def _op_cfind_rev(self, low: int) -> Line:
        return self._moved(self.kernel.mas_find_rev(self.cursor, low))

    def _op_cfind_range_rev(self, low: int) -> Line:
        return self._moved(self.kernel.mas_find_range_rev(self.cursor, low))

    def _op_cpause(self) -> Line:
        self.kernel.mas_pause(self.cursor)
        return self._state(self.cursor)

    def _op_creset(self) -> Line:
        self.cursor.reset()
        return {}

    def _op_cstore(self, entry: int) -> Line:
        ret = self.kernel.mas_store_gfp(self.cursor, entry, GFP_KERNEL)
        return {"ret": ret, **self._state(self.cursor)}

    def _op_cerase(self) -> Line:
        return self._moved(self.kernel.mas_erase(self.cursor))

    # -- memory and diagnostics

    def _op_fail(self, after: int, refusals: int | None = None) -> Line:
        return self._fail(after, refusals, nowait_only=False)

    def _op_failnw(self, after: int, refusals: int | None = None) -> Line:
        return self._fail(after, refusals, nowait_only=True)

    def _fail(self, after: int, refusals: int | None, *, nowait_only: bool) -> Line:
        # the counts are signed longs in the reference: what looks negative is no limit
        sign = self.machine.arch.ulong_max // 2
        limit = None if after == NO_LIMIT or after > sign else after
        calls = None if refusals is None or refusals > sign else refusals
        self.cache.fail(limit, calls, nowait_only=nowait_only)
        return {}

    def _op_validate(self) -> Line:
        ok = self.kernel.mt_validate(self.tree)
        self.failed = self.failed or not ok
        return {"ok": ok}

    def _op_mtdump(self) -> Line:
        self.kernel.mt_dump(self.tree)
        text = "".join(self.kernel.log)
        self.kernel.log.clear()
        return {"text": text}

    def _raw(self, node: int) -> Line:
        return {"addr": f"{node:x}", "hex": self.mem.read(node, NODE_SIZE, "a node").hex()}

    def _op_dump(self) -> Line:
        return {
            "tree": f"{self.tree:x}",
            "root": f"{self.mem.ma_root(self.tree):x}",
            "flags": f"{self.mem.ma_flags(self.tree):x}",
            "nodes": [
                {**self._raw(enode & ~NODE_MASK), "type": enode >> 3 & 0xF}
                for enode in self._reachable()
            ],
        }

    def _reachable(self) -> list[int]:
        """The enodes below the root, breadth first, as far as the kernel's data ends say."""
        kernel, mem = self.kernel, self.mem
        root = mem.ma_root(self.tree)
        enodes = [root & ~ROOT_NODE] if xa_is_node(root) else []
        for enode in enodes:
            node, mt = enode & ~NODE_MASK, enode >> 3 & 0xF
            if mt < RANGE_64:
                continue
            end = kernel.ma_data_end(node, mt, self._node_max(enode))
            enodes += [mem.slot(node, mt, i) for i in range(end + 1)]
            if len(enodes) > mem.near_size:
                kernel.livelock("dump: the tree has a cycle", node)
        return enodes

    def _node_max(self, enode: int) -> int:
        """The node's largest index, from the pivots of its parents."""
        kernel, mem = self.kernel, self.mem
        mas = kernel.new_state(self.tree)
        for _ in range(MAX_DESCENT):
            if kernel.ma_is_root(enode & ~NODE_MASK):
                break
            slot, parent = kernel.mte_parent_slot(enode), kernel.parent_enode(mas, enode)
            if slot < kernel.mt_pivots[parent >> 3 & 0xF]:
                pivot = mem.pivot(parent & ~NODE_MASK, slot)
                if pivot:
                    return pivot
            enode = parent
        return kernel.ulong_max

    def _op_memdump(self) -> Line:
        cache = self.cache
        return {
            "mem": [
                {**self._raw(cache.address(i)), "freed": cache.freed_map[i]}
                for i in range(cache.allocated)
            ]
        }

    def _op_treemem(self) -> Line:
        return {"hex": self.mem.read(self.tree, self.mem.tree_size, "struct maple_tree").hex()}

    def _op_poke(self, address: int, offset: int, byte: int) -> Line:
        at = address + offset & self.machine.arch.ulong_max
        was = self.mem.read(at, 1, "the byte to poke")
        self.mem.write(at, bytes([byte]), "poke")
        return {"was": was.hex()}


def _fault(stop: MachineFault | IndexError, operation: Operation, machine: Machine) -> Line:
    if isinstance(stop, IndexError):
        # beyond a table or a struct on the stack: what lies there is the compiler's business
        message = f"{operation.op} on {machine.arch.name}: access beyond the end of a struct"
        return {"kind": "bug", "address": "0", "message": message, "operation": operation.op}
    return {
        "kind": stop.kind,
        "address": f"{stop.address:x}",
        "message": str(stop),
        "operation": operation.op,
    }
