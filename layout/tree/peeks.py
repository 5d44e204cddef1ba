"""Accesses that look wrong and are right: words the kernel reads first and judges afterwards.

Such a peek is declared on the function that makes it, with its reason and with the condition under
which the reason is true. The declaration changes nothing but a table. An access checker consults
it: at every such access it asks for the condition, and it follows what was read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from layout.memory.pointers import Word, mte_node_type, mte_to_node

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from layout.memory.node import NodeMemory

    F = TypeVar("F", bound="Callable[..., object]")


class Access(Protocol):
    """One access that looks wrong, for a condition to judge."""

    @property
    def mem(self) -> NodeMemory:
        """The memory."""

    @property
    def node(self) -> Word:
        """The node's address."""

    @property
    def offset(self) -> int:
        """The first byte in the node that looks wrong."""

    @property
    def value(self) -> Word:
        """The word that was read; 0 for a write."""

    @property
    def own(self) -> bool:
        """Whether the running operation wrote there last."""

    @property
    def killed(self) -> bool:
        """Whether the running operation marked the node dead."""

    @property
    def destroyed(self) -> bool:
        """Whether mt_destroy_walk() left the node's type in it."""


class Peek(NamedTuple):
    """What a function may do although it looks wrong: when, and why that is right."""

    holds: Callable[[Access], bool]
    why: str


PEEKS: dict[CodeType, dict[str, Peek]] = {}
"""What each function may read although it is something else: kind of report to peek."""


def peeks(*kinds: str, holds: Callable[[Access], bool], why: str) -> Callable[[F], F]:
    """Declare that the function's own accesses may be of these ``kinds`` of report.

    ``holds`` is the condition, ``why`` the reason. A function that replaces the declared one, as
    one with a defect does, is not exempt.
    """

    def declare(function: F) -> F:
        PEEKS.setdefault(function.__code__, {}).update(dict.fromkeys(kinds, Peek(holds, why)))
        return function

    return declare


# -- conditions


def is_zero(access: Access) -> bool:
    """The word is 0."""
    return access.value == 0


def is_no_child(access: Access) -> bool:
    """The word has no address, or type 0: nobody takes it for a node."""
    return not (mte_to_node(access.value) and mte_node_type(access.value))


def is_unused(access: Access) -> bool:
    """The word is shown or dropped. No value is wrong; any use of it is."""
    return True


def ends_chain(access: Access) -> bool:
    """The node is the last of a chain of struct maple_alloc: it holds no other."""
    return access.mem.alloc_count(access.node) == 0


def is_behind_last_slot(access: Access) -> bool:
    """The word is where the slots begin: the pivot of a slot that no node of the type has."""
    return access.offset in access.mem.slot_offset


def is_own(access: Access) -> bool:
    """What is overwritten was written by the same operation."""
    return access.own


def is_own_kill(access: Access) -> bool:
    """The running operation has marked the node dead, so nobody replaces or frees it meanwhile."""
    return access.killed


def is_destroyed(access: Access) -> bool:
    """mt_destroy_walk() has prepared the node for mt_free_walk()."""
    return access.destroyed
