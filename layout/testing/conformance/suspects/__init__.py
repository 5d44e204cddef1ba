"""Readers with one mistake each, whose output is compared with that of a failing reader.

Each class changes one step of the correct reader. ``CAUSE`` describes the mistake. Several variants
of one mistake have the same cause.
"""

from __future__ import annotations

from layout.testing.conformance.suspects import ends, entries, indexes, layouts
from layout.testing.conformance.walker import Reader

SUSPECTS: tuple[type[Reader], ...] = tuple(
    found
    for module in (ends, indexes, entries, layouts)
    for name, found in vars(module).items()
    if isinstance(found, type) and issubclass(found, Reader)
    if found.CAUSE and not name.startswith("_")
)
"""All readers that are wrong, the commoner mistakes first."""
