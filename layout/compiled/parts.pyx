# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, overflowcheck=False, infer_types=False
"""The compiled twin of the kernel's operations: see layout/compiled/translate.py.

This part is written by hand: bytes, the node cache and the states. Whatever is not plain, an
address outside nodes and trees, a word across two nodes, a fault, is left to the Python classes
in whose place this stands.
"""

from libc.stdlib cimport calloc, free as c_free, malloc, qsort, realloc
cimport cython
from libc.string cimport memcmp, memcpy, memmove, memset, strlen

from layout.memory.errors import MachineFault, UsageError

ctypedef unsigned long long u64
ctypedef long long i64
ctypedef unsigned int u32
ctypedef unsigned char u8

cdef extern from *:
    """
    #define SWAP64(x) __builtin_bswap64(x)
    #define SWAP32(x) __builtin_bswap32(x)
    #define LIKELY(x) __builtin_expect(!!(x), 1)
    """
    u64 SWAP64(u64) noexcept nogil
    u32 SWAP32(u32) noexcept nogil
    bint LIKELY(bint) noexcept nogil

cdef enum:
    CELL = 256
    SLAB = 256  # cells that are taken from the C library at once
    BIG = 160  # words of the largest local struct, of all machines

cdef u8 ZEROS[CELL]
memset(ZEROS, 0, CELL)
cdef u8 POISON[CELL]
memset(POISON, 0x6B, CELL)  # of nodes that were forgotten: see Core.forget

DIRECT_RECLAIM = 0x400
cdef enum:
    RECLAIM = 0x400
    LIVELOCK = 1000


# -- structs on the stack

cdef struct Words:
    i64 count
    u64 w[BIG]

cdef struct MaState:
    u64 tree, index, last, node, min, max, alloc
    i64 status, depth, offset, mas_flags, end, store_type

cdef struct WrState:
    MaState* mas
    u64 node, r_min, r_max, end_piv, entry, content
    i64 mt, offset_end

cdef struct BigNode:
    Words words
    i64 b_end, mt, pivot0, slot0, gap0

cdef struct SubtreeState:
    MaState* orig_l
    MaState* orig_r
    MaState* l
    MaState* m
    MaState* r
    BigNode* bn

cdef struct MaTopiary:
    u64 head, tail

cdef struct Call:
    u8 refused, blocking, bulk
    i64 count

cdef enum:
    MA_START = 1


cdef int beyond() except -1:
    raise IndexError("an index beyond a local struct or a table")

cdef inline i64 index_of(i64 i, i64 count) except -1:
    if not LIKELY(<u64>i < <u64>count):
        beyond()
    return i

cdef inline i64 word_index(const Words* words, i64 i) except -1:
    if i < 0:
        i += words.count  # as Python's lists have it
    if not LIKELY(<u64>i < <u64>words.count):
        beyond()
    return i

cdef inline u64 max_word(u64 a, u64 b) noexcept:
    return a if a > b else b

cdef inline u64 min_word(u64 a, u64 b) noexcept:
    return a if a < b else b

cdef inline i64 max_int(i64 a, i64 b) noexcept:
    return a if a > b else b

cdef inline i64 min_int(i64 a, i64 b) noexcept:
    return a if a < b else b

cdef inline MaState* state_at(MaState* states, i64 i) noexcept:
    return states + i

cdef inline int state_assign(MaState* mas, const MaState* other) except -1:
    mas[0] = other[0]
    return 0

cdef inline int state_reset(MaState* mas) except -1:
    mas.status = MA_START
    mas.node = 0
    return 0

cdef inline Words* words_of(BigNode* bn) noexcept:
    return &bn.words

cdef inline int big_clear(BigNode* bn) except -1:
    memset(bn.words.w, 0, bn.words.count * sizeof(u64))
    bn.b_end = 0
    bn.mt = 0
    return 0

cdef inline int big_move(BigNode* bn, i64 base, i64 count, i64 shift) except -1:
    if count <= 0:
        return 0
    if base < 0 or shift < 0 or base + count + shift > bn.words.count:
        beyond()
    memmove(bn.words.w + base + shift, bn.words.w + base, count * sizeof(u64))
    return 0


@cython.final
cdef class State:
    """struct ma_state, as layout.tree.state.MaState has it."""

    cdef MaState s

    def copy(self):
        """A state like this one."""
        cdef State new = State.__new__(State)
        new.s = self.s
        return new

    def assign(self, other):
        """``*self = *other``."""
        if isinstance(other, State):
            self.s = (<State>other).s
            return
        for name in _FIELDS:
            setattr(self, name, getattr(other, name))

    def reset(self):
        """mas_reset: start again from the root."""
        state_reset(&self.s)

    @property
    def tree(self):
        return self.s.tree

    @tree.setter
    def tree(self, u64 value):
        self.s.tree = value

    @property
    def index(self):
        return self.s.index

    @index.setter
    def index(self, u64 value):
        self.s.index = value

    @property
    def last(self):
        return self.s.last

    @last.setter
    def last(self, u64 value):
        self.s.last = value

    @property
    def node(self):
        return self.s.node

    @node.setter
    def node(self, u64 value):
        self.s.node = value

    @property
    def min(self):
        return self.s.min

    @min.setter
    def min(self, u64 value):
        self.s.min = value

    @property
    def max(self):
        return self.s.max

    @max.setter
    def max(self, u64 value):
        self.s.max = value

    @property
    def alloc(self):
        return self.s.alloc

    @alloc.setter
    def alloc(self, u64 value):
        self.s.alloc = value

    @property
    def status(self):
        return self.s.status

    @status.setter
    def status(self, i64 value):
        self.s.status = value

    @property
    def depth(self):
        return self.s.depth

    @depth.setter
    def depth(self, i64 value):
        self.s.depth = value

    @property
    def offset(self):
        return self.s.offset

    @offset.setter
    def offset(self, i64 value):
        self.s.offset = value

    @property
    def mas_flags(self):
        return self.s.mas_flags

    @mas_flags.setter
    def mas_flags(self, i64 value):
        self.s.mas_flags = value

    @property
    def end(self):
        return self.s.end

    @end.setter
    def end(self, i64 value):
        self.s.end = value

    @property
    def store_type(self):
        return self.s.store_type

    @store_type.setter
    def store_type(self, i64 value):
        self.s.store_type = value

    def __repr__(self):
        from layout.tree.state import MaState as Plain

        return Plain.__repr__(self)

_FIELDS = (
    *("tree", "index", "last", "node", "min", "max", "alloc", "status"),
    *("depth", "offset", "mas_flags", "end", "store_type"),
)


cdef class Core:
    """Nodes, trees, node cache and operations of one machine.

    ``owner`` is the memory in whose place this stands: it knows all other arenas, and faults.
    """

    # nodes
    cdef u8** cells
    cdef i64 cell_count, cell_room
    cdef u64 near_base, near_size
    cdef u8** slabs
    cdef i64 slab_count
    cdef u8* free_cells  # a list: each holds the address of the next
    # trees
    cdef bytearray trees
    cdef u8* trees_at
    cdef u64 trees_base, trees_size
    cdef object owner
    # the machine
    cdef bint swap, wide, strict
    cdef u64 align
    cdef public u64 ulong_max
    cdef i64 word
    # node cache
    cdef public bint reuse
    cdef public bint forget
    cdef public u64 base
    cdef public i64 allocated, freed
    cdef i64 node_limit
    cdef i64 nodes
    cdef public bytearray freed_map
    cdef i64 left, refusals_left, refused
    cdef bint limited, nowait_only
    cdef Call* calls
    cdef i64 call_count, call_room
    cdef i64* frees
    cdef i64 free_count, free_room
    cdef u64* taken
    cdef i64 taken_room
    cdef u64* waiting
    cdef i64 waiting_count, waiting_room
    # which nodes were written to
    cdef bint track
    cdef u8* marks
    cdef i64* dirty
    cdef i64 dirty_count, dirty_room, mark_room
    # the kernel
    cdef public i64 tests, warnings, splits
    cdef public list rcu_queue
    cdef public list log
    cdef i64 node_slots, alloc_slots
    cdef i64 mt_slots[4]
    cdef i64 mt_min_slots[4]
    cdef i64 slot0[4]
    cdef i64 mt_pivots[16]
    cdef i64 big[4]
    # where fields lie
    cdef i64 mem_word_size, mem_node_words, mem_alloc_size, mem_gap_offset
    cdef i64 mem_alloc_slot_offset, mem_leaf_slots
    cdef i64 mem_rcu_next, mem_rcu_func, mem_piv_parent, mem_parent_slot, mem_type, mem_slot_len
    cdef i64 mem_topiary_next, mem_alloc_total, mem_alloc_count, mem_alloc_request
    cdef i64 mem_flags, mem_root
    cdef i64 mem_slot_offset[4]
    cdef i64 mem_meta_offset[4]

    def __cinit__(self):
        self.free_cells = NULL
        self.rcu_queue = []
        self.log = []
        self.freed_map = bytearray()
        self.limited = False

    def __dealloc__(self):
        cdef i64 i
        for i in range(self.slab_count):
            c_free(self.slabs[i])
        c_free(self.slabs)
        c_free(self.cells)
        c_free(self.calls)
        c_free(self.frees)
        c_free(self.taken)
        c_free(self.waiting)
        c_free(self.marks)
        c_free(self.dirty)

    def set_up(self, mem, limit):
        """Take the layout of ``mem``; ``limit`` is how many nodes there may be."""
        cdef i64 i
        arch = mem.arch
        sizes = mem.profile.sizes
        self.owner = mem
        self.swap = arch.byteorder == "big"
        self.strict = arch.strict_alignment
        self.word = arch.word_size
        self.wide = arch.word_size == 8
        self.align = arch.word_size - 1
        self.ulong_max = arch.ulong_max
        self.node_limit = limit
        self.mem_word_size = self.word
        self.mem_node_words = mem.node_words
        self.mem_alloc_size = mem.alloc_size
        self.mem_gap_offset = mem.gap_offset
        self.mem_alloc_slot_offset = mem.alloc_slot_offset
        self.mem_leaf_slots = mem.leaf_slots
        self.mem_rcu_next, self.mem_rcu_func = mem._rcu_next, mem._rcu_func
        self.mem_piv_parent, self.mem_parent_slot = mem._piv_parent, mem._parent_slot
        self.mem_type, self.mem_slot_len = mem._type, mem._slot_len
        self.mem_topiary_next = mem._topiary_next
        self.mem_alloc_total, self.mem_alloc_count = mem._alloc_total, mem._alloc_count
        self.mem_alloc_request = mem._alloc_request
        self.mem_flags, self.mem_root = mem._flags, mem._root
        for i in range(4):
            self.mem_slot_offset[i] = mem.slot_offset[i]
            self.mem_meta_offset[i] = mem.meta_offset[i]
            self.mt_slots[i] = sizes.slots[i]
            self.mt_min_slots[i] = sizes.min_slots[i]
            self.mt_pivots[i] = sizes.pivots[i]
            self.slot0[i] = mem.slot0[i]
        self.node_slots = sizes.node_slots
        self.alloc_slots = sizes.alloc_slots
        from layout.tree.kernel import big_node_layout

        self.big = big_node_layout(mem)
        if self.big[3] > BIG or self.mem_node_words > BIG:
            raise ValueError("a big node that is larger than on any known machine")

    def map_trees(self, base, bytearray data):
        """The arena of the trees, which never grows."""
        self.trees = data
        self.trees_at = <u8*><char*>data
        self.trees_base = base
        self.trees_size = len(data)

    def map_near(self, base):
        """The arena of the nodes."""
        self.near_base = self.base = base

    # -- memory, as layout.memory.memory has it

    def grow_near(self, i64 count):
        """Append zero bytes."""
        _grow(self, count // CELL)

    @property
    def size(self):
        """Bytes of the arena of nodes."""
        return self.near_size

    def read(self, i64 at, i64 width):
        """``width`` bytes, ``at`` bytes from the base of the nodes."""
        cdef bytearray out
        cdef i64 done = 0, part
        if at < 0 or width < 0 or <u64>(at + width) > self.near_size:
            raise ValueError("not in the nodes")
        if (at & 255) + width <= CELL:
            return (<char*>self.cells[at >> 8])[at & 255 : (at & 255) + width]
        out = bytearray(width)
        while done < width:
            part = min_int(width - done, CELL - ((at + done) & 255))
            memcpy(<char*>out + done, self.cells[(at + done) >> 8] + ((at + done) & 255), part)
            done += part
        return bytes(out)

    def write(self, i64 at, const u8[:] data):
        """Replace bytes, ``at`` bytes from the base of the nodes."""
        cdef i64 done = 0, part, width = data.shape[0]
        if at < 0 or <u64>(at + width) > self.near_size:
            raise ValueError("not in the nodes")
        while done < width:
            part = min_int(width - done, CELL - ((at + done) & 255))
            memcpy(own(self, (at + done) >> 8) + ((at + done) & 255), &data[done], part)
            done += part

    def all_cells(self):
        """The bytes of all cells."""
        cdef i64 i
        cells = []
        for i in range(self.cell_count):
            cells.append((<char*>self.cells[i])[:CELL])
        return tuple(cells)

    def replace(self, cells):
        """Replace all cells, and their number."""
        cdef i64 i
        for i in range(self.cell_count):
            _give_back(self, i)
        self.cell_count = 0
        self.near_size = 0
        _grow(self, len(cells))
        for i, cell in enumerate(cells):
            if cell != (<char*>ZEROS)[:CELL]:
                memcpy(own(self, i), <char*><bytes>cell, CELL)

    def read_word(self, u64 address, str doing="a word"):
        """Memory.read_word()."""
        return mem_read_word(self, address, doing)

    def write_word(self, u64 address, u64 value, str doing="a word"):
        """Memory.write_word()."""
        mem_write_word(self, address, value, doing)

    def read_words(self, u64 address, i64 count, str doing="words"):
        """Memory.read_words()."""
        cdef i64 i
        cdef u64 at = address - self.near_base
        if at < self.near_size and not at & self.align and (at & 255) + count * self.word <= CELL:
            words = []
            for i in range(count):
                words.append(load_word(self, self.cells[at >> 8] + (at & 255) + i * self.word))
            return tuple(words)
        return self.owner.read_words_anywhere(address, count, doing)

    def read_u8(self, u64 address, str doing="a byte"):
        """Memory.read_u8()."""
        return mem_read_u8(self, address, doing)

    def write_u8(self, u64 address, i64 value, str doing="a byte"):
        """Memory.write_u8()."""
        mem_write_u8(self, address, value, doing)

    # -- node cache, as layout.memory.slab has it

    def begin(self):
        """Start an operation: empty the logs."""
        begin(self)

    def restore(self, freed_map, allocated, freed, free_list):
        """Go back to an earlier state of the cache."""
        cdef i64 i
        self.freed_map = bytearray(freed_map)
        self.nodes = len(freed_map)
        self.allocated, self.freed = allocated, freed
        self.waiting_count = 0
        for node in free_list:
            _wait(self, node)
        begin(self)

    def free_list(self):
        """The nodes that wait to be handed out again, last freed last."""
        cdef i64 i
        nodes = []
        for i in range(self.waiting_count):
            nodes.append(self.waiting[i])
        return tuple(nodes)

    def fail(self, after, refusals, bint nowait_only):
        """Grant ``after`` more nodes, then refuse, at most ``refusals`` times; None ends it."""
        self.limited = after is not None
        self.left = 0 if after is None else after
        self.refusals_left = -1 if refusals is None else refusals
        self.nowait_only = nowait_only

    def call_log(self):
        """Allocation calls of the operation, in order: "n1", "!kb6"."""
        cdef i64 i
        calls = []
        for i in range(self.call_count):
            calls.append(_call_text(&self.calls[i]))
        return calls

    def free_log(self):
        """Numbers of the nodes freed in the operation, in order."""
        cdef i64 i
        numbers = []
        for i in range(self.free_count):
            numbers.append(self.frees[i])
        return numbers

    def alloc_one(self, i64 gfp):
        """kmem_cache_alloc: the address of a node, or 0."""
        return cache_alloc_one(self, gfp)

    def alloc_bulk(self, i64 gfp, i64 count):
        """kmem_cache_alloc_bulk: ``count`` addresses, or none."""
        cdef i64 i
        cdef i64 got = cache_alloc_bulk(self, gfp, count)
        nodes = []
        for i in range(got):
            nodes.append(self.taken[i])
        return nodes

    def free_node(self, u64 node):
        """kmem_cache_free."""
        cache_free(self, node)

    # -- which nodes were written to

    def set_tracking(self, bint on):
        """Note which cells are written to, from now on."""
        clear_dirty(self)
        self.track = on

    def take_dirty(self):
        """Addresses of the cells written to since the last call."""
        cdef i64 i
        found = set()
        for i in range(self.dirty_count):
            found.add(self.near_base + CELL * self.dirty[i])
        clear_dirty(self)
        return found

    def sum_cell(self, u64 address, u64 start, u64 prime):
        """A checksum of a cell's words, as 64-bit numbers of this machine."""
        cdef i64 cell = <i64>((address - self.near_base) >> 8)
        index_of(cell, self.cell_count)
        return _sum(self, self.cells[cell], CELL, start, prime)

    def sum_trees(self, i64 width, u64 start, u64 prime):
        """A checksum of the first ``width`` bytes of the trees."""
        index_of(width, <i64>self.trees_size)
        return _sum(self, self.trees_at, width, start, prime)

    # -- states

    def new_state(self, u64 tree, u64 index=0, last=None):
        """MA_STATE(): a state for [index, last] that has not walked yet."""
        cdef State new = State.__new__(State)
        new_state(self, &new.s, tree, index, index if last is None else <u64>last)
        return new

    # -- operations

# OPERATIONS AS METHODS

# -- bytes

cdef u64 _sum(Core k, const u8* at, i64 width, u64 start, u64 prime) noexcept:
    cdef u64 value = start, word
    cdef i64 i
    for i in range(width // 8):
        memcpy(&word, at + i * 8, 8)
        value = (value ^ (SWAP64(word) if k.swap else word)) * prime
    return value

cdef int _grow(Core k, i64 count) except -1:
    cdef i64 wanted = k.cell_count + count, i
    cdef u8** more
    if wanted > k.cell_room:
        k.cell_room = max_int(wanted, k.cell_room * 2)
        more = <u8**>realloc(k.cells, k.cell_room * sizeof(u8*))
        if more == NULL:
            raise MemoryError
        k.cells = more
    for i in range(k.cell_count, wanted):
        k.cells[i] = ZEROS
    k.cell_count = wanted
    k.near_size = <u64>wanted * CELL
    return 0

cdef int mark(Core k, i64 cell) except -1:
    """Note that the cell is written to."""
    cdef u8* marks
    cdef i64* more
    if cell >= k.mark_room:
        marks = <u8*>realloc(k.marks, k.cell_room)
        if marks == NULL:
            raise MemoryError
        memset(marks + k.mark_room, 0, k.cell_room - k.mark_room)
        k.marks = marks
        k.mark_room = k.cell_room
    if k.marks[cell]:
        return 0
    k.marks[cell] = 1
    if k.dirty_count == k.dirty_room:
        k.dirty_room = max_int(256, k.dirty_room * 2)
        more = <i64*>realloc(k.dirty, k.dirty_room * sizeof(i64))
        if more == NULL:
            raise MemoryError
        k.dirty = more
    k.dirty[k.dirty_count] = cell
    k.dirty_count += 1
    return 0

cdef inline void clear_dirty(Core k) noexcept:
    cdef i64 i
    for i in range(k.dirty_count):
        k.marks[k.dirty[i]] = 0
    k.dirty_count = 0

cdef u8* own_new(Core k, i64 cell) except NULL:
    cdef u8* slab
    cdef u8** more
    cdef i64 i
    if k.free_cells == NULL:
        more = <u8**>realloc(k.slabs, (k.slab_count + 1) * sizeof(u8*))
        if more == NULL:
            raise MemoryError
        k.slabs = more
        slab = <u8*>malloc(SLAB * CELL)
        if slab == NULL:
            raise MemoryError
        k.slabs[k.slab_count] = slab
        k.slab_count += 1
        for i in range(SLAB - 1, -1, -1):
            memcpy(slab + i * CELL, &k.free_cells, sizeof(u8*))
            k.free_cells = slab + i * CELL
    slab = k.free_cells
    memcpy(&k.free_cells, slab, sizeof(u8*))
    memset(slab, 0, CELL)
    k.cells[cell] = slab
    return slab

cdef inline u8* own(Core k, i64 cell) except NULL:
    """The cell's bytes, to be written to."""
    if k.track:
        mark(k, cell)
    if LIKELY(k.cells[cell] != ZEROS and k.cells[cell] != POISON):
        return k.cells[cell]
    return own_new(k, cell)

cdef inline int _give_back(Core k, i64 cell) except -1:
    """Make the cell zero."""
    cdef u8* data = k.cells[cell]
    if data != ZEROS and data != POISON:
        memcpy(data, &k.free_cells, sizeof(u8*))
        k.free_cells = data
    k.cells[cell] = ZEROS
    return 0

cdef inline void _poison(Core k, i64 cell) noexcept:
    """Forget a freed node: its bytes are given back, and who reads it all the same sees."""
    cdef u8* data = k.cells[cell]
    if data != ZEROS and data != POISON:
        memcpy(data, &k.free_cells, sizeof(u8*))
        k.free_cells = data
    k.cells[cell] = POISON

cdef inline u64 load_word(Core k, const u8* at) noexcept:
    cdef u64 wide
    cdef u32 narrow
    if k.wide:
        memcpy(&wide, at, 8)
        return SWAP64(wide) if k.swap else wide
    memcpy(&narrow, at, 4)
    return SWAP32(narrow) if k.swap else narrow

cdef inline void save_word(Core k, u8* at, u64 value) noexcept:
    cdef u32 narrow
    if k.wide:
        if k.swap:
            value = SWAP64(value)
        memcpy(at, &value, 8)
    else:
        narrow = <u32>value
        if k.swap:
            narrow = SWAP32(narrow)
        memcpy(at, &narrow, 4)

cdef inline void load_words(Core k, u64* words, const u8* at, i64 count) noexcept:
    cdef i64 i
    if k.wide:
        memcpy(words, at, count * 8)
        if k.swap:
            for i in range(count):
                words[i] = SWAP64(words[i])
    else:
        for i in range(count):
            words[i] = load_word(k, at + i * 4)

cdef inline void save_words(Core k, u8* at, const u64* words, i64 count) noexcept:
    cdef i64 i
    cdef u64 value
    if k.wide and not k.swap:
        memcpy(at, words, count * 8)
    elif k.wide:
        for i in range(count):
            value = SWAP64(words[i])
            memcpy(at + i * 8, &value, 8)
    else:
        for i in range(count):
            save_word(k, at + i * 4, words[i])

cdef inline u64 mem_read_word(Core k, u64 address, str doing) except? 0xDEAD0BAD0BAD0BAD:
    cdef u64 at = address - k.near_base
    if LIKELY(at < k.near_size and not at & k.align):
        return load_word(k, k.cells[at >> 8] + (at & 255))
    at = address - k.trees_base
    if at < k.trees_size and not at & k.align:
        return load_word(k, k.trees_at + at)
    return k.owner.read_word_anywhere(address & k.ulong_max, doing)

cdef inline int mem_write_word(Core k, u64 address, u64 value, str doing) except -1:
    cdef u64 at = address - k.near_base
    if LIKELY(at < k.near_size and not at & k.align):
        save_word(k, own(k, at >> 8) + (at & 255), value)
        return 0
    at = address - k.trees_base
    if at < k.trees_size and not at & k.align:
        save_word(k, k.trees_at + at, value)
        return 0
    k.owner.write_word_anywhere(address & k.ulong_max, value & k.ulong_max, doing)
    return 0

cdef inline i64 mem_read_u8(Core k, u64 address, str doing) except? -0x7EAD0BAD:
    cdef u64 at = address - k.near_base
    if LIKELY(at < k.near_size):
        return k.cells[at >> 8][at & 255]
    return k.owner.read_u8_anywhere(address & k.ulong_max, doing)

cdef inline int mem_write_u8(Core k, u64 address, i64 value, str doing) except -1:
    cdef u64 at = address - k.near_base
    if LIKELY(at < k.near_size):
        own(k, at >> 8)[at & 255] = <u8>value
        return 0
    k.owner.write_u8_anywhere(address & k.ulong_max, value & 0xFF, doing)
    return 0

cdef inline i64 mem_read_u32(Core k, u64 address, str doing) except? -0x7EAD0BAD:
    cdef u64 at = address - k.trees_base
    cdef u32 value
    if LIKELY(at < k.trees_size and not at & 3):
        memcpy(&value, k.trees_at + at, 4)
        return SWAP32(value) if k.swap else value
    at = address - k.near_base
    if at < k.near_size and not at & 3:
        memcpy(&value, k.cells[at >> 8] + (at & 255), 4)
        return SWAP32(value) if k.swap else value
    return k.owner.read_u32(address & k.ulong_max, doing)

cdef inline int mem_write_u32(Core k, u64 address, i64 value, str doing) except -1:
    cdef u64 at = address - k.trees_base
    cdef u32 narrow = <u32>value
    if k.swap:
        narrow = SWAP32(narrow)
    if LIKELY(at < k.trees_size and not at & 3):
        memcpy(k.trees_at + at, &narrow, 4)
        return 0
    at = address - k.near_base
    if at < k.near_size and not at & 3:
        memcpy(own(k, at >> 8) + (at & 255), &narrow, 4)
        return 0
    k.owner.write_u32(address & k.ulong_max, value, doing)
    return 0

cdef int mem_copy(Core k, u64 target, u64 source, u64 width, str doing) except -1:
    cdef u64 to = target - k.near_base, at = source - k.near_base
    cdef u8 buffer[CELL]
    if (
        to < k.near_size and at < k.near_size
        and (to & 255) + width <= CELL and (at & 255) + width <= CELL
    ):
        memcpy(buffer, k.cells[at >> 8] + (at & 255), width)
        memcpy(own(k, to >> 8) + (to & 255), buffer, width)
        return 0
    k.owner.copy(target & k.ulong_max, source & k.ulong_max, width, doing)
    return 0

cdef int mem_zero(Core k, u64 address, i64 count) except -1:
    cdef u64 at = address - k.near_base
    if count <= 0:
        return 0
    if at < k.near_size and (at & 255) + <u64>count <= CELL:
        if count == CELL:
            if k.track:
                mark(k, at >> 8)
            return _give_back(k, at >> 8)
        memset(own(k, at >> 8) + (at & 255), 0, count)
        return 0
    k.owner.zero(address & k.ulong_max, count)
    return 0

cdef inline int mem_check_pivots(Core k, u64 node, i64 mt) except -1:
    if not LIKELY(0 < mt and mt < 4):
        k.owner.check_pivots(node, mt)
    return 0

cdef inline u64 mem_pivots(Core k, u64 node, i64 mt, i64 count) except? 0xDEAD0BAD0BAD0BAD:
    mem_check_pivots(k, node, mt)
    return node + k.word

cdef inline u64 mem_slots(Core k, u64 node, i64 mt, i64 count) except? 0xDEAD0BAD0BAD0BAD:
    return node + k.mem_slot_offset[index_of(mt, 4)]

cdef inline u64 pivot_at(Core k, u64 pivots, i64 i) except? 0xDEAD0BAD0BAD0BAD:
    return mem_read_word(k, pivots + i * k.word, "pivot")

cdef int mem_load(Core k, Words* words, i64 at, u64 address, i64 count, str doing) except -1:
    cdef u64 offset = address - k.near_base
    cdef i64 i
    if at < 0 or at + count > words.count:
        beyond()
    if count <= 0:
        return 0
    if offset < k.near_size and not offset & k.align and (offset & 255) + count * k.word <= CELL:
        load_words(k, words.w + at, k.cells[offset >> 8] + (offset & 255), count)
        return 0
    for i, value in enumerate(k.owner.read_words_anywhere(address & k.ulong_max, count, doing)):
        words.w[at + i] = value
    return 0

cdef int mem_store(Core k, u64 address, Words* words, i64 at, i64 count, str doing) except -1:
    cdef u64 offset = address - k.near_base
    cdef i64 i
    if at < 0 or at + count > words.count:
        beyond()
    if count <= 0:
        return 0
    if offset < k.near_size and not offset & k.align and (offset & 255) + count * k.word <= CELL:
        save_words(k, own(k, offset >> 8) + (offset & 255), words.w + at, count)
        return 0
    values = []
    for i in range(count):
        values.append(words.w[at + i] & k.ulong_max)
    k.owner.write_words_anywhere(address & k.ulong_max, values, doing)
    return 0

cdef int mem_set_alloc_slots(Core k, u64 node, i64 first, i64 count) except -1:
    cdef u64 address = node + k.mem_alloc_slot_offset + first * k.word
    cdef i64 i
    for i in range(count):
        mem_write_word(k, address + i * k.word, k.taken[i], "alloc.slot")
    return 0


# -- the node cache

cdef inline void begin(Core k) noexcept:
    cdef i64 i
    if k.forget:
        for i in range(k.free_count):
            _poison(k, k.frees[i])
    k.call_count = 0
    k.free_count = 0
    k.refused = 0

cdef str _call_text(Call* call):
    text = "!" if call.refused else ""
    text += "k" if call.blocking else "n"
    return text + (f"b{call.count}" if call.bulk else "1")

cdef int _log_call(Core k, bint refused, bint blocking, bint bulk, i64 count) except -1:
    cdef Call* more
    if k.call_count == k.call_room:
        k.call_room = max_int(64, k.call_room * 2)
        more = <Call*>realloc(k.calls, k.call_room * sizeof(Call))
        if more == NULL:
            raise MemoryError
        k.calls = more
    k.calls[k.call_count].refused = refused
    k.calls[k.call_count].blocking = blocking
    k.calls[k.call_count].bulk = bulk
    k.calls[k.call_count].count = count
    k.call_count += 1
    return 0

cdef bint _refuse(Core k, i64 count, bint blocking) except -1:
    if not k.limited or (k.nowait_only and blocking):
        return False
    if count <= k.left:
        k.left -= count
        return False
    if k.refusals_left == 0:
        k.limited = False
        return False
    if k.refusals_left > 0:
        k.refusals_left -= 1
        if k.refusals_left == 0:
            k.limited = False
    k.refused += 1
    if k.refused > LIVELOCK:
        k.limited = False
        raise MachineFault(
            "livelock",
            0,
            f"the operation was refused memory {LIVELOCK} times and goes on asking",
            arch=k.owner.arch.name,
            doing="allocating nodes",
        )
    return True

cdef int _take(Core k, i64 count) except -1:
    """Put ``count`` addresses into ``taken``."""
    cdef i64 got = 0, first, i
    cdef u64* more
    if count < 0 or k.nodes + count > k.node_limit:
        raise UsageError(
            f"the simulated machine is out of memory: {k.node_limit} nodes were allocated; "
            "use a shorter trace or smaller counts"
        )
    if count > k.taken_room:
        more = <u64*>realloc(k.taken, count * sizeof(u64))
        if more == NULL:
            raise MemoryError
        k.taken = more
        k.taken_room = count
    k.allocated += count
    while k.waiting_count and got < count:
        k.waiting_count -= 1
        k.taken[got] = k.waiting[k.waiting_count]
        k.freed_map[<i64>(k.taken[got] - k.base) >> 8] = 0
        got += 1
    if got < count:
        first = k.nodes
        _grow(k, count - got)
        k.freed_map.extend((<char*>ZEROS)[:count - got] if count - got <= CELL else bytes(count - got))
        k.nodes += count - got
        for i in range(count - got):
            k.taken[got + i] = k.base + <u64>(first + i) * CELL
    return 0

cdef inline u64 taken_at(Core k, i64 i) noexcept:
    return k.taken[i]

cdef u64 cache_alloc_one(Core k, i64 gfp) except? 0xDEAD0BAD0BAD0BAD:
    cdef bint blocking = gfp & RECLAIM != 0
    cdef bint refused = _refuse(k, 1, blocking)
    _log_call(k, refused, blocking, False, 1)
    if refused:
        return 0
    _take(k, 1)
    return k.taken[0]

cdef i64 cache_alloc_bulk(Core k, i64 gfp, i64 count) except? -0x7EAD0BAD:
    cdef bint blocking = gfp & RECLAIM != 0
    cdef bint refused = _refuse(k, count, blocking)
    _log_call(k, refused, blocking, True, count)
    if refused:
        return 0
    _take(k, count)
    return count

cdef int _wait(Core k, u64 node) except -1:
    cdef u64* more
    if k.waiting_count == k.waiting_room:
        k.waiting_room = max_int(256, k.waiting_room * 2)
        more = <u64*>realloc(k.waiting, k.waiting_room * sizeof(u64))
        if more == NULL:
            raise MemoryError
        k.waiting = more
    k.waiting[k.waiting_count] = node
    k.waiting_count += 1
    return 0

cdef int cache_free(Core k, u64 node) except -1:
    cdef u64 at = node - k.base
    cdef i64 number = <i64>(at >> 8)
    cdef i64* more
    cdef char* freed = k.freed_map
    if at & 255 or at >> 8 >= <u64>k.nodes or freed[number]:
        k.owner.cache.bad_free(node & k.ulong_max)
    freed[number] = 1
    k.freed += 1
    if k.free_count == k.free_room:
        k.free_room = max_int(64, k.free_room * 2)
        more = <i64*>realloc(k.frees, k.free_room * sizeof(i64))
        if more == NULL:
            raise MemoryError
        k.frees = more
    k.frees[k.free_count] = number
    k.free_count += 1
    if k.reuse:
        _wait(k, node)
    return 0

cdef int cache_free_bulk(Core k, i64 count, u64 address) except -1:
    cdef i64 i
    cdef u64 nodes[512]
    if count > 512:
        beyond()
    for i in range(count):
        nodes[i] = mem_read_word(k, address + i * k.word, "nodes to free")
    for i in range(count):
        cache_free(k, nodes[i])
    return 0


# -- making structs, and what stops the kernel

cdef inline int new_state(Core k, MaState* mas, u64 tree, u64 index, u64 last) except -1:
    memset(mas, 0, sizeof(MaState))
    mas.tree = tree
    mas.index = index
    mas.last = last
    mas.max = k.ulong_max
    mas.status = MA_START
    return 0

cdef inline int new_write(Core k, WrState* wr, MaState* mas, u64 entry) except -1:
    memset(wr, 0, sizeof(WrState))
    wr.mas = mas
    wr.entry = entry
    return 0

cdef inline int new_big_node(Core k, BigNode* bn) except -1:
    bn.pivot0, bn.slot0, bn.gap0, bn.words.count = k.big[0], k.big[1], k.big[2], k.big[3]
    return big_clear(bn)

cdef inline int new_subtree(
    Core k, SubtreeState* mast, MaState* left, MaState* right, BigNode* bn
) except -1:
    mast.orig_l = mast.l = mast.m = left
    mast.orig_r = mast.r = right
    mast.bn = bn
    return 0

cdef inline int new_topiary(Core k, MaTopiary* dead) except -1:
    dead.head = dead.tail = 0
    return 0

cdef inline int new_words(Core k, Words* words) except -1:
    words.count = k.mem_node_words
    memset(words.w, 0, words.count * sizeof(u64))
    return 0

cdef inline int warn_on(Core k) except -1:
    k.warnings += 1
    return 0

cdef int livelock(Core k, str doing, u64 address) except -1:
    from layout.tree import log

    log.livelock(k.owner.kernel, doing, address)
    return 0

cdef int bug(Core k, str doing, u64 address) except -1:
    from layout.tree import log

    log.bug(k.owner.kernel, doing, address)
    return 0

cdef int seam_store_backwards(Core k, MaState* mas, u64 entry) except -1:
    """The Python code prints, and sets the error."""
    cdef State state = State.__new__(State)
    state.s = mas[0]
    from layout.tree import store

    store.seam_store_backwards(k.owner.kernel, state, entry)
    mas[0] = state.s
    return 0

cdef int report_index_not_increased(Core k, u64 tree, u64 before, u64 after) except -1:
    """The Python code prints."""
    from layout.tree import dump

    dump.report_index_not_increased(k.owner.kernel, tree, before, after)
    return 0
