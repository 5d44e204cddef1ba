

# -- lines of a trace: those of the operations that long traces are made of
#
# layout/traces/trace.py and runner.py say what they mean; every other line is left to them.

cdef enum Op:
    OTHER, STORE, STORENW, MSTORE, INSERT, ERASE, LOAD, FIND, FIND_AFTER, NEXT, PREV, WALK
    EMPTY_AREA, EMPTY_AREA_REV, ALLOC_RANGE, ALLOC_RRANGE, ITER

cdef enum:
    OPERATIONS = 16
    LONGEST_LINE = 1 << 16

cdef struct Known:
    const char* name
    i64 length
    i64 arguments
    Op op

cdef Known KNOWN[OPERATIONS]
_KNOWN = (
    (b"store", 3, STORE),
    (b"storenw", 3, STORENW),
    (b"mstore", 3, MSTORE),
    (b"insert", 3, INSERT),
    (b"erase", 1, ERASE),
    (b"load", 1, LOAD),
    (b"find", 2, FIND),
    (b"find_after", 2, FIND_AFTER),
    (b"next", 2, NEXT),
    (b"prev", 2, PREV),
    (b"walk", 1, WALK),
    (b"empty_area", 3, EMPTY_AREA),
    (b"empty_area_rev", 3, EMPTY_AREA_REV),
    (b"alloc_range", 4, ALLOC_RANGE),
    (b"alloc_rrange", 4, ALLOC_RRANGE),
    (b"iter", 2, ITER),
)
cdef int _know() except -1:
    cdef i64 i
    for i in range(OPERATIONS):
        name, arguments, op = _KNOWN[i]
        KNOWN[i].name = name
        KNOWN[i].length = len(name)
        KNOWN[i].arguments = arguments
        KNOWN[i].op = op
    return 0
_know()


cdef struct Line:
    i64 start, name, end  # where the line begins, where its first word does, and the line's end
    const Known* known  # NULL where the word is no operation of KNOWN
    bint empty  # nothing but blanks, or a comment

cdef inline bint _blank(u8 c) noexcept:
    return c == 32 or c == 9 or c == 13

cdef Line next_line(const u8* text, i64 at, i64 size) noexcept:
    """The line that starts at ``at``; the next one starts at ``end + 1``."""
    cdef Line line
    cdef i64 i
    line.start = line.end = at
    while line.end < size and text[line.end] != 10:
        line.end += 1
    while at < line.end and _blank(text[at]):
        at += 1
    line.name = at
    line.empty = at == line.end or text[at] == 35
    line.known = NULL
    while at < line.end and (97 <= text[at] <= 122 or text[at] == 95):
        at += 1
    for i in range(OPERATIONS):
        if (
            KNOWN[i].length == at - line.name
            and memcmp(KNOWN[i].name, text + line.name, at - line.name) == 0
        ):
            line.known = &KNOWN[i]
            break
    return line

cdef bint arguments(const u8* text, const Line* line, u64 largest, u64* args) noexcept:
    """Whether the line has as many arguments as its operation takes, numbers up to ``largest``."""
    cdef i64 at = line.name + line.known.length, start, count = 0, digits
    cdef u64 value
    cdef u8 c
    if line.end - line.start > LONGEST_LINE:
        return False
    while True:
        start = at
        while at < line.end and _blank(text[at]):
            at += 1
        if at == line.end:
            return count == line.known.arguments
        if at == start or count == line.known.arguments:
            return False
        value = 0
        digits = 0
        while at < line.end:
            c = text[at]
            if 48 <= c <= 57:
                c -= 48
            elif 97 <= c <= 102:
                c -= 87
            elif 65 <= c <= 70:
                c -= 55
            else:
                break
            value = value << 4 | c
            digits += 1
            at += 1
        if digits == 0 or digits > 16 or value > largest:
            return False
        args[count] = value
        count += 1

cdef bint plain_init(const u8* text, const Line* line) noexcept:
    """Whether a line is "init 0" or "init 1": a tree that is not in RCU mode."""
    if line.end - line.name != 6 or memcmp(text + line.name, b"init ", 5):
        return False
    return text[line.end - 1] == 48 or text[line.end - 1] == 49
