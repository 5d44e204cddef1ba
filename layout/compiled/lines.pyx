# Trace lines in, transcript lines out, for the operations that long traces are made of.
# layout/traces/trace.py and run.py say what they mean; every other line is left to them.

cdef enum Op:
    OTHER, STORE, STORENW, MSTORE, INSERT, ERASE, LOAD, FIND, FIND_AFTER, NEXT, PREV, WALK
    EMPTY_AREA, EMPTY_AREA_REV, ALLOC_RANGE, ALLOC_RRANGE, ITER

cdef enum Why:
    END, LINE, STOPPED, FULL

cdef struct Known:
    const char* name
    i64 length
    i64 arguments
    Op op

cdef Known KNOWN[16]
_KNOWN = (
    (b"store", 3, STORE),
    (b"storenw", 3, STORENW),
    (b"mstore", 3, MSTORE),
    (b"insert", 3, INSERT),
    (b"erase", 1, ERASE),
    (b"load", 1, LOAD),
    (b"find", 2, FIND),
    (b"find_after", 2, FIND_AFTER),
    (b"next", 2, NEXT),
    (b"prev", 2, PREV),
    (b"walk", 1, WALK),
    (b"empty_area", 3, EMPTY_AREA),
    (b"empty_area_rev", 3, EMPTY_AREA_REV),
    (b"alloc_range", 4, ALLOC_RANGE),
    (b"alloc_rrange", 4, ALLOC_RRANGE),
    (b"iter", 2, ITER),
)
cdef int _know() except -1:
    cdef i64 i
    for i in range(16):
        name, arguments, op = _KNOWN[i]
        KNOWN[i].name = name
        KNOWN[i].length = len(name)
        KNOWN[i].arguments = arguments
        KNOWN[i].op = op
    return 0
_know()

from layout.memory.limits import LIMIT, most_ranges, too_many

STATUS = ("active", "start", "root", "none", "pause", "overflow", "underflow", "error")
cdef const char* STATUS_NAMES[8]
STATUS_NAMES[:] = [b"active", b"start", b"root", b"none", b"pause", b"overflow", b"underflow", b"error"]

cdef enum:
    LONGEST_LINE = 1 << 16
    KERNEL_GFP = 0xCC0
    NOWAIT_GFP = 0x800
    ENOUGH = 1 << 18  # bytes after which the transcript is handed over
    NODE_STATE = 7  # MA_ERROR


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
    cdef char* out
    cdef i64 used, room

    def __cinit__(self, Core k, bytes data, i64 at=0, i64 n=0):
        self.k = k
        self.data = data
        self.text = <const u8*><const char*>data
        self.size = len(data)
        self.at = at
        self.n = n
        self.limit = LIMIT

    def __dealloc__(self):
        c_free(self.out)

    def take(self):
        """The transcript since the last call, as bytes."""
        cdef bytes done = self.out[: self.used] if self.used else b""
        self.used = 0
        return done

    def run(self, bint one=False):
        """Carry out lines, or ``one``; returns why it stopped.

        0: at the end. 1: the next line is not known here. 2: the machine stopped: ``stop`` is the
        exception, ``operation`` (op, args). 3: the transcript is to be taken.
        """
        return self._run(one)

    cdef Why _run(self, bint one) except *:
        cdef u64 args[4]
        cdef Op op
        cdef i64 count
        while self.at < self.size:
            if self.used >= ENOUGH or (one and self.used):
                return FULL
            op = self._parse(args, &count)
            if op == OTHER:
                if count < 0:
                    continue  # a blank line, or a comment
                return LINE
            begin(self.k)
            self.k.warnings = 0
            if self.k.log:
                self.k.log.clear()
            try:
                self._execute(op, args)
            except Exception as stop:
                self.stop = stop
                name = [known[0].decode() for known in _KNOWN if known[2] == op][0]
                given = []
                for i in range(count):
                    given.append(args[i])
                self.operation = (name, tuple(given))
                return STOPPED
        return FULL if one and self.used else END

    cdef Op _parse(self, u64* args, i64* count) except *:
        """The next line, if it is known; ``at`` and ``n`` go behind it unless it is OTHER.

        A line without an operation is OTHER with a count of -1.
        """
        cdef const u8* text = self.text
        cdef i64 at = self.at, end, start, i, digits
        cdef Op op = OTHER
        cdef u64 value
        cdef u8 c
        end = at
        while end < self.size and text[end] != 10:
            end += 1
        if end - at > LONGEST_LINE:
            count[0] = 0
            return OTHER
        while at < end and (text[at] == 32 or text[at] == 9 or text[at] == 13):
            at += 1
        if at == end or text[at] == 35:
            self.at = end + 1
            self.n += 1
            count[0] = -1
            return OTHER
        start = at
        while at < end and (97 <= text[at] <= 122 or text[at] == 95):
            at += 1
        count[0] = 0
        for i in range(16):
            if KNOWN[i].length == at - start and memcmp(KNOWN[i].name, text + start, at - start) == 0:
                op = KNOWN[i].op
                break
        else:
            return OTHER
        while True:
            start = at
            while at < end and (text[at] == 32 or text[at] == 9 or text[at] == 13):
                at += 1
            if at == end:
                break
            if at == start or count[0] == KNOWN[i].arguments:
                return self._not_known(count)
            value = 0
            digits = 0
            while at < end:
                c = text[at]
                if 48 <= c <= 57:
                    c -= 48
                elif 97 <= c <= 102:
                    c -= 87
                elif 65 <= c <= 70:
                    c -= 55
                else:
                    break
                value = value << 4 | c
                digits += 1
                at += 1
            if digits == 0 or digits > 16 or value > self.k.ulong_max:
                return self._not_known(count)
            args[count[0]] = value
            count[0] += 1
        if count[0] != KNOWN[i].arguments:
            return self._not_known(count)
        self.at = end + 1
        self.n += 1
        return op

    def shows_no_freed_node(self):
        """Whether no line of the trace can show what was freed: then it may be forgotten.

        That holds for plain lookups and writes outside RCU mode: nodes are freed at the end of
        an operation, and nothing but the operation itself points to them.
        """
        cdef i64 at = 0, end, i
        cdef bint known
        while at < self.size:
            end = at
            while end < self.size and self.text[end] != 10:
                end += 1
            while at < end and (self.text[at] == 32 or self.text[at] == 9 or self.text[at] == 13):
                at += 1
            known = at == end or self.text[at] == 35
            for i in range(16):
                if end - at > KNOWN[i].length and self.text[at + KNOWN[i].length] <= 32:
                    known = known or not memcmp(KNOWN[i].name, self.text + at, KNOWN[i].length)
            if not known and not _plain_init(self.text + at, end - at):
                return False
            at = end + 1
        return True

    cdef Op _not_known(self, i64* count) except *:
        count[0] = 0
        return OTHER

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
            self._hex(b',"entry":"', entry)
        elif op == STORE or op == STORENW:
            ret = mtree_store_range(
                k, self.tree, a[0], a[1], a[2], KERNEL_GFP if op == STORE else NOWAIT_GFP
            )
            callbacks = self._quiesce()
            self._head(b'"store"' if op == STORE else b'"storenw"')
            self._number(b',"ret":', ret)
            self._rcu(callbacks)
            mutating = True
        elif op == FIND:
            entry, index = mt_find(k, self.tree, a[0], a[1])
            self._head(b'"find"')
            self._hex(b',"entry":"', entry)
            self._hex(b',"index":"', index)
        elif op == ERASE:
            entry = mtree_erase(k, self.tree, a[0])
            callbacks = self._quiesce()
            self._head(b'"erase"')
            self._hex(b',"entry":"', entry)
            self._rcu(callbacks)
            mutating = True
        elif op == INSERT:
            ret = mtree_insert_range(k, self.tree, a[0], a[1], a[2], KERNEL_GFP)
            callbacks = self._quiesce()
            self._head(b'"insert"')
            self._number(b',"ret":', ret)
            self._rcu(callbacks)
            mutating = True
        elif op == MSTORE:
            mas.index, mas.last = a[0], a[1]
            entry = mas_store(k, &mas, a[2])
            ret = xa_err(k, mas.node) if mas.status == NODE_STATE else 0
            mas_destroy(k, &mas)
            callbacks = self._quiesce()
            self._head(b'"mstore"')
            self._hex(b',"entry":"', entry)
            self._number(b',"err":', ret)
            self._rcu(callbacks)
            mutating = True
        elif op == FIND_AFTER:
            entry, index = mt_find_after(k, self.tree, a[0], a[1])
            self._head(b'"find_after"')
            self._hex(b',"entry":"', entry)
            self._hex(b',"index":"', index)
        elif op == NEXT or op == PREV:
            entry = mt_next(k, self.tree, a[0], a[1]) if op == NEXT else mt_prev(
                k, self.tree, a[0], a[1]
            )
            self._head(b'"next"' if op == NEXT else b'"prev"')
            self._hex(b',"entry":"', entry)
        elif op == WALK:
            mas.index = mas.last = a[0]
            entry = mas_walk(k, &mas)
            self._head(b'"walk"')
            self._hex(b',"entry":"', entry)
            self._state(&mas)
        elif op == EMPTY_AREA or op == EMPTY_AREA_REV:
            if op == EMPTY_AREA:
                ret = mas_empty_area(k, &mas, a[0], a[1], a[2])
            else:
                ret = mas_empty_area_rev(k, &mas, a[0], a[1], a[2])
            self._head(b'"empty_area"' if op == EMPTY_AREA else b'"empty_area_rev"')
            self._number(b',"ret":', ret)
            if not ret:
                self._state(&mas)
        elif op == ALLOC_RANGE or op == ALLOC_RRANGE:
            if op == ALLOC_RANGE:
                ret, index = mtree_alloc_range(k, self.tree, a[0], a[1], a[2], a[3], KERNEL_GFP)
            else:
                ret, index = mtree_alloc_rrange(k, self.tree, a[0], a[1], a[2], a[3], KERNEL_GFP)
            callbacks = self._quiesce()
            self._head(b'"alloc_range"' if op == ALLOC_RANGE else b'"alloc_rrange"')
            self._number(b',"ret":', ret)
            self._hex(b',"start":"', index)
            self._rcu(callbacks)
            mutating = True
        elif op == ITER:
            self._iterate(&mas, a[0], a[1])
        if mutating:
            self._tail()
        elif k.rcu_queue:
            self._rcu(self._quiesce())
        if k.warnings:
            self._number(b',"warn":', k.warnings)
        if k.log:
            import json

            self._text(b',"printk":')
            printed = json.dumps("".join(k.log)).encode()  # ASCII without a NUL
            self._text(printed)
        self._text(b"}\n")
        return 0

    cdef int _iterate(self, MaState* mas, u64 low, u64 high) except -1:
        cdef i64 start = self.used, ranges = 0
        cdef u64 entry
        mas.index = mas.last = low
        self._head(b'"iter"')
        self._text(b',"ranges":[')
        try:
            while True:
                entry = mas_find(self.k, mas, high)
                if not entry:
                    break
                self._text(b',["' if ranges else b'["')
                self._digits(mas.index)
                self._text(b'","')
                self._digits(mas.last)
                self._text(b'","')
                self._digits(entry)
                self._text(b'"]')
                ranges += 1
                if ranges > most_ranges(self.k.allocated):
                    livelock(self.k, "mas_for_each", 0)
                if <u64>ranges > self.limit:
                    raise too_many(self.limit)
        except Exception:
            self.used = start
            raise
        self._text(b"]")
        return 0

    cdef i64 _quiesce(self) except -1:
        """Run the callbacks that nothing holds up."""
        if self.held_up or not self.k.rcu_queue:
            return 0
        return run_rcu(self.k)

    # -- writing

    cdef int _room(self, i64 count) except -1:
        cdef char* more
        if self.used + count > self.room:
            self.room = max_int(self.used + count, self.room * 2)
            self.room = max_int(self.room, ENOUGH + 4096)
            more = <char*>realloc(self.out, self.room)
            if more == NULL:
                raise MemoryError
            self.out = more
        return 0

    cdef inline int _text(self, const char* text) except -1:
        cdef i64 count = strlen(text)
        if self.used + count > self.room:
            self._room(count)
        memcpy(self.out + self.used, text, count)
        self.used += count
        return 0

    cdef int _digits(self, u64 value) except -1:
        """A number in hex."""
        cdef char digits[16]
        cdef i64 at = 16
        cdef u8 digit
        while True:
            digit = value & 15
            at -= 1
            digits[at] = digit + 48 if digit < 10 else digit + 87
            value >>= 4
            if not value:
                break
        if self.used + 16 > self.room:
            self._room(16)
        memcpy(self.out + self.used, digits + at, 16 - at)
        self.used += 16 - at
        return 0

    cdef inline int _hex(self, const char* key, u64 value) except -1:
        self._text(key)
        self._digits(value)
        self._text(b'"')
        return 0

    cdef int _number(self, const char* key, i64 value) except -1:
        """A number in decimal."""
        cdef char digits[20]
        cdef i64 at = 20
        cdef u64 left = <u64>value if value >= 0 else <u64>(-value)
        self._text(key)
        while True:
            at -= 1
            digits[at] = left % 10 + 48
            left //= 10
            if not left:
                break
        if value < 0:
            at -= 1
            digits[at] = 45
        if self.used + 20 > self.room:
            self._room(20)
        memcpy(self.out + self.used, digits + at, 20 - at)
        self.used += 20 - at
        return 0

    cdef int _head(self, const char* op) except -1:
        self._number(b'{"n":', self.n)
        self._text(b',"op":')
        return self._text(op)

    cdef int _rcu(self, i64 callbacks) except -1:
        return self._number(b',"rcu":', callbacks) if callbacks else 0

    cdef int _state(self, MaState* mas) except -1:
        self._hex(b',"index":"', mas.index)
        self._hex(b',"last":"', mas.last)
        self._text(b',"status":"')
        self._text(STATUS_NAMES[index_of(mas.status, 8)])
        self._hex(b'","node":"', mas.node)
        self._hex(b',"min":"', mas.min)
        self._hex(b',"max":"', mas.max)
        self._number(b',"offset":', mas.offset)
        self._number(b',"end":', mas.end)
        self._number(b',"depth":', mas.depth)
        return 0

    cdef int _tail(self) except -1:
        """What every operation that may change the tree ends with."""
        cdef Core k = self.k
        cdef i64 i
        cdef Call* call
        self._text(b',"ac":[')
        for i in range(k.call_count):
            call = &k.calls[i]
            self._text(b',"' if i else b'"')
            if call.refused:
                self._text(b"!")
            self._text(b"k" if call.blocking else b"n")
            if call.bulk:
                self._number(b"b", call.count)
                self._text(b'"')
            else:
                self._text(b'1"')
        self._text(b'],"fr":[')
        for i in range(k.free_count):
            self._number(b"," if i else b"", k.frees[i])
        self._number(b'],"na":', k.allocated)
        self._number(b',"nf":', k.freed)
        self._hex(b',"root":"', mem_ma_root(k, self.tree))
        self._hex(b',"flags":"', <u64>mem_ma_flags(k, self.tree))
        return 0


cdef bint _plain_init(const u8* text, i64 size) noexcept:
    """Whether a line is "init 0" or "init 1"."""
    if size != 6 or memcmp(text, b"init ", 5):
        return False
    return text[5] == 48 or text[5] == 49

cdef bint _same_words(Core a, Core b, i64 cell) noexcept:
    """Whether a cell's words are the same numbers on both; metadata, the same bytes.

    What only may be metadata is not the same here: somebody else has to look. A cell that no
    node or tree points to is nobody's.
    """
    cdef const u8* left = a.cells[cell]
    cdef const u8* right = b.cells[cell]
    cdef i64 i, mt
    cdef i64 word = a.word
    cdef i64 count = CELL // word
    cdef u64 ours, theirs
    for i in range(count):
        ours = load_word(a, left + i * word)
        theirs = load_word(b, right + i * word)
        if ours == theirs:
            continue
        mt = _type_of_cell(a, cell)
        if not mt and not _type_of_cell(b, cell):
            return True
        if memcmp(left + i * word, right + i * word, word):
            return False
        if mt < 1 or mt > 3 or i * word != a.mem_meta_offset[mt]:
            return False
        ours = load_word(a, left + a.mt_pivots[mt] * word)
        if mt != 3 and ours and ours != _last_index_of_cell(a, cell):
            return False  # the data goes on behind the last pivot: this is a slot
    return True

cdef i64 _type_of_cell(Core k, i64 cell) noexcept:
    """The type in the word that points to a node, found by its parent word; 0 if none does."""
    cdef i64 slot, parent, mt
    return _pointed_to(k, cell, &slot, &parent, &mt)

cdef i64 _pointed_to(Core k, i64 cell, i64* slot, i64* parent, i64* parent_type) noexcept:
    """_type_of_cell(), and where its parent's word lies; ``parent`` is -1 for a root."""
    cdef u64 node = k.near_base + <u64>cell * CELL
    cdef u64 word = load_word(k, k.cells[cell]), at
    cdef i64 mt
    parent[0] = -1
    if word & 1:
        at = (word & ~<u64>1) + k.mem_root - k.trees_base
        if at + k.word > k.trees_size:
            return 0
        word = load_word(k, k.trees_at + at)
        return word >> 3 & 15 if word & ~<u64>255 == node else 0
    at = (word & ~<u64>255) - k.near_base
    if at >= k.near_size:
        return 0
    slot[0] = (word & 0xF8) >> 3
    parent[0] = at >> 8
    for mt in range(2, 4):
        if k.mem_slot_offset[mt] + (slot[0] + 1) * k.word > CELL:
            continue
        word = load_word(k, k.cells[at >> 8] + k.mem_slot_offset[mt] + slot[0] * k.word)
        if word & ~<u64>255 == node:
            parent_type[0] = mt
            return word >> 3 & 15
    return 0

cdef u64 _last_index_of_cell(Core k, i64 cell) noexcept:
    """The largest index of a node, from the pivots of its parents."""
    cdef i64 level, slot, parent, mt
    cdef u64 pivot
    for level in range(32):
        if not _pointed_to(k, cell, &slot, &parent, &mt) or parent < 0:
            break
        if slot < k.mt_pivots[mt]:
            pivot = load_word(k, k.cells[parent] + (1 + slot) * k.word)
            if pivot:
                return pivot
        cell = parent
    return k.ulong_max

def differing_bytes(Core a, Core b):
    """How many bytes of all nodes differ."""
    cdef i64 cell, i, count = 0
    for cell in range(min_int(a.cell_count, b.cell_count)):
        if a.cells[cell] != b.cells[cell]:  # zeros are shared
            for i in range(CELL):
                count += a.cells[cell][i] != b.cells[cell][i]
    return count


@cython.final
cdef class LockStep:
    """The same trace on several machines, line by line, as long as nothing differs."""

    cdef list replays
    cdef public i64 operations, height

    def __init__(self, replays):
        self.replays = list(replays)

    def run(self):
        """Carry out lines; returns why it stopped, as Replay.run() does for all together.

        3: an operation may differ: its lines are to be taken, and its nodes looked at. In this
        case and in case 2 what was written to is kept (``Core.take_dirty``).
        """
        cdef Replay first = self.replays[0], other
        cdef Why why, one
        cdef bint differs
        cdef u64 height
        while True:
            why = first._run(True)
            differs = False
            for other in self.replays[1:]:
                one = other._run(True)
                if one != why:
                    why = STOPPED
                differs = differs or first.used != other.used
                differs = differs or memcmp(first.out, other.out, first.used) != 0
                differs = differs or self._nodes_differ(first.k, other.k)
            if why == STOPPED:
                return STOPPED
            if first.used:
                self.operations += 1
                height = (mem_read_u32(first.k, first.tree + first.k.mem_flags, "ma_flags") & 0x7C) >> 2
                self.height = max_int(self.height, height)
                if differs:
                    return FULL
            for other in self.replays:
                other.used = 0
                clear_dirty(other.k)
            if why != FULL:
                return why

    cdef bint _nodes_differ(self, Core a, Core b) except -1:
        cdef i64 i
        for i in range(a.dirty_count):
            if a.dirty[i] >= b.cell_count or not _same_words(a, b, a.dirty[i]):
                return True
        for i in range(b.dirty_count):
            if b.dirty[i] >= a.cell_count:
                return True
            if (b.dirty[i] >= a.mark_room or not a.marks[b.dirty[i]]) and not _same_words(a, b, b.dirty[i]):
                return True
        return False
