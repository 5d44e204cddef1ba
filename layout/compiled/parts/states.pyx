

# -- the states: structs on the stack

cdef struct Words:
    i64 count
    u64 w[BIG]

#: STRUCTS


cdef inline i64 word_index(const Words* words, i64 i) except -1:
    if i < 0:
        i += words.count  # as Python's lists have it
    if not LIKELY(<u64>i < <u64>words.count):
        beyond()
    return i

cdef inline MaState* state_at(MaState* states, i64 i) noexcept:
    return states + i

cdef inline int state_assign(MaState* mas, const MaState* other) except -1:
    mas[0] = other[0]
    return 0

cdef inline int BigNode_clear(BigNode* bn) except -1:
    memset(bn.words.w, 0, bn.words.count * sizeof(u64))
    bn.b_end = 0
    bn.mt = 0
    return 0

cdef inline int BigNode_move(BigNode* bn, i64 base, i64 count, i64 shift) except -1:
    if count <= 0:
        return 0
    if base < 0 or shift < 0 or base + count + shift > bn.words.count:
        beyond()
    memmove(bn.words.w + base + shift, bn.words.w + base, count * sizeof(u64))
    return 0


cdef class State:
    """struct ma_state, as layout.tree.state.MaState has it. A watch may subclass it."""

    cdef MaState s

    def copy(self):
        """A state like this one."""
        cdef State new = State.__new__(State)
        new.s = self.s
        return new

    def assign(self, other):
        """``*self = *other``."""
        if isinstance(other, State):
            self.s = (<State>other).s
            return
        for name in self._plain().__dataclass_fields__:
            setattr(self, name, getattr(other, name))

    def reset(self):
        """mas_reset: start again from the root."""
        MaState_reset(&self.s)

    @staticmethod
    def _plain():
        """The Python class of such states."""
        #: PLAIN

        return Plain

    def __repr__(self):
        return self._plain().__repr__(self)

    #: PROPERTIES
