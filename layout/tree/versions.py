"""The kernel versions whose operations are here, and which class has them."""

from __future__ import annotations

from layout.memory.errors import UsageError
from layout.memory.structs import VERSIONS, short_version
from layout.tree.kernel import Kernel
from layout.tree.v7_2.kernel import Kernel72
from layout.tree.v7_3.kernel import Kernel73

KERNELS: dict[str, type[Kernel]] = {
    kernel.version: kernel for kernel in (Kernel, Kernel72, Kernel73)
}
"""Version to class, oldest first. A further version is one class more."""


def kernel_of(version: str) -> type[Kernel]:
    """The operations of a kernel version, such as ``"7.3"`` or ``"7.3.4"``. Raises UsageError.

    >>> kernel_of("7.3.4").version
    '7.3'
    """
    found = KERNELS.get(short_version(version))
    if found is None:
        known = ", ".join(KERNELS)
        message = f"operations of kernel {version[:40]!r} are not known: choose one of {known}"
        raise UsageError(message)
    return found


def nearest(version: str) -> type[Kernel]:
    """The operations of one of ``structs.VERSIONS``, or of the last one known before it.

    For readers of memory, whose operations differ little: kernels before the first get its.

    >>> nearest("6.18").version, nearest("6.1").version, nearest("7.3").version
    ('6.12', '6.12', '7.3')
    """
    upto = VERSIONS[: VERSIONS.index(version) + 1]
    return next((KERNELS[name] for name in reversed(upto) if name in KERNELS), Kernel)
