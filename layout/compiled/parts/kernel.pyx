

# -- what of the kernel is not translated: making structs, and what stops it

cdef inline int new_state(Core k, MaState* mas, u64 tree, u64 index, u64 last) except -1:
    return make_MaState(mas, tree, index, last, k.ulong_max)

cdef inline int new_big_node(Core k, BigNode* bn) except -1:
    bn.pivot0, bn.slot0, bn.gap0 = k.big_node[0], k.big_node[1], k.big_node[2]
    bn.words.count = k.big_node[3]
    return BigNode_clear(bn)

cdef inline int new_words(Core k, Words* words) except -1:
    words.count = k.mem_node_words
    memset(words.w, 0, words.count * sizeof(u64))
    return 0

cdef int warn_on(Core k, str why) except -1:
    k.warnings += 1
    k.warned = why
    return 0

cdef int livelock(Core k, str doing, u64 address) except -1:
    k.owner.kernel.livelock(doing, address)
    return 0

cdef int bug(Core k, str doing, u64 address) except -1:
    k.owner.kernel.bug(doing, address)
    return 0

cdef int seam_store_backwards(Core k, MaState* mas, u64 entry) except -1:
    """The Python code prints, and sets the error."""
    cdef State state = State.__new__(State)
    state.s = mas[0]
    k.owner.kernel.seam_store_backwards(state, entry)
    mas[0] = state.s
    return 0

cdef int report_childless(Core k, MaState* mas) except -1:
    """The Python code prints."""
    cdef State state = State.__new__(State)
    state.s = mas[0]
    k.owner.kernel.report_childless(state)
    return 0

cdef int report_index_not_increased(Core k, u64 tree, u64 before, u64 after) except -1:
    """The Python code prints."""
    k.owner.kernel.report_index_not_increased(tree, before, after)
    return 0

#: FUNCTIONS
