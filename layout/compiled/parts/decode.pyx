

# -- decoding a whole tree in any memory: layout/images/decode.py says what it means
#
# Only a tree without any problem is decoded here; everything else is looked at, and told, there.

cdef struct Piece:
    u64 base, size
    const u8* at

cdef struct Shape:
    bint wide, swap
    i64 word
    i64 slots[4]
    i64 pivots[4]
    i64 slot_offset[4]
    i64 meta_offset[4]

cdef inline u64 _shape_word(const Shape* shape, const u8* at) noexcept:
    cdef u64 wide
    cdef u32 narrow
    if shape.wide:
        memcpy(&wide, at, 8)
        return SWAP64(wide) if shape.swap else wide
    memcpy(&narrow, at, 4)
    return SWAP32(narrow) if shape.swap else narrow


@cython.final
cdef class Decoder:
    """Looks at all nodes below a root.

    ``ranges`` are (first, last, entry), ``levels`` the nodes of each level in order:
    (address, type, first, last, depth).
    """

    cdef Piece* pieces
    cdef i64 piece_count
    cdef list held
    cdef Core core
    cdef Shape shape
    cdef i64 height, found, most
    cdef u64* seen
    cdef i64 seen_room
    cdef public list ranges, levels

    def __init__(self, mem, i64 height):
        cdef i64 i
        cdef const u8[:] view
        sizes = mem.profile.sizes
        self.height = height
        self.ranges, self.levels, self.held = [], [[] for _ in range(height)], []
        self.shape.wide = mem.word_size == 8
        self.shape.swap = mem.arch.byteorder == "big"
        self.shape.word = mem.word_size
        for i in range(4):
            self.shape.slots[i], self.shape.pivots[i] = sizes.slots[i], sizes.pivots[i]
            self.shape.slot_offset[i] = mem.slot_offset[i]
            self.shape.meta_offset[i] = mem.meta_offset[i]
        self.core = getattr(mem, "core", None)
        self.most = mem.size() // CELL
        self.pieces = <Piece*>calloc(len(mem.arenas) + 1, sizeof(Piece))
        if self.pieces == NULL:
            raise MemoryError
        for arena in mem.arenas:
            data = arena.flat()
            if data is None or not len(data):
                continue
            view = data
            self.held.append(data)
            self.pieces[self.piece_count].base = arena.base
            self.pieces[self.piece_count].size = len(data)
            self.pieces[self.piece_count].at = &view[0]
            self.piece_count += 1

    def __dealloc__(self):
        c_free(self.pieces)
        c_free(self.seen)

    def decode(self, u64 root, u64 last):
        """Whether the tree has no problem, so that all was found."""
        return self.height > 0 and self._node(root, 0, last, 0) and not self._twice()

    cdef const u8* _bytes(self, u64 node) noexcept:
        """The node's bytes, NULL where there are not all of them."""
        cdef u64 at
        cdef i64 low = 0, high = self.piece_count, middle
        if self.core is not None:
            at = node - self.core.near_base
            if at < self.core.near_size:
                return self.core.cells[at >> 8]
        while low < high:
            middle = (low + high) // 2
            if self.pieces[middle].base <= node:
                low = middle + 1
            else:
                high = middle
        if not low:
            return NULL
        at = node - self.pieces[low - 1].base
        if at >= self.pieces[low - 1].size or self.pieces[low - 1].size - at < CELL:
            return NULL
        return self.pieces[low - 1].at + at

    cdef bint _node(self, u64 word, u64 low, u64 last, i64 depth) except -1:
        cdef u64 node = word & ~<u64>255, first = low, end_index, parent, entry
        cdef i64 mt = word >> 3 & 15, i, end, pivots, slots
        cdef const u8* data
        cdef const Shape* shape = &self.shape
        if word & 0x85 != 4 or mt < 1 or mt > 3 or depth >= self.height:
            return False
        if (mt == 1) != (depth == self.height - 1):
            return False
        data = self._bytes(node)
        if data == NULL or self.found > self.most:
            return False
        parent = _shape_word(shape, data)
        if parent & ~<u64>255 == node:
            return False
        step()
        self.seen = <u64*>grown(self.seen, &self.seen_room, self.found + 1, sizeof(u64))
        self.seen[self.found] = node
        self.found += 1
        (<list>self.levels[depth]).append((node, mt, low, last, depth))
        pivots = shape.pivots[mt]
        slots = shape.slots[mt]
        end_index = _shape_word(shape, data + pivots * shape.word)
        if mt == 3 or not end_index:
            end = data[shape.meta_offset[mt]]
        else:
            end = pivots - 1 if end_index == last else pivots
        if end >= slots:
            return False
        for i in range(slots):
            end_index = _shape_word(shape, data + (1 + i) * shape.word) if i < pivots else last
            if not end_index and 0 < i == end:
                end_index = last
            if end_index > last or end_index < first:
                return False
            entry = _shape_word(shape, data + shape.slot_offset[mt] + i * shape.word)
            if mt == 1:
                if entry:
                    self.ranges.append((first, end_index, entry))
            elif not self._node(entry, first, end_index, depth + 1):
                return False
            if end_index == last:
                return i == end
            first = end_index + 1
        return True

    cdef bint _twice(self) except -1:
        """Whether a node was met twice."""
        cdef i64 i
        qsort(self.seen, self.found, sizeof(u64), _order)
        for i in range(1, self.found):
            if self.seen[i] == self.seen[i - 1]:
                return True
        return False

cdef int _order(const void* left, const void* right) noexcept nogil:
    cdef u64 a = (<const u64*>left)[0], b = (<const u64*>right)[0]
    return (a > b) - (a < b)


#: SOURCES
