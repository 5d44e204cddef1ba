"""A reader in small steps. Each wrong reader replaces one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from layout.memory.errors import MachineFault
from layout.memory.node import PIVOT
from layout.memory.nodeview import end_by_pivot
from layout.memory.pointers import (
    ARANGE_64,
    LEAF_64,
    MAPLE_HEIGHT_MAX,
    NODE_MASK,
    RANGE_64,
    RESERVED_RANGE,
    mte_node_type,
)

if TYPE_CHECKING:
    from layout.images.image import Image
    from layout.memory.node import Words

Found = tuple[int, int, int]


class Lost(Exception):  # noqa: N818 - where a reader ends up, not an error of this program
    """The reader followed a pointer to where there is no node."""


class Reader:
    """A correct reader: walks down from the root, slot by slot.

    ``found`` collects the ranges; ``crashed`` is set if it followed an invalid pointer.
    """

    CAUSE: ClassVar[str] = ""

    def __init__(self, image: Image) -> None:
        self.mem = image.memory
        self.tree = image.tree
        self.order = image.arch.byteorder
        self.bits = 8 * image.arch.word_size
        self.top = image.arch.ulong_max
        self.sizes = image.profile.sizes
        self.found: list[Found] = []
        self.crashed = False

    def run(self) -> list[Found]:
        """The ranges that this reader finds, up to where it crashed."""
        try:
            self.start()
        except (MachineFault, Lost):
            self.crashed = True
        return self.found

    # -- the steps, each of which a subclass may get wrong

    def root(self) -> int:
        """The word ma_root."""
        return self.mem.ma_root(self.tree)

    def start(self) -> None:
        """Look at the root."""
        root = self.root()
        if root & 3 == 2 and root > RESERVED_RANGE:
            self.node(root, 0, self.top, 1)
        elif root:
            self.single(root)

    def single(self, root: int) -> None:
        """A root that is an entry."""
        self.entry(0, 0, root)

    def words(self, address: int, mt: int) -> Words:
        """The words of a node."""
        return self.mem.read_node(address, mt)

    def address(self, word: int) -> int:
        """The node that a word points to."""
        return word & ~NODE_MASK

    def type(self, word: int) -> int:
        """The type of the node that a word points to."""
        return mte_node_type(word)

    def pivot(self, words: Words, mt: int, i: int, high: int) -> int:
        """The last index of slot ``i``."""
        return words[PIVOT + i] if i < self.sizes.pivots[mt] else high

    def slot(self, words: Words, mt: int, i: int) -> int:
        """What is in slot ``i``."""
        return words[self.mem.slot0[mt] + i]

    def meta_end(self, words: Words, mt: int) -> int:
        """The metadata's end, wherever there is room for one."""
        at = self.mem.meta_offset[mt]
        word = words[at // self.mem.word_size].to_bytes(self.mem.word_size, self.order)
        return word[at % self.mem.word_size]

    def end(self, words: Words, mt: int, high: int) -> int:
        """The last slot in use."""
        by_pivot = end_by_pivot(self.mem, words, mt, high)
        return self.meta_end(words, mt) if by_pivot is None else by_pivot

    def last_slot(self, words: Words, mt: int, high: int) -> int:
        """The last slot to visit."""
        return self.end(words, mt, high)

    def node(self, word: int, low: int, high: int, level: int) -> None:
        """Visit a node that covers ``low`` to ``high``."""
        mt = self.type(word)
        if mt not in (LEAF_64, RANGE_64, ARANGE_64) or level > MAPLE_HEIGHT_MAX + 1:
            raise Lost
        words = self.words(self.address(word), mt)
        last_slot = self.last_slot(words, mt, high)
        if last_slot >= self.sizes.slots[mt]:
            raise Lost
        self.slots(words, mt, low, high, last_slot, level)

    def slots(  # noqa: PLR0913 - a node, and where the walk is
        self, words: Words, mt: int, low: int, high: int, last_slot: int, level: int
    ) -> None:
        """Visit the slots of a node up to ``last_slot``."""
        first = low
        for i in range(last_slot + 1):
            last = self.last(words, mt, i, last_slot, high)
            if not self.goes_on(first, last, high, i):
                break
            if self.wants(first, last, i):
                self.visit(self.slot(words, mt, i), mt, first, last, level)
            first = self.following(first, last)

    def last(self, words: Words, mt: int, i: int, last_slot: int, high: int) -> int:
        """The last index of a slot in use."""
        return high if i == last_slot else self.pivot(words, mt, i, high)

    def goes_on(self, first: int, last: int, high: int, i: int) -> bool:
        """Whether slot ``i``, and what follows it, is visited."""
        return True

    def wants(self, first: int, last: int, i: int) -> bool:
        """Whether slot ``i`` is visited."""
        return True

    def following(self, first: int, last: int) -> int:
        """Where the next slot starts."""
        return last + 1

    def visit(self, word: int, mt: int, first: int, last: int, level: int) -> None:
        """A slot: an entry of a leaf, or a child."""
        if mt == LEAF_64:
            if word:
                self.entry(first, last, word)
        else:
            self.node(word, first, last, level + 1)

    def entry(self, first: int, last: int, entry: int) -> None:
        """A range that holds something."""
        self.found.append((first, last, entry))

    def signed(self, value: int) -> int:
        """A word as a signed number."""
        return value - (1 << self.bits) if value >> self.bits - 1 else value
