

# -- machines side by side

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
    cdef i64 cell, count = 0
    for cell in range(min_int(a.cell_count, b.cell_count)):
        step()
        count += _differing(a, b, cell)
    return count

cdef i64 _differing(Core a, Core b, i64 cell) noexcept:
    """How many bytes of a cell differ."""
    cdef i64 i, count = 0
    if a.cells[cell] != b.cells[cell]:  # zeros are shared
        for i in range(CELL):
            count += a.cells[cell][i] != b.cells[cell][i]
    return count


@cython.final
cdef class LockStep:
    """The same trace on several machines, line by line, as long as nothing differs."""

    cdef list replays
    cdef public i64 operations, height
    cdef public bint forget  # the bytes of nodes that were freed, once they were compared
    cdef public i64 forgotten  # how many of these bytes differed

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
                differs = differs or first.out.used != other.out.used
                if first.out.used and not differs:  # memcmp() takes no NULL
                    differs = memcmp(first.out.bytes, other.out.bytes, first.out.used) != 0
                differs = differs or self._nodes_differ(first.k, other.k)
            if why == STOPPED:
                return STOPPED
            if first.out.used:
                self.operations += 1
                height = (mem_read_u32(first.k, first.tree + first.k.mem_flags, "ma_flags") & 0x7C) >> 2
                self.height = max_int(self.height, height)
                if differs:
                    return FULL
            if self.forget and first.out.used:
                self._forget()
            for other in self.replays:
                other.out.used = 0
                clear_dirty(other.k)
            if why != FULL:
                return why

    cdef int _forget(self) except -1:
        """Give back the bytes of what the operation has freed: the same nodes everywhere."""
        cdef Core a = (<Replay>self.replays[0]).k, b
        cdef Replay other
        cdef i64 i
        for other in self.replays[1:]:
            b = other.k
            if b.free_count != a.free_count:
                return 0
            for i in range(a.free_count):
                if a.frees[i] != b.frees[i]:
                    return 0
        for i in range(a.free_count):
            for other in self.replays[1:]:
                b = other.k
                self.forgotten += _differing(a, b, a.frees[i])
            for other in self.replays:
                b = other.k
                give_back(b, a.frees[i], POISON)
        for other in self.replays:
            more_room(other.k, a.free_count)
        return 0

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
