# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, overflowcheck=False, infer_types=False
"""The compiled twin of the kernel's operations: see layout/compiled/translate.

layout/compiled/parts is written by hand. Whatever is not plain, an address outside nodes and trees,
a word across two nodes, a fault, is left to the Python classes in whose place this stands.
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport calloc, free as c_free, malloc, qsort, realloc
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

#: CONSTANTS

cdef enum:
    SLAB = 256  # cells that are taken from the C library at once
    BIG = 160  # words of the largest local struct, of all machines

cdef u8 ZEROS[CELL]
memset(ZEROS, 0, CELL)
cdef u8 POISON[CELL]
memset(POISON, 0x6B, CELL)  # of nodes that were forgotten: see Core.forget


cdef inline void* grown(void* items, i64* room, i64 wanted, i64 size) except? NULL:
    """The array, with ``room`` for ``wanted`` items of ``size`` bytes or more."""
    return items if LIKELY(wanted <= room[0]) else _grown(items, room, wanted, size)

cdef void* _grown(void* items, i64* room, i64 wanted, i64 size) except? NULL:
    cdef i64 new = max_int(wanted, max_int(64, room[0] * 2))
    cdef void* more = realloc(items, new * size)
    if more == NULL:
        raise MemoryError
    room[0] = new
    return more

cdef i64 steps = 0

cdef inline int step() except -1:
    """A step of a loop that may be long: a signal that came is handled every so often."""
    global steps
    steps += 1
    if LIKELY(steps & 1023):
        return 0
    return PyErr_CheckSignals()


cdef int beyond() except -1:
    raise IndexError("an index beyond a local struct or a table")

cdef inline i64 index_of(i64 i, i64 count) except -1:
    if not LIKELY(<u64>i < <u64>count):
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
