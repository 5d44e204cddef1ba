"""Creates a machine with watches and with replaced operations.

The plain code does not import checks or defects. They are subclasses. Their order is, outermost
first:

1. the watches (see :mod:`layout.machine.watch.watch`), in the order given,
2. the kernels given: defects, in this order,
3. the plain kernel.

So a watch observes the effects of a defect. A defect that calls ``super()`` calls the next defect
or the correct code. Watches also subclass memory, node cache and machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import arches
from layout.machine.machine import Machine
from layout.memory.node import NodeMemory
from layout.memory.slab import NodeCache
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arches import Arch
    from layout.machine.watch.watch import Watch

T = TypeVar("T")


def equip(
    arch: str | Arch,
    *,
    kernels: Sequence[type[Kernel]] = (),
    watch: Sequence[Watch] = (),
    reuse_nodes: bool = False,
    in_python: bool = False,
) -> Machine:
    """A machine on which these classes stand in front of the plain code.

    ``kernels`` replace operations: :func:`layout.defects.operations` gives those of defects.
    ``in_python`` is Machine's. Raises UnknownArchError.

    >>> from layout import defects
    >>> machine = equip("s390x", kernels=defects.operations(["R1"]))
    >>> [layer.__name__ for layer in type(machine.kernel).__mro__[:4]]
    ['Kernel', 'OldNext', 'Next2022', 'Kernel']
    """
    found = arches.get(arch) if isinstance(arch, str) else arch
    machine = in_front(Machine, [each.machine for each in watch])
    return machine(
        found,
        in_front(NodeMemory, [each.memory for each in watch]),
        in_front(Kernel, [*(each.kernel for each in watch), *kernels]),
        cache=in_front(NodeCache, [each.cache for each in watch]),
        reuse_nodes=reuse_nodes,
        in_python=in_python,
    )


def in_front(plain: type[T], layers: Sequence[type[T]]) -> type[T]:
    """One class of ``layers``, the first one outermost, with ``plain`` behind them."""
    wanted = tuple(layer for layer in dict.fromkeys(layers) if layer is not plain)
    return type(plain.__name__, (*wanted, plain), {}) if wanted else plain
