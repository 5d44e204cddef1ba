

# -- cells: the bytes of nodes, which exist from the first write on

cdef int _grow(Core k, i64 count) except -1:
    cdef i64 wanted = k.cell_count + count, i
    k.cells = <u8**>grown(k.cells, &k.cell_room, wanted, sizeof(u8*))
    for i in range(k.cell_count, wanted):
        k.cells[i] = ZEROS
    k.cell_count = wanted
    k.near_size = <u64>wanted * CELL
    return 0

cdef int mark(Core k, u64 at, i64 width) except -1:
    """Note that so many bytes are written to: for a ledger, or only which cell it is."""
    cdef i64 old = k.mark_room, cell = at >> 8
    if k.noting:
        note_span(k, k.near_base + at, width)
    if not k.marking:
        return 0
    if cell >= old:
        k.marks = <u8*>grown(k.marks, &k.mark_room, k.cell_room, 1)
        memset(k.marks + old, 0, k.mark_room - old)
    if k.marks[cell]:
        return 0
    k.marks[cell] = 1
    k.dirty = <i64*>grown(k.dirty, &k.dirty_room, k.dirty_count + 1, sizeof(i64))
    k.dirty[k.dirty_count] = cell
    k.dirty_count += 1
    return 0

cdef inline void clear_dirty(Core k) noexcept:
    cdef i64 i
    for i in range(k.dirty_count):
        k.marks[k.dirty[i]] = 0
    k.dirty_count = 0

cdef u8* own_new(Core k, i64 cell) except NULL:
    """Bytes for a cell that has none of its own."""
    cdef u8* slab
    cdef i64 i
    if k.free_cells == NULL:
        k.slabs = <u8**>grown(k.slabs, &k.slab_room, k.slab_count + 1, sizeof(u8*))
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
    memcpy(slab, k.cells[cell], CELL)
    k.cells[cell] = slab
    return slab

cdef inline u8* own(Core k, u64 at, i64 width) except NULL:
    """The bytes ``at`` bytes from the base, ``width`` of which are written to: all in one cell.

    A width of 0 is for whoever writes behind a ledger's back.
    """
    cdef i64 cell = at >> 8
    if k.track:
        mark(k, at, width)
    if LIKELY(k.cells[cell] != ZEROS and k.cells[cell] != POISON):
        return k.cells[cell] + (at & 255)
    return own_new(k, cell) + (at & 255)

cdef inline void give_back(Core k, i64 cell, u8* shared) noexcept:
    """From now on the cell's bytes are ``shared`` ones: ZEROS or POISON."""
    cdef u8* data = k.cells[cell]
    if data != ZEROS and data != POISON:
        memcpy(data, &k.free_cells, sizeof(u8*))
        k.free_cells = data
    k.cells[cell] = shared
