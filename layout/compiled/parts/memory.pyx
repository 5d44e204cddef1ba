

# -- words and bytes at addresses, as layout.memory.memory has them

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
        save_word(k, own(k, at, k.word), value)
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
        own(k, at, 1)[0] = <u8>value
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
        memcpy(own(k, at, 4), &narrow, 4)
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
        memcpy(own(k, to, width), buffer, width)
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
                mark(k, at, count)
            give_back(k, at >> 8, ZEROS)
            return 0
        memset(own(k, at, count), 0, count)
        return 0
    k.owner.zero(address & k.ulong_max, count)
    return 0

cdef inline int mem_check_pivots(Core k, u64 node, i64 mt) except -1:
    if not LIKELY(0 < mt and mt < 4):
        k.owner.check_pivots(node, mt)
    return 0

cdef inline u64 mem_pivots(Core k, u64 node, i64 mt, i64 count) except? 0xDEAD0BAD0BAD0BAD:
    return node + k.word if LIKELY(0 < mt and mt < 4) else 0

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
        save_words(k, own(k, offset, count * k.word), words.w + at, count)
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
