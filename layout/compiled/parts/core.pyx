

cdef struct Call:
    u8 refused, blocking
    char what  # 0: one node, else b: a bulk, s: a sheaf, r: a sheaf that is refilled
    i64 count

cdef struct Sheaf:
    i64 capacity, count
    u64* nodes  # NULL: it was returned


cdef class Core:
    """Nodes, trees, node cache and operations of one machine.

    ``owner`` is the memory in whose place this stands: it knows all other arenas, and faults.
    """

    # nodes
    cdef u8** cells
    cdef i64 cell_count, cell_room
    cdef u64 near_base, near_size
    cdef u8** slabs
    cdef i64 slab_count, slab_room
    cdef u8* free_cells  # a list: each holds the address of the next
    # trees
    cdef bytearray trees
    cdef u8* trees_at
    cdef u64 trees_base, trees_size
    cdef object owner
    # the machine
    cdef bint swap, wide
    cdef u64 align
    cdef public u64 ulong_max
    cdef i64 word
    # node cache
    cdef public bint reuse
    cdef public bint forget  # the bytes of nodes that were freed, when the next operation begins
    cdef public u64 base
    cdef public i64 allocated, freed
    cdef public i64 node_limit
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
    cdef Sheaf* sheaves  # number 1 is the first
    cdef i64 sheaf_count, sheaf_room
    cdef u64* waiting
    cdef i64 waiting_count, waiting_room
    # which nodes were written to, and what a ledger counts: see notes.pyx
    cdef bint track  # either
    cdef bint marking, noting
    cdef u8* marks
    cdef i64* dirty
    cdef i64 dirty_count, dirty_room, mark_room
    cdef bint reserving
    cdef Span* spans
    cdef i64 span_count, span_room
    cdef Note* notes
    cdef i64 note_count, note_room
    # a checksum of memory: of each cell that was handed out, and whether it is in the whole
    cdef u64* sums
    cdef u8* in_sum
    cdef i64 summed, sums_room, in_sum_room, sum_width
    cdef u64 sum, prime
    # the kernel
    cdef public i64 tests, warnings, splits
    cdef public str warned
    cdef public list rcu_queue
    cdef public list log
    # what operations read of kernel and memory
    #: FIELDS

    def __cinit__(self):
        self.free_cells = NULL
        self.warned = ""
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
        for i in range(self.sheaf_count):
            c_free(self.sheaves[i].nodes)
        c_free(self.sheaves)
        c_free(self.waiting)
        c_free(self.marks)
        c_free(self.dirty)
        c_free(self.spans)
        c_free(self.notes)
        c_free(self.sums)
        c_free(self.in_sum)

    def set_up(self, mem, limit):
        """Take the layout of ``mem``; ``limit`` is how many nodes there may be."""
        arch = mem.arch
        self.owner = mem
        self.swap = arch.byteorder == "big"
        self.word = arch.word_size
        self.wide = arch.word_size == 8
        self.align = arch.word_size - 1
        self.ulong_max = arch.ulong_max
        self.node_limit = limit
        source = mem
        #: MEMORY
        if self.mem_node_words > BIG:
            raise ValueError("a node that has more words than on any known machine")

    def set_kernel(self, source):
        """Take over what the operations read of a kernel. Raises ValueError."""
        #: KERNEL
        if self.big_node[3] > BIG:
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
            memcpy(own(self, at + done, 0), &data[done], part)
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
            give_back(self, i, ZEROS)
        self.cell_count = 0
        self.near_size = 0
        _grow(self, len(cells))
        for i, cell in enumerate(cells):
            if cell != (<char*>ZEROS)[:CELL]:
                memcpy(own(self, i * CELL, 0), <char*><bytes>cell, CELL)

    def forget_cell(self, u64 address):
        """Nobody will read this cell any more: its bytes are given back."""
        give_back(self, index_of((address - self.near_base) >> 8, self.cell_count), POISON)

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

    def prefill_sheaf(self, i64 gfp, u64 count):
        """kmem_cache_prefill_sheaf: a number that stands for a sheaf, or 0."""
        return cache_prefill_sheaf(self, gfp, count)

    def refill_sheaf(self, i64 gfp, u64 number, u64 count):
        """kmem_cache_refill_sheaf: the sheaf, another one, or 0."""
        return cache_refill_sheaf(self, gfp, number, count)

    def sheaf_nodes(self, u64 number):
        """The nodes in a sheaf, the one to be taken next last."""
        cdef Sheaf* sheaf = sheaf_of(self, number)
        cdef i64 i
        nodes = []
        for i in range(sheaf.count):
            nodes.append(sheaf.nodes[i])
        return tuple(nodes)

    def alloc_from_sheaf(self, u64 number):
        """kmem_cache_alloc_from_sheaf: the address of a node, or 0."""
        return cache_alloc_from_sheaf(self, number)

    def return_sheaf(self, u64 number):
        """kmem_cache_return_sheaf."""
        cache_return_sheaf(self, number)

    def free_node(self, u64 node):
        """kmem_cache_free."""
        cache_free(self, node)

    # -- which nodes were written to

    def set_tracking(self, bint on):
        """Note which cells are written to, from now on."""
        clear_dirty(self)
        self.marking = on
        self.track = self.marking or self.noting

    def take_dirty(self):
        """Addresses of the cells written to since the last call."""
        cdef i64 i
        found = set()
        for i in range(self.dirty_count):
            found.add(self.near_base + CELL * self.dirty[i])
        clear_dirty(self)
        return found

    # -- what a ledger counts

    def set_noting(self, bint on):
        """Note what is written to nodes and what becomes of them, from now on."""
        self.span_count = self.note_count = 0
        self.noting = on
        self.track = self.marking or self.noting

    def take_spans(self):
        """Bytes of nodes written to since the last call, as (first, behind): some of them."""
        return take_spans(self)

    def take_notes(self):
        """What became of nodes since the last call, in order, as (a Ledger's method, number)."""
        return take_notes(self)

    # -- a checksum of memory

    def begin_sums(self, i64 width, u64 prime):
        """Each line of a trace has a checksum from now on, of ``width`` bytes of the trees too."""
        index_of(width, <i64>self.trees_size + 1)
        self.set_tracking(True)
        self.sum_width, self.prime = width, prime

    def memory_sum(self):
        """The checksum, once an operation; begin_sums() comes first."""
        return memory_sum(self)

    # -- states

    def new_state(self, u64 tree, u64 index=0, last=None):
        """MA_STATE(): a state for [index, last] that has not walked yet."""
        cdef State new = State.__new__(State)
        new_state(self, &new.s, tree, index, index if last is None else <u64>last)
        return new

    # -- operations

    #: METHODS
