"""The kernel versions whose operations are here, and which class has them."""

from __future__ import annotations

from layout.memory.errors import UsageError
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
    found = KERNELS.get(".".join(version.split(".")[:2]))
    if found is None:
        known = ", ".join(KERNELS)
        message = f"operations of kernel {version!r} are not known: choose one of {known}"
        raise UsageError(message)
    return found
