"""What the kernel says and how it stops: printk, warnings, BUG, loops without an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from layout.memory.errors import MachineFault

if TYPE_CHECKING:
    from layout.memory.pointers import Word
    from layout.tree.kernel import Kernel


def printk(k: Kernel, text: str) -> None:
    """Append to the kernel log."""
    k.log.append(text)


def warn_on(k: Kernel, why: str) -> None:
    """WARN_ON(true); ``why`` is what is told of it: the function, and what it found."""
    k.warnings += 1
    k.warned = why


def livelock(k: Kernel, doing: str, address: Word = 0) -> NoReturn:
    """Stop a loop that the real kernel would not leave; no kernel function."""
    message = "the kernel would loop for ever"
    raise MachineFault("livelock", address, message, arch=k.mem.arch.name, doing=doing)


def bug(k: Kernel, doing: str, address: Word = 0) -> NoReturn:
    """BUG_ON(true)."""
    raise MachineFault("bug", address, "kernel BUG", arch=k.mem.arch.name, doing=doing)
