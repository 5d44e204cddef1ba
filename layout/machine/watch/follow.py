"""Words that were read although they look wrong, followed to where they are used.

A followed word is a number that remembers how it was read; what is computed from it is followed
as well. Using it as an address, or as an index of a field, storing it into memory, freeing it and
handing it to the kernel's caller are uses. A branch is none: what a function does after it has
tested the word is right if the condition of its peek is.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from layout.memory.node import NodeMemory
from layout.memory.slab import NodeCache
from layout.tree.kernel import Kernel
from layout.tree.state import MaState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from layout.memory.node import Pivots


class Followed(int):
    """A word read under a peek, or a number made of one; ``origin`` tells how it was read."""

    origin: Any

    @classmethod
    def of(cls, value: int, origin: Any) -> Followed:
        """The number, with where it comes from."""
        number = cls(value)
        number.origin = origin
        return number


def _computed(name: str) -> Callable[..., Any]:
    plain = getattr(int, name)

    @functools.wraps(plain)
    def operator(self: Followed, *others: int) -> Any:
        result = plain(self, *others)
        return result if result is NotImplemented else Followed.of(result, self.origin)

    return operator


_ONE = ("invert", "neg")
_TWO = ("add", "sub", "mul", "floordiv", "mod", "and", "or", "xor", "lshift", "rshift")
for _name in (*_ONE, *_TWO, *(f"r{name}" for name in _TWO)):
    setattr(Followed, f"__{_name}__", _computed(f"__{_name}__"))


class FollowingMemory(NodeMemory):
    """Memory that tells :meth:`used` where followed words are addresses, or are stored."""

    def used(self, word: int, how: str) -> int:
        """A followed word is used; returns it as a plain number."""
        raise NotImplementedError

    def _kept(self, values: Sequence[int]) -> None:
        for value in values:
            if type(value) is not int:
                self.used(value, _STORED)

    def pivots(self, node: int, mt: int, count: int) -> Pivots:  # noqa: D102
        if type(node) is not int:
            node = self.used(node, _ADDRESS)
        return super().pivots(node, mt, count)

    def slots(self, node: int, mt: int, count: int) -> Pivots:  # noqa: D102
        if type(node) is not int:
            node = self.used(node, _ADDRESS)
        return super().slots(node, mt, count)

    def read_word(self, address: int, doing: str = "a word") -> int:  # noqa: D102
        if type(address) is not int:
            address = self.used(address, _ADDRESS)
        return super().read_word(address, doing)

    def read_words(self, address: int, count: int, doing: str = "words") -> tuple[int, ...]:  # noqa: D102
        if type(address) is not int:
            address = self.used(address, _ADDRESS)
        return super().read_words(address, count, doing)

    def read_u32(self, address: int, doing: str = "an int") -> int:  # noqa: D102
        if type(address) is not int:
            address = self.used(address, _ADDRESS)
        return super().read_u32(address, doing)

    def read_u8(self, address: int, doing: str = "a byte") -> int:  # noqa: D102
        if type(address) is not int:
            address = self.used(address, _ADDRESS)
        return super().read_u8(address, doing)

    def write_word(self, address: int, value: int, doing: str = "a word") -> None:  # noqa: D102
        if type(address) is not int:
            address = self.used(address, _ADDRESS)
        if type(value) is not int:
            value = self.used(value, _STORED)
        super().write_word(address, value, doing)

    def write_words(self, address: int, values: Sequence[int], doing: str = "words") -> None:  # noqa: D102
        if type(address) is not int:
            address = self.used(address, _ADDRESS)
        self._kept(values)
        super().write_words(address, values, doing)

    def write_u32(self, address: int, value: int, doing: str = "an int") -> None:  # noqa: D102
        if type(address) is not int:
            address = self.used(address, _ADDRESS)
        if type(value) is not int:
            value = self.used(value, _STORED)
        super().write_u32(address, value, doing)

    def write_u8(self, address: int, value: int, doing: str = "a byte") -> None:  # noqa: D102
        if type(address) is not int:
            address = self.used(address, _ADDRESS)
        if type(value) is not int:
            value = self.used(value, _STORED)
        super().write_u8(address, value, doing)

    def write(self, address: int, data: bytes, doing: str = "bytes", *, align: int = 1) -> None:  # noqa: D102
        if type(address) is not int:
            address = self.used(address, _ADDRESS)
        super().write(address, data, doing, align=align)


class FollowingCache(NodeCache):
    """A node cache that tells its memory where followed words are freed."""

    mem: FollowingMemory

    def free(self, node: int) -> None:
        """NodeCache.free(), looked at."""
        if type(node) is not int:
            node = self.mem.used(node, "freed")
        super().free(node)


class FollowingKernel(Kernel):
    """Kernel code that tells its memory where followed words are handed to its callers.

    The calls at the end of this module are wrapped; what they return to kernel code is followed
    on.
    """

    mem: FollowingMemory
    _calling = False


_ADDRESS, _STORED = "used as an address", "stored"
_FIELDS = ("index", "last", "node", "min", "max", "offset", "end")
_CALLS = (
    *("mtree_load", "mtree_erase", "mtree_alloc_range", "mtree_alloc_rrange"),
    *("mtree_alloc_cyclic", "mt_find", "mt_find_after", "mt_next", "mt_prev", "mas_walk"),
    *("mas_find", "mas_find_range", "mas_find_rev", "mas_find_range_rev"),
    *("mas_next", "mas_next_range", "mas_prev", "mas_prev_range"),
    *("mas_empty_area", "mas_empty_area_rev", "mas_store", "mas_erase", "mas_insert"),
    *("mas_store_gfp", "mas_store_prealloc", "mas_preallocate"),
)


def _results(result: Any, args: tuple[Any, ...]) -> list[Any]:
    """All numbers that a call hands to its caller: its result, and its state's fields."""
    numbers = [*result] if isinstance(result, tuple) else [result]
    for arg in args:
        if isinstance(arg, MaState):
            numbers += [getattr(arg, name) for name in _FIELDS]
    return numbers


def _wrap(name: str) -> None:
    @functools.wraps(getattr(Kernel, name))
    def outermost(self: FollowingKernel, *args: Any, **options: Any) -> Any:
        call = getattr(super(FollowingKernel, self), name)
        if self._calling:
            return call(*args, **options)
        self._calling = True
        try:
            result = call(*args, **options)
            for number in _results(result, args):
                if type(number) is Followed:
                    self.mem.used(number, f"returned by {name}")
            return result
        finally:
            self._calling = False

    setattr(FollowingKernel, name, outermost)


for _call in _CALLS:
    _wrap(_call)
