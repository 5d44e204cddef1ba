

# -- the transcript, as bytes

cdef enum:
    ENOUGH = 1 << 18  # bytes after which the transcript is handed over

cdef struct Out:
    char* bytes
    i64 used, room

cdef int _room(Out* out, i64 count) except -1:
    """See that ``count`` bytes more have room."""
    out.bytes = <char*>grown(out.bytes, &out.room, max_int(out.used + count, ENOUGH + 4096), 1)
    return 0

cdef inline int put_text(Out* out, const char* text) except -1:
    cdef i64 count = strlen(text)
    if out.used + count > out.room:
        _room(out, count)
    memcpy(out.bytes + out.used, text, count)
    out.used += count
    return 0

cdef int put_digits(Out* out, u64 value) except -1:
    """A number in hex."""
    cdef char digits[16]
    cdef i64 at = 16
    cdef u8 digit
    while True:
        digit = value & 15
        at -= 1
        digits[at] = digit + 48 if digit < 10 else digit + 87
        value >>= 4
        if not value:
            break
    if out.used + 16 > out.room:
        _room(out, 16)
    memcpy(out.bytes + out.used, digits + at, 16 - at)
    out.used += 16 - at
    return 0

cdef inline int put_hex(Out* out, const char* key, u64 value) except -1:
    put_text(out, key)
    put_digits(out, value)
    put_text(out, b'"')
    return 0

cdef int put_number(Out* out, const char* key, i64 value) except -1:
    """A number in decimal."""
    cdef char digits[20]
    cdef i64 at = 20
    cdef u64 left = <u64>value if value >= 0 else <u64>(-value)
    put_text(out, key)
    while True:
        at -= 1
        digits[at] = left % 10 + 48
        left //= 10
        if not left:
            break
    if value < 0:
        at -= 1
        digits[at] = 45
    if out.used + 20 > out.room:
        _room(out, 20)
    memcpy(out.bytes + out.used, digits + at, 20 - at)
    out.used += 20 - at
    return 0
