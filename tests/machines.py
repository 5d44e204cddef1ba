"""What tests share: the machines that most run on, and the types of nodes."""

from arches import THREE
from layout.memory.pointers import ARANGE_64 as ARANGE
from layout.memory.pointers import LEAF_64 as LEAF
from layout.memory.pointers import RANGE_64 as RANGE

__all__ = ["ARANGE", "LEAF", "RANGE", "THREE"]
