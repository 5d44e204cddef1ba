

# -- notes for a ledger: layout/machine/watch/account.py counts, and says what it counts

cdef enum Noted:
    RESERVED, HANDED_OUT, REFUSED, USED, TAKEN_BACK

_NOTED = ("reserve", "hand_out", "refuse", "use", "take_back")  # methods of a Ledger

cdef struct Span:
    u64 first, behind

cdef struct Note:
    Noted what
    u64 number  # a node's address, or how many

cdef enum:
    AT_ONCE = 1 << 12  # spans that are handed over
    LATELY = 8  # spans that others are added to

cdef int note_span(Core k, u64 address, i64 width) except -1:
    """Note bytes that are written to; where they touch a late span, as one with it."""
    cdef Span* late
    cdef i64 i
    if width <= 0:
        return 0
    for i in range(k.span_count - 1, max_int(k.span_count - LATELY, 0) - 1, -1):
        late = &k.spans[i]
        if address <= late.behind and late.first <= address + width:
            late.first = min_word(late.first, address)
            late.behind = max_word(late.behind, address + width)
            return 0
    k.spans = <Span*>grown(k.spans, &k.span_room, k.span_count + 1, sizeof(Span))
    k.spans[k.span_count].first = address
    k.spans[k.span_count].behind = address + width
    k.span_count += 1
    return 0

cdef int note(Core k, Noted what, u64 number) except -1:
    k.notes = <Note*>grown(k.notes, &k.note_room, k.note_count + 1, sizeof(Note))
    k.notes[k.note_count].what = what
    k.notes[k.note_count].number = number
    k.note_count += 1
    return 0

cdef list take_spans(Core k):
    cdef i64 i, kept = max_int(k.span_count - AT_ONCE, 0)
    spans = []
    for i in range(kept, k.span_count):
        spans.append((k.spans[i].first, k.spans[i].behind))
    k.span_count = kept
    return spans

cdef list take_notes(Core k):
    cdef i64 i
    notes = []
    for i in range(k.note_count):
        notes.append((_NOTED[k.notes[i].what], k.notes[i].number))
    k.note_count = 0
    return notes

cdef int mas_alloc_nodes(Core k, MaState* mas, i64 gfp) except -1:
    """What it gets is in reserve until it is taken."""
    k.reserving = True
    try:
        plain_mas_alloc_nodes(k, mas, gfp)
    finally:
        k.reserving = False
    return 0

cdef u64 mas_pop_node(Core k, MaState* mas) except? 0xDEAD0BAD0BAD0BAD:
    cdef u64 node = plain_mas_pop_node(k, mas)
    if k.noting:
        note(k, USED, node)
    return node
