"""States of callers that remember what was done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.tree.state import MaState

if TYPE_CHECKING:
    from layout.watch.ledger import Reserve, Stored


class WatchedState(MaState):
    """A state with room for notes, which stay when the state is pointed elsewhere.

    ``stored`` is the last store through it, ``reserve`` the preallocation that it holds.
    """

    def __init__(self, tree: int, index: int, last: int, ulong_max: int) -> None:
        super().__init__(tree, index, last, ulong_max)
        self.stored: Stored | None = None
        self.reserve: Reserve | None = None
