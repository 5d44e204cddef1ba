

# -- the node cache

cdef enum:
    MARGIN_NODES = 16  # what is mapped behind the last node

cdef inline void more_room(Core k, i64 count) noexcept:
    """Nodes that were forgotten make room for others, as long as there are addresses."""
    cdef i64 most = <i64>((k.ulong_max - k.base) >> 8) - MARGIN_NODES
    k.node_limit = min_int(k.node_limit + count, max_int(most, k.node_limit))

cdef inline void begin(Core k) noexcept:
    cdef i64 i
    if k.forget:
        for i in range(k.free_count):
            give_back(k, k.frees[i], POISON)
        more_room(k, k.free_count)
    k.call_count = 0
    k.free_count = 0
    k.refused = 0

cdef str _call_text(Call* call):
    text = "!" if call.refused else ""
    text += "k" if call.blocking else "n"
    return text + (f"{chr(call.what)}{call.count}" if call.what else "1")

cdef int _log_call(Core k, bint refused, bint blocking, char what, i64 count) except -1:
    k.calls = <Call*>grown(k.calls, &k.call_room, k.call_count + 1, sizeof(Call))
    k.calls[k.call_count].refused = refused
    k.calls[k.call_count].blocking = blocking
    k.calls[k.call_count].what = what
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
    if k.noting:
        note(k, REFUSED, count)
    return True

cdef int _take(Core k, i64 count) except -1:
    """Put ``count`` addresses into ``taken``."""
    cdef i64 got = 0, first, i
    step()
    if count < 0 or k.nodes + count > k.node_limit:
        raise UsageError(
            f"the simulated machine is out of memory: {k.node_limit} nodes were allocated; "
            "use a shorter trace or smaller counts"
        )
    k.taken = <u64*>grown(k.taken, &k.taken_room, count, sizeof(u64))
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
    if k.noting:
        for i in range(count):
            note(k, RESERVED if k.reserving else HANDED_OUT, k.taken[i])
    return 0

cdef inline u64 taken_at(Core k, i64 i) noexcept:
    return k.taken[i]

cdef bint _granted(Core k, i64 gfp, char what, i64 count) except -1:
    """Whether a request is granted; either way it is noted."""
    cdef bint blocking = gfp & DIRECT_RECLAIM != 0
    cdef bint refused = not gfp & GFP_NOFAIL and _refuse(k, count, blocking)
    _log_call(k, refused, blocking, what, count)
    return not refused

cdef u64 cache_alloc_one(Core k, i64 gfp) except? 0xDEAD0BAD0BAD0BAD:
    if not _granted(k, gfp, 0, 1):
        return 0
    _take(k, 1)
    return k.taken[0]

cdef i64 cache_alloc_bulk(Core k, i64 gfp, i64 count) except? -0x7EAD0BAD:
    if not _granted(k, gfp, b"b", count):
        return 0
    _take(k, count)
    return count


cdef Sheaf* sheaf_of(Core k, u64 number) except NULL:
    return &k.sheaves[index_of(<i64>number - 1, k.sheaf_count)]

cdef int _fill(Core k, Sheaf* sheaf, i64 count) except -1:
    """Put so many nodes into a sheaf, behind those in it."""
    _take(k, count)
    memcpy(sheaf.nodes + sheaf.count, k.taken, count * sizeof(u64))
    sheaf.count += count
    return 0

cdef u64 cache_prefill_sheaf(Core k, i64 gfp, u64 count) except? 0xDEAD0BAD0BAD0BAD:
    cdef Sheaf* sheaf
    if not _granted(k, gfp, b"s", count):
        return 0
    k.sheaves = <Sheaf*>grown(k.sheaves, &k.sheaf_room, k.sheaf_count + 1, sizeof(Sheaf))
    sheaf = &k.sheaves[k.sheaf_count]
    sheaf.capacity = max_int(count, SHEAF_CAPACITY)
    sheaf.count = 0
    sheaf.nodes = <u64*>malloc(sheaf.capacity * sizeof(u64))
    if sheaf.nodes == NULL:
        raise MemoryError
    k.sheaf_count += 1
    _fill(k, sheaf, count)
    return k.sheaf_count

cdef u64 cache_refill_sheaf(
    Core k, i64 gfp, u64 number, u64 count
) except? 0xDEAD0BAD0BAD0BAD:
    cdef Sheaf* sheaf = sheaf_of(k, number)
    cdef i64 missing = <i64>count - sheaf.count
    cdef u64 larger
    if missing <= 0:
        return number
    if <i64>count > sheaf.capacity:
        larger = cache_prefill_sheaf(k, gfp, count)
        if larger:
            cache_return_sheaf(k, number)
        return larger
    if not _granted(k, gfp, b"r", missing):
        return 0
    _fill(k, sheaf, missing)
    return number

cdef u64 cache_sheaf_size(Core k, u64 number) except? 0xDEAD0BAD0BAD0BAD:
    return sheaf_of(k, number).count

cdef u64 cache_alloc_from_sheaf(Core k, u64 number) except? 0xDEAD0BAD0BAD0BAD:
    cdef Sheaf* sheaf = sheaf_of(k, number)
    if not sheaf.count:
        return 0
    sheaf.count -= 1
    return sheaf.nodes[sheaf.count]

cdef int cache_return_sheaf(Core k, u64 number) except -1:
    cdef Sheaf* sheaf = sheaf_of(k, number)
    cdef i64 i
    for i in range(sheaf.count):
        cache_free(k, sheaf.nodes[i])
    c_free(sheaf.nodes)
    sheaf.nodes = NULL
    sheaf.count = 0
    while k.sheaf_count and k.sheaves[k.sheaf_count - 1].nodes == NULL:
        k.sheaf_count -= 1
    return 0

cdef int _wait(Core k, u64 node) except -1:
    k.waiting = <u64*>grown(k.waiting, &k.waiting_room, k.waiting_count + 1, sizeof(u64))
    k.waiting[k.waiting_count] = node
    k.waiting_count += 1
    return 0

cdef int cache_free(Core k, u64 node) except -1:
    cdef u64 at = node - k.base
    cdef i64 number = <i64>(at >> 8)
    cdef char* freed = k.freed_map
    if at & 255 or at >> 8 >= <u64>k.nodes or freed[number]:
        k.owner.cache.bad_free(node & k.ulong_max)
    step()
    freed[number] = 1
    k.freed += 1
    k.frees = <i64*>grown(k.frees, &k.free_room, k.free_count + 1, sizeof(i64))
    k.frees[k.free_count] = number
    k.free_count += 1
    if k.reuse:
        _wait(k, node)
    if k.noting:
        note(k, TAKEN_BACK, node)
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
