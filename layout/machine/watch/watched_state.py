"""States of callers that record their origin and their use."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from layout.tree.kernel import Kernel
from layout.tree.state import MA_ACTIVE, MaState


class Stored(NamedTuple):
    """A store: its operation, its range, and the number of reads of its tree before it."""

    label: str
    tree: int
    bounds: tuple[int, int]
    reads: int


class Reserve(NamedTuple):
    """A preallocation: its operation, the number of nodes, and the store that it is for.

    ``ranges`` are those of the state before and after: the range of a NULL is widened. The entry is
    None if the nodes are for any number of stores.
    """

    label: str
    nodes: int
    ranges: tuple[tuple[int, int], tuple[int, int]]
    entry: int | None
    used: int = 0

    def is_for(self, bounds: tuple[int, int], entry: int) -> bool:
        """Whether this is the store, or one of those, that the nodes are for."""
        return self.entry is None or (bounds in self.ranges and entry == self.entry)


class Records:
    """What the ledger records of a state."""

    stored: Stored | None = None
    """The last store through it."""
    reserve: Reserve | None = None
    """The preallocation that it holds."""


class Onlooker(Protocol):
    """Who is told when a state gets a node, and of every look at it."""

    def bind(self, mas: WatchedState, enode: int) -> None:
        """The state's node is now this one."""

    def look(self, mas: WatchedState, enode: int) -> None:
        """The node of an active state is used."""


class WatchedState(Records, MaState):
    """A state with additional records.

    ``section`` is the read section in which it got its node, 0 for none. ``generation``
    is the node's at that time. ``sections`` gets a call for each read of ``node`` in an active
    state.
    """

    def __init__(self, tree: int, index: int, last: int, ulong_max: int) -> None:
        self.sections: Onlooker | None = None
        self.section = self.generation = self._enode = 0
        super().__init__(tree, index, last, ulong_max)

    @property
    def node(self) -> int:
        """The enode, or an error word."""
        if self.sections is not None and self.status == MA_ACTIVE:
            self.sections.look(self, self._enode)
        return self._enode

    @node.setter
    def node(self, enode: int) -> None:
        self._enode = enode
        if self.sections is not None:
            self.sections.bind(self, enode)

    def copy(self) -> MaState:
        """MaState.copy(): the same node and section, without the records of the ledger."""
        new = WatchedState(self.tree, self.index, self.last, 0)
        new.assign(self)
        return new

    def assign(self, other: MaState) -> None:
        """MaState.assign(), the section included."""
        super().assign(other)
        if isinstance(other, WatchedState):
            self.sections = other.sections
            self.section, self.generation = other.section, other.generation


class StateKernel(Kernel):
    """Kernel code that gives callers states with additional records."""

    def new_state(self, tree: int, index: int = 0, last: int | None = None) -> WatchedState:
        """Kernel.new_state(), with additional records."""
        return WatchedState(tree, index, index if last is None else last, self.ulong_max)
