"""Creates a machine with watches and with replaced operations.

The plain code does not import checks or defects. They are subclasses. Their order is, outermost
first:

1. the watches (see :mod:`layout.machine.watch.watch`), in the order given,
2. the kernels given: defects, in this order,
3. the plain kernel of the version asked for.

So a watch observes the effects of a defect. A defect that calls ``super()`` calls the next defect
or the correct code. Watches also subclass memory, node cache and machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import arches
from layout import compiled
from layout.machine.machine import Machine
from layout.memory.node import NodeMemory
from layout.memory.quick import QuickReads, looks_at_reads
from layout.memory.slab import NodeCache
from layout.memory.structs import DEFAULT_VERSION
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arches import Arch
    from layout.machine.machine import Compiled
    from layout.machine.watch.watch import Watch
    from layout.tree.kernel import Kernel

T = TypeVar("T")


def equip(  # noqa: PLR0913 - what a machine is made of
    arch: str | Arch,
    *,
    kernels: Sequence[type[Kernel]] = (),
    watch: Sequence[Watch] = (),
    reuse_nodes: bool = False,
    in_python: bool = False,
    version: str = DEFAULT_VERSION,
) -> Machine:
    """A machine on which these classes stand in front of the plain code.

    ``kernels`` replace operations: :func:`layout.defects.operations` gives those of defects.
    ``in_python`` is Machine's, ``version`` the kernel whose operations it carries out. Raises
    UnknownArchError, and UsageError for a version that is not known.

    >>> from layout import defects
    >>> machine = equip("s390x", kernels=defects.operations(["R1"]))
    >>> [layer.__name__ for layer in type(machine.kernel).__mro__[:4]]
    ['Kernel', 'OldNext', 'Next2022', 'Kernel']
    """
    plain = kernel_of(version)
    found = arches.get(arch) if isinstance(arch, str) else arch
    machine = in_front(Machine, [each.machine for each in watch])
    return machine(
        found,
        _memory(watch),
        in_front(plain, [*(each.kernel for each in watch), *kernels]),
        cache=in_front(NodeCache, [each.cache for each in watch]),
        reuse_nodes=reuse_nodes,
        in_python=in_python,
        parts=None if kernels or in_python else _compiled(watch, plain),
    )


def _compiled(watch: Sequence[Watch], plain: type[Kernel]) -> Compiled | None:
    """What does the same over compiled operations, if the only watch can be over them."""
    if len(watch) != 1 or watch[0].calls is None or not compiled.available():
        return None
    from layout.machine.watch.over_twin import over_compiled  # noqa: PLC0415 - where it was built

    return over_compiled(watch[0].memory, watch[0].calls, plain)


def _memory(watch: Sequence[Watch]) -> type[NodeMemory]:
    """The memory of these watches: read quickly where none of them looks at reads."""
    layers = [each.memory for each in watch if each.memory is not NodeMemory]
    quick = layers and not any(map(looks_at_reads, layers))
    return in_front(QuickReads if quick else NodeMemory, layers)


def in_front(plain: type[T], layers: Sequence[type[T]]) -> type[T]:
    """One class of ``layers``, the first one outermost, with ``plain`` behind them."""
    wanted = tuple(layer for layer in dict.fromkeys(layers) if not issubclass(plain, layer))
    return type(plain.__name__, (*wanted, plain), {}) if wanted else plain
