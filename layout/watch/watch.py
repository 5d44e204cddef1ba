"""A watch: classes that stand in front of a machine's parts and take notes."""

from __future__ import annotations

from dataclasses import dataclass

from layout.machine import Machine
from layout.node import NodeMemory
from layout.slab import NodeCache
from layout.tree.kernel import Kernel


@dataclass(frozen=True, slots=True)
class Watch:
    """What watches one thing: for each part of a machine a class that calls ``super()``.

    Several watches together are one class for each part, so constructors pass on all arguments.
    """

    machine: type[Machine] = Machine
    memory: type[NodeMemory] = NodeMemory
    cache: type[NodeCache] = NodeCache
    kernel: type[Kernel] = Kernel
