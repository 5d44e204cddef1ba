"""One place to put a machine together: what watches it, which operations are replaced.

The plain code knows nothing of checks or defects. They come as classes in front of it, and
this is their order, outermost first:

1. what watches (see :mod:`layout.watch.watch`), in the order given,
2. the defects, in the order given,
3. the kernel, of 6.12 if no other version is asked for.

So what watches sees what a defect does, and a defect that calls ``super()`` gets the next
defect or the correct code. Watches stand in front of memory, node cache and machine as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import arches
from layout import defects as registry
from layout.errors import UsageError
from layout.machine import Machine
from layout.node import NodeMemory
from layout.slab import NodeCache
from layout.structs import DEFAULT_VERSION
from layout.tree.kernel import Kernel
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from arches import Arch
    from layout.watch.watch import Watch

T = TypeVar("T")


def equip(
    arch: str | Arch,
    *,
    defects: Iterable[str] = (),
    kernels: Sequence[type[Kernel]] = (),
    watch: Sequence[Watch] = (),
    reuse_nodes: bool = False,
    version: str = DEFAULT_VERSION,
) -> Machine:
    """A machine with these defects, by name, and whatever else stands in front of the plain code.

    ``kernels`` are further classes at the defects' place, ``version`` is the kernel whose
    operations they stand in front of. Raises UsageError for a name that is
    no defect's, or that of a defect that no operation of the tree has; UnknownArchError.

    >>> machine = equip("s390x", defects=["R1"])
    >>> [layer.__name__ for layer in type(machine.kernel).__mro__[:4]]
    ['Kernel', 'OldNext', 'Next2022', 'Kernel']
    """
    plain = kernel_of(version)
    found = arches.get(arch) if isinstance(arch, str) else arch
    replaced = [_operations_of(name) for name in defects]
    machine = in_front(Machine, [each.machine for each in watch])
    return machine(
        found,
        in_front(NodeMemory, [each.memory for each in watch]),
        in_front(plain, [*(each.kernel for each in watch), *replaced, *kernels]),
        cache=in_front(NodeCache, [each.cache for each in watch]),
        reuse_nodes=reuse_nodes,
    )


def _operations_of(name: str) -> type[Kernel]:
    """What a defect puts in place. Raises UsageError if the mistake is not the tree's."""
    defect = registry.get(name)
    if defect.kernel is Kernel:
        message = (
            f"{defect.id} is a mistake of the tree's callers, no operation is different: "
            f"`maple-layout defects {defect.id}` shows it"
        )
        raise UsageError(message)
    return defect.kernel


def in_front(plain: type[T], layers: Sequence[type[T]]) -> type[T]:
    """One class of ``layers``, the first one outermost, with ``plain`` behind them."""
    wanted = tuple(layer for layer in dict.fromkeys(layers) if layer is not plain)
    return type(plain.__name__, (*wanted, plain), {}) if wanted else plain
