"""The gdb command ``maple-ranges``: the ranges of a maple tree.

``maple-ranges [TREE [CORE]]`` prints a line "first last entry" in hex for each range of the tree
whose struct maple_tree is at the hex address TREE. With CORE it first opens that core and the
types beside it, CORE.types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TREE = ""

LEAF, RANGE, ARANGE = 1, 2, 3


def ranges(gdb: Any, tree: int) -> Iterator[tuple[int, int, int]]:
    """First and last index, and entry, of each range that is not NULL, as bytes have it.

    Raises gdb.error for memory that can't be read, ValueError for a tree that is broken.
    """
    top = (1 << 8 * gdb.lookup_type("unsigned long").sizeof) - 1
    root = int(gdb.Value(tree).cast(gdb.lookup_type("struct maple_tree").pointer())["ma_root"])
    root &= top  # pointers of mips are signed to gdb
    if root & 3 != 2 or root < 4096:
        if root:
            yield 0, 0, root
        return
    todo, seen = [(root, 0, top)], set()
    while todo:
        word, low, high = todo.pop()
        if word & ~0xFF in seen:
            message = f"node {word & ~0xFF:x} is in the tree twice"
            raise ValueError(message)
        seen.add(word & ~0xFF)
        slots = [(a, b, slot & top) for a, b, slot in node_slots(gdb, word, low, high)]
        if word >> 3 & 15 == LEAF:
            yield from (slot for slot in slots if slot[2])
        else:
            todo += [(slot, first, last) for first, last, slot in reversed(slots)]


def node_slots(gdb: Any, word: int, low: int, high: int) -> list[tuple[int, int, int]]:
    """First and last index, and content, of each slot in use of the node that covers low to high.

    Raises gdb.error, ValueError.
    """
    address, kind = word & ~0xFF, word >> 3 & 15
    if kind not in (LEAF, RANGE, ARANGE):
        message = f"{word:x} points to no node"
        raise ValueError(message)
    node = gdb.Value(address).cast(gdb.lookup_type("struct maple_node").pointer())
    fields = node["ma64" if kind == ARANGE else "mr64"]
    pivots = [int(fields["pivot"][i]) for i in range(fields["pivot"].type.range()[1] + 1)]
    if kind == ARANGE or not pivots[-1]:
        end = int(fields["meta"]["end"])
    else:
        end = len(pivots) - (pivots[-1] == high)
    lasts = [*pivots[:end], high]
    if end > len(pivots) or lasts != sorted(set(lasts)) or lasts[0] < low:
        message = f"the pivots of node {address:x} are not in order"
        raise ValueError(message)
    firsts = [low, *(last + 1 for last in lasts)]
    return [(firsts[i], last, int(fields["slot"][i])) for i, last in enumerate(lasts)]


def define(gdb: Any) -> None:
    """Define the command."""

    class Ranges(gdb.Command):  # type: ignore[misc]
        """List the ranges of a maple tree: maple-ranges [TREE [CORE]], TREE a hex address."""

        def invoke(self, argument: str, _: bool) -> None:  # noqa: FBT001
            """Carry out the command."""
            tree, core = [*gdb.string_to_argv(argument), "", ""][:2]
            try:
                if core:
                    gdb.execute(f'file "{core}.types"', to_string=True)
                    gdb.execute(f"core-file {core}", to_string=True)
                for first, last, entry in ranges(gdb, int(tree or TREE, 16)):
                    print(f"{first:x} {last:x} {entry:x}")
            except (gdb.error, ValueError) as error:
                raise gdb.GdbError(str(error)) from None

    Ranges("maple-ranges", gdb.COMMAND_DATA)


if __name__ == "__main__":
    import gdb

    define(gdb)
