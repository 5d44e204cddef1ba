

# -- a trace's lines carried out on one machine

cdef enum Why:
    END, LINE, STOPPED, FULL

from layout.memory.limits import LIMIT, most_ranges, too_many
from layout.tree.state import STATUS_NAMES

cdef enum:
    STATUSES = 8

_TEXTS = [name.encode() for name in STATUS_NAMES]
cdef const char* STATUS[STATUSES]
STATUS[:] = _TEXTS


@cython.final
cdef class Replay:
    """Carries out lines of a trace on a core, and keeps the transcript.

    ``n`` is the number of the last line, ``at`` where the next one starts in ``data``.
    """

    cdef Core k
    cdef const u8* text
    cdef i64 size
    cdef bytes data
    cdef public i64 at, n
    cdef public u64 tree, limit
    cdef public bint held_up
    cdef public object stop, operation
    cdef Out out

    def __cinit__(self, Core k, bytes data, i64 at=0, i64 n=0):
        self.k = k
        self.data = data
        self.text = <const u8*><const char*>data
        self.size = len(data)
        self.at = at
        self.n = n
        self.limit = LIMIT

    def __dealloc__(self):
        c_free(self.out.bytes)

    def take(self):
        """The transcript since the last call, as bytes."""
        cdef bytes done = self.out.bytes[: self.out.used] if self.out.used else b""
        self.out.used = 0
        return done

    def run(self, bint one=False):
        """Carry out lines, or ``one``; returns why it stopped.

        0: at the end. 1: the next line is not known here. 2: the machine stopped: ``stop`` is the
        exception, ``operation`` (op, args). 3: the transcript is to be taken.
        """
        return self._run(one)

    cdef Why _run(self, bint one) except *:
        cdef u64 args[4]
        cdef Line line
        cdef Op op
        cdef i64 i
        while self.at < self.size:
            if self.out.used >= ENOUGH or (one and self.out.used):
                return FULL
            step()
            line = next_line(self.text, self.at, self.size)
            if not line.empty:
                if line.known == NULL or not arguments(
                    self.text, &line, self.k.ulong_max, args
                ):
                    return LINE
            self.at = line.end + 1
            self.n += 1
            if line.empty:
                continue
            op = line.known.op
            begin(self.k)
            self.k.warnings = 0
            if self.k.log:
                self.k.log.clear()
            try:
                self._execute(op, args)
            except Exception as stop:
                self.stop = stop
                given = []
                for i in range(line.known.arguments):
                    given.append(args[i])
                self.operation = (line.known.name.decode(), tuple(given))
                return STOPPED
        return FULL if one and self.out.used else END

    def shows_no_freed_node(self):
        """Whether no line of the trace can show what was freed: then it may be forgotten.

        That holds for plain lookups and writes outside RCU mode: nodes are freed at the end of
        an operation, and nothing but the operation itself points to them.
        """
        cdef i64 at = 0
        cdef Line line
        while at < self.size:
            step()
            line = next_line(self.text, at, self.size)
            if not (line.empty or line.known != NULL or plain_init(self.text, &line)):
                return False
            at = line.end + 1
        return True

    cdef int _execute(self, Op op, u64* a) except -1:
        cdef Core k = self.k
        cdef MaState mas
        cdef u64 entry, index
        cdef i64 ret, callbacks
        cdef bint mutating = False
        new_state(k, &mas, self.tree, 0, 0)
        if op == LOAD:
            entry = mtree_load(k, self.tree, a[0])
            self._head(b'"load"')
            put_hex(&self.out, b',"entry":"', entry)
        elif op == STORE or op == STORENW:
            ret = mtree_store_range(
                k, self.tree, a[0], a[1], a[2], GFP_KERNEL if op == STORE else GFP_NOWAIT
            )
            callbacks = self._quiesce()
            self._head(b'"store"' if op == STORE else b'"storenw"')
            put_number(&self.out, b',"ret":', ret)
            self._rcu(callbacks)
            mutating = True
        elif op == FIND:
            entry, index = mt_find(k, self.tree, a[0], a[1])
            self._head(b'"find"')
            put_hex(&self.out, b',"entry":"', entry)
            put_hex(&self.out, b',"index":"', index)
        elif op == ERASE:
            entry = mtree_erase(k, self.tree, a[0])
            callbacks = self._quiesce()
            self._head(b'"erase"')
            put_hex(&self.out, b',"entry":"', entry)
            self._rcu(callbacks)
            mutating = True
        elif op == INSERT:
            ret = mtree_insert_range(k, self.tree, a[0], a[1], a[2], GFP_KERNEL)
            callbacks = self._quiesce()
            self._head(b'"insert"')
            put_number(&self.out, b',"ret":', ret)
            self._rcu(callbacks)
            mutating = True
        elif op == MSTORE:
            mas.index, mas.last = a[0], a[1]
            entry = mas_store(k, &mas, a[2])
            ret = xa_err(k, mas.node) if mas.status == MA_ERROR else 0
            mas_destroy(k, &mas)
            callbacks = self._quiesce()
            self._head(b'"mstore"')
            put_hex(&self.out, b',"entry":"', entry)
            put_number(&self.out, b',"err":', ret)
            self._rcu(callbacks)
            mutating = True
        elif op == FIND_AFTER:
            entry, index = mt_find_after(k, self.tree, a[0], a[1])
            self._head(b'"find_after"')
            put_hex(&self.out, b',"entry":"', entry)
            put_hex(&self.out, b',"index":"', index)
        elif op == NEXT or op == PREV:
            entry = mt_next(k, self.tree, a[0], a[1]) if op == NEXT else mt_prev(
                k, self.tree, a[0], a[1]
            )
            self._head(b'"next"' if op == NEXT else b'"prev"')
            put_hex(&self.out, b',"entry":"', entry)
        elif op == WALK:
            mas.index = mas.last = a[0]
            entry = mas_walk(k, &mas)
            self._head(b'"walk"')
            put_hex(&self.out, b',"entry":"', entry)
            self._state(&mas)
        elif op == EMPTY_AREA or op == EMPTY_AREA_REV:
            if op == EMPTY_AREA:
                ret = mas_empty_area(k, &mas, a[0], a[1], a[2])
            else:
                ret = mas_empty_area_rev(k, &mas, a[0], a[1], a[2])
            self._head(b'"empty_area"' if op == EMPTY_AREA else b'"empty_area_rev"')
            put_number(&self.out, b',"ret":', ret)
            if not ret:
                self._state(&mas)
        elif op == ALLOC_RANGE or op == ALLOC_RRANGE:
            if op == ALLOC_RANGE:
                ret, index = mtree_alloc_range(k, self.tree, a[0], a[1], a[2], a[3], GFP_KERNEL)
            else:
                ret, index = mtree_alloc_rrange(k, self.tree, a[0], a[1], a[2], a[3], GFP_KERNEL)
            callbacks = self._quiesce()
            self._head(b'"alloc_range"' if op == ALLOC_RANGE else b'"alloc_rrange"')
            put_number(&self.out, b',"ret":', ret)
            put_hex(&self.out, b',"start":"', index)
            self._rcu(callbacks)
            mutating = True
        elif op == ITER:
            self._iterate(&mas, a[0], a[1])
        if mutating:
            self._tail()
        elif k.rcu_queue:
            self._rcu(self._quiesce())
        if k.sum_width:
            put_hex(&self.out, b',"sum":"', memory_sum(k))
        if k.warnings:
            put_number(&self.out, b',"warn":', k.warnings)
        if k.log:
            import json

            put_text(&self.out, b',"printk":')
            printed = json.dumps("".join(k.log)).encode()  # ASCII without a NUL
            put_text(&self.out, printed)
        put_text(&self.out, b"}\n")
        return 0

    cdef int _iterate(self, MaState* mas, u64 low, u64 high) except -1:
        cdef i64 start = self.out.used, ranges = 0
        cdef u64 entry
        mas.index = mas.last = low
        self._head(b'"iter"')
        put_text(&self.out, b',"ranges":[')
        try:
            while True:
                step()
                entry = mas_find(self.k, mas, high)
                if not entry:
                    break
                put_text(&self.out, b',["' if ranges else b'["')
                put_digits(&self.out, mas.index)
                put_text(&self.out, b'","')
                put_digits(&self.out, mas.last)
                put_text(&self.out, b'","')
                put_digits(&self.out, entry)
                put_text(&self.out, b'"]')
                ranges += 1
                if ranges > most_ranges(self.k.allocated):
                    livelock(self.k, "mas_for_each", 0)
                if <u64>ranges > self.limit:
                    raise too_many(self.limit, "ranges")
        except Exception:
            self.out.used = start
            raise
        put_text(&self.out, b"]")
        return 0

    cdef i64 _quiesce(self) except -1:
        """Run the callbacks that nothing holds up."""
        if self.held_up or not self.k.rcu_queue:
            return 0
        return run_rcu(self.k)

    cdef int _head(self, const char* op) except -1:
        put_number(&self.out, b'{"n":', self.n)
        put_text(&self.out, b',"op":')
        return put_text(&self.out, op)

    cdef int _rcu(self, i64 callbacks) except -1:
        return put_number(&self.out, b',"rcu":', callbacks) if callbacks else 0

    cdef int _state(self, MaState* mas) except -1:
        put_hex(&self.out, b',"index":"', mas.index)
        put_hex(&self.out, b',"last":"', mas.last)
        put_text(&self.out, b',"status":"')
        put_text(&self.out, STATUS[index_of(mas.status, STATUSES)])
        put_hex(&self.out, b'","node":"', mas.node)
        put_hex(&self.out, b',"min":"', mas.min)
        put_hex(&self.out, b',"max":"', mas.max)
        put_number(&self.out, b',"offset":', mas.offset)
        put_number(&self.out, b',"end":', mas.end)
        put_number(&self.out, b',"depth":', mas.depth)
        return 0

    cdef int _tail(self) except -1:
        """What every operation that may change the tree ends with."""
        cdef Core k = self.k
        cdef i64 i
        cdef Call* call
        cdef char what[2]
        what[1] = 0
        put_text(&self.out, b',"ac":[')
        for i in range(k.call_count):
            call = &k.calls[i]
            put_text(&self.out, b',"' if i else b'"')
            if call.refused:
                put_text(&self.out, b"!")
            put_text(&self.out, b"k" if call.blocking else b"n")
            if call.what:
                what[0] = call.what
                put_number(&self.out, what, call.count)
                put_text(&self.out, b'"')
            else:
                put_text(&self.out, b'1"')
        put_text(&self.out, b'],"fr":[')
        for i in range(k.free_count):
            put_number(&self.out, b"," if i else b"", k.frees[i])
        put_number(&self.out, b'],"na":', k.allocated)
        put_number(&self.out, b',"nf":', k.freed)
        put_hex(&self.out, b',"root":"', mem_ma_root(k, self.tree))
        put_hex(&self.out, b',"flags":"', <u64>mem_ma_flags(k, self.tree))
        return 0
