"""Where ma_flags lies in struct maple_tree: memory says nothing of a kernel's configuration.

It follows from what the caller knows, or from which word's height agrees with the tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from layout.images.decode import measure_height
from layout.images.image import require_tree
from layout.images.nodeastree import FLAGS, doubt, refuse_node
from layout.memory import structs
from layout.memory.errors import MachineFault, UsageError
from layout.memory.pointers import mt_height

if TYPE_CHECKING:
    from collections.abc import Callable

    from arches import Arch
    from layout.memory.node import NodeMemory
    from layout.memory.structs import Profile

    M = TypeVar("M", bound=NodeMemory)


class Known(NamedTuple):
    """What a caller knows of the kernel: a version, and one of lock size and configuration."""

    kernel: str | None = None
    lock_size: int | None = None
    config: str | None = None


class _Candidate(NamedTuple):
    """One place where ma_flags may lie: ``height`` is the tree's, None if not known."""

    memory: NodeMemory
    offset: int
    flags: int
    height: int | None
    plausible: bool

    @property
    def fits(self) -> bool:
        """Whether the flags have the tree's height."""
        return self.height == mt_height(self.flags)


def layout_versions(kernel: str) -> tuple[str, ...]:
    """The versions whose layouts a kernel's may be, likeliest first.

    Nodes are laid out alike in all of them; struct maple_tree is not between 6.1 and 6.12. A
    version without a layout of its own has that of the last one before it. Raises UsageError
    for what is no version, or is older than maple trees.
    """
    number = tuple(
        map(int, (structs.short_version(kernel.strip().removeprefix("v")) or "0.0").split("."))
    )
    known = [(tuple(map(int, version.split("."))), version) for version in structs.VERSIONS]
    older = [version for at, version in known if at <= number]
    if not older:
        message = f"kernel version {kernel[:40]!r} is not known: choose one of " + ", ".join(
            structs.VERSIONS
        )
        raise UsageError(message)
    if older[-1] == structs.VERSIONS[0] and number != known[0][0]:
        return (structs.VERSIONS[1], structs.VERSIONS[0])
    return (older[-1],)


def profiles(machine: Arch, known: Known) -> list[Profile]:
    """What the kernel may have been, likeliest first. Raises UsageError for one not known."""
    if known == Known():
        pairs = [("6.12", 4), ("6.12", 0), ("6.1", 4)]
        return [structs.profile(machine, version, size) for version, size in pairs]
    versions = ("6.12", "6.1") if known.kernel is None else layout_versions(known.kernel)
    if known.config is not None:
        return [structs.profile(machine, version, config=known.config) for version in versions]
    sizes = (4, 0) if known.lock_size is None else (known.lock_size,)
    return [structs.profile(machine, version, size) for version in versions for size in sizes]


def choose(memories: list[M], tree: int, source: str) -> tuple[M, str]:
    """The memory with the likeliest struct maple_tree, and a line that says why.

    Raises InputError where none can be read, UsageError where ``tree`` is a node.
    """
    refuse_node(memories, tree, source)
    candidates = []
    for memory in memories:
        try:
            flags, root = memory.ma_flags(tree), memory.ma_root(tree)
        except MachineFault:
            continue
        offset = memory.profile.layout("maple_tree").offset("ma_flags")
        height = measure_height(memory, root)
        candidates.append(_Candidate(memory, offset, flags, height, not flags & ~FLAGS))
    require_tree(candidates[0].memory if candidates else memories[0], tree, source)
    best = min(candidates, key=lambda c: (not c.fits, not c.plausible))  # the first of equals
    chosen = next(memory for memory in memories if memory is best.memory)
    unlikely = doubt(chosen, tree)
    if unlikely:
        return chosen, unlikely
    says = f"ma_flags taken at offset {best.offset} of struct maple_tree ({best.flags:x}): "
    if len(memories) == 1:
        return chosen, says + "as the options say"
    if best.height is None:
        why = "the tree's height could not be measured, as no leaf below its root can be read"
        return chosen, says + why
    if not best.fits:
        why = "no place agrees with the tree's height, give --kernel and --config"
        return chosen, says + why
    why = f"its height, {mt_height(best.flags)}, is the tree's"
    others = [c for c in candidates if c.fits and c.plausible and c.flags != best.flags]
    if others:
        offsets = " and ".join(str(c.offset) for c in others)
        why += f" (offset {offsets} would fit too: give --kernel and --config)"
    return chosen, says + why


def find_struct(
    make: Callable[[Profile], M], machine: Arch, tree: int, source: str, known: Known
) -> tuple[M, str]:
    """Memory made by ``make`` of the likeliest profile, as choose() has it."""
    return choose([make(profile) for profile in profiles(machine, known)], tree, source)
