

# -- struct maple_copy of kernels that have it: layout/tree/v7_2/state.py

from layout.tree.v7_2.state import COPY_SLOTS as _COPY_SLOTS, COPY_SOURCES as _COPY_SOURCES

cdef i64 COPY_SLOTS = _COPY_SLOTS
cdef i64 COPY_SOURCES = _COPY_SOURCES

cdef inline void _zeroed(Words* words, i64 count) noexcept:
    words.count = count
    memset(words.w, 0, count * sizeof(u64))

cdef int new_copy(Core k, MapleCopy* cp) except -1:
    _zeroed(&cp.src_node, COPY_SOURCES)
    _zeroed(&cp.src_mt, COPY_SOURCES)
    _zeroed(&cp.src_start, COPY_SOURCES)
    _zeroed(&cp.src_end, COPY_SOURCES)
    _zeroed(&cp.src_max, COPY_SOURCES)
    _zeroed(&cp.dst_node, COPY_SLOTS)
    _zeroed(&cp.dst_mt, COPY_SLOTS)
    _zeroed(&cp.dst_max, COPY_SLOTS)
    _zeroed(&cp.slot, COPY_SLOTS)
    _zeroed(&cp.pivot, COPY_SLOTS)
    _zeroed(&cp.gap, COPY_SLOTS)
    new_words(k, &cp.words)
    cp.min = 0
    cp.end = cp.s_count = cp.d_count = cp.split = cp.data = cp.height = 0
    return 0
