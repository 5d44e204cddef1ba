"""What a judge of answers asks of the trees beside them."""

from __future__ import annotations

from typing import Protocol


class Witness(Protocol):
    """What a judge asks of the kernel beside its answers, of the tree with a number."""

    def root(self, number: int) -> int:
        """The root word before the operation."""
        ...

    def flags(self, number: int) -> int:
        """ma_flags before the operation."""
        ...

    def first_end(self, number: int) -> int:
        """The last index of the first slot of a root that is a node."""
        ...

    def entry_at(self, number: int, index: int) -> int:
        """The entry there after the operation."""
        ...

    def cursor(self) -> tuple[str, int, int] | None:
        """Status, index and last of the cursor before the operation, if they are known."""
        ...
