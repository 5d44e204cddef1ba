"""The rules for a valid tree, and the record of one violation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """The rules of a whole tree; each value names the rule in reports."""

    TREE_READABLE = "tree readable"
    """struct maple_tree lies in memory."""
    TREE_FLAGS = "tree flags"
    """ma_flags has no bits but those that the kernel defines."""
    TREE_HEIGHT = "tree height"
    """The height in ma_flags is the tree's: 0 without nodes."""
    NODE_WORD = "node word"
    """The low byte of a word that points to a node is type << 3 | 4, in ma_root also | 2."""
    NODE_TYPE = "node type"
    """Leaves are leaf_64; above them are arange_64 with MT_FLAGS_ALLOC_RANGE, else range_64."""
    NODE_READABLE = "node readable"
    """All bytes of a node lie in memory."""
    NODE_ONCE = "node reached once"
    """No node is reached twice: there are no cycles, and no node has two parents."""
    LEAF_DEPTH = "leaf depth"
    """All leaves are as deep as the tree is high."""
    PARENT_WORD = "parent word"
    """The parent word is node | slot << 3 | 6, of the root tree | 1."""
    LIVE_NODE = "live node"
    """No reachable node is dead, its parent word pointing to itself."""
    PIVOT_ORDER = "pivot order"
    """The pivots in use ascend, and leave each slot at least one index of the node's range."""
    PIVOT_PRESENT = "pivot present"
    """No pivot in use above slot 0 is 0."""
    LAST_PIVOT = "last pivot"
    """The last pivot in use is the last index of the node; a full node has none."""
    DATA_END = "data end"
    """The metadata's end is the last slot in use."""
    UNUSED_PIVOT = "unused pivot"
    """Pivots behind the data end are 0."""
    UNUSED_SLOT = "unused slot"
    """Slots behind the data end are 0; the last word may be metadata."""
    UNUSED_GAP = "unused gap"
    """Gaps behind the data end are 0."""
    UNUSED_BYTES = "unused bytes"
    """Bytes that no field uses, those beside the metadata, are 0."""
    METADATA_GAP = "metadata gap"
    """The metadata's gap is an offset of the largest gap; 0 where a node has no gaps."""
    GAP = "gap"
    """A gap of an arange_64 node is the size of the largest NULL range below its slot."""
    CHILD_PRESENT = "child present"
    """No slot in use above the leaves is NULL."""
    NULL_RUN = "null run"
    """No two NULL ranges follow one another, in one leaf or across two."""
    NULL_AT_END = "null at end"
    """No leaf but the last ends with NULL."""
    MINIMUM_FILL = "minimum fill"
    """The data end is at least mt_min_slots, but for the last node of each level."""
    RESERVED_ENTRY = "reserved entry"
    """No entry is one that mtree_store() refuses: low bits 10, up to 402."""
    TOO_MANY = "too many violations"
    """The walk was given up."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that is broken at one byte."""

    node: int
    """The address of the node, or of the struct maple_tree."""
    offset: int
    """The byte in it."""
    rule: Rule
    """The rule."""
    expected: str
    """What should be there. Numbers are hex; slot numbers and heights are decimal."""
    actual: str
    """What is there, written in the same way."""
    kernel_check: str = ""
    """The function of lib/maple_tree.c (6.12) whose check would fail.

    It is empty if mt_validate() would find nothing.
    """
    cause: str = ""
    """The likely cause; empty if none is recognisable."""

    def as_json(self) -> dict[str, str | int]:
        """The violation as JSON has it: the address is a hex string, the offset in bytes."""
        return {
            "node": f"{self.node:x}",
            "offset": self.offset,
            "rule": str(self.rule),
            "expected": self.expected,
            "actual": self.actual,
            "kernel_check": self.kernel_check,
            "cause": self.cause,
        }

    def __str__(self) -> str:
        text = f"{self.node:x}+{self.offset} {self.rule}: expected {self.expected}, "
        text += f"found {self.actual}"
        if self.kernel_check:
            text += f" [{self.kernel_check}]"
        return f"{text}: {self.cause}" if self.cause else text


@dataclass(slots=True)
class Report:
    """What the validator found in a tree."""

    violations: list[Violation]
    """The violations, in the order of the walk."""
    nodes: int
    """How many nodes were visited."""
    height: int
    """The height of the tree, in nodes."""

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.violations

    def as_json(self) -> dict[str, object]:
        """The report as ``validate --json`` prints it."""
        return {"valid": self.valid, "violations": [v.as_json() for v in self.violations]}
