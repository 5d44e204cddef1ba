

# -- a checksum of all memory in use, as layout.ckernel.sums and the harness make it

cdef u64 memory_sum(Core k) except? 0xDEAD0BAD0BAD0BAD:
    """Of the trees, of the nodes in use, and of those that the operation has freed.

    Only cells that were written to since the last call are summed again.
    """
    cdef i64 i, cell, old = k.summed
    cdef u64 total
    k.sums = <u64*>grown(k.sums, &k.sums_room, k.nodes, sizeof(u64))
    k.in_sum = <u8*>grown(k.in_sum, &k.in_sum_room, k.nodes, 1)
    for cell in range(old, k.nodes):
        k.sums[cell] = _sum(k, k.cells[cell], CELL, cell + 1)
        k.in_sum[cell] = True
        k.sum += k.sums[cell]
    k.summed = k.nodes
    for i in range(k.dirty_count):
        cell = k.dirty[i]
        if cell < old and k.in_sum[cell]:
            k.sum -= k.sums[cell]
            k.sums[cell] = _sum(k, k.cells[cell], CELL, cell + 1)
            k.sum += k.sums[cell]
    clear_dirty(k)
    total = k.sum + _sum(k, k.trees_at, k.sum_width, 0)
    for i in range(k.free_count):
        cell = k.frees[i]
        if k.in_sum[cell]:
            k.in_sum[cell] = False
            k.sum -= k.sums[cell]
    return total

cdef u64 _sum(Core k, const u8* at, i64 width, i64 start) noexcept:
    """Of words of 64 bits, as numbers of this machine."""
    cdef u64 value = <u64>start, word
    cdef i64 i
    for i in range(width // 8):
        memcpy(&word, at + i * 8, 8)
        value = (value ^ (SWAP64(word) if k.swap else word)) * k.prime
    return value
