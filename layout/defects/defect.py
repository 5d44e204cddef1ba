"""The description of a defect: its old code, its trigger, and the expected outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import arches
from layout.memory.errors import UsageError
from layout.tree.kernel import Kernel
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from layout.defects.stage import Stage

Outcome = Literal["ok", "wrong result", "corrupt", "leak", "fault", "livelock"]

SHOWN_ON = arches.THREE
"""The machines that a trigger is run on unless a defect names others."""


@dataclass(frozen=True, slots=True)
class Shows:
    """The outcome of a trigger on one machine.

    ``detail`` is the observed difference from the run without the defect. ``checker`` are the kinds
    of report that the access checker makes.
    """

    outcome: Outcome
    detail: str = ""
    checker: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Defect:
    """One historical bug.

    ``kernels`` names the versions that had it. ``fix`` is the commit or message that fixed it, None
    if the public record has neither. ``source`` describes the evidence, ``changes`` the difference
    from the correct code. ``kernel`` has the replaced operations. ``trace`` is the trigger as a
    trace, if that is possible; ``scene`` runs it. The keys of ``shows`` are architectures.
    ``elsewhere`` is True if the scene can run on other machines.
    """

    id: str
    title: str
    kernels: str
    fix: str | None
    source: str
    changes: str
    kernel: type[Kernel]
    scene: Callable[[Stage], None]
    shows: Mapping[str, Shows]
    trace: str = ""
    elsewhere: bool = True

    @property
    def bug(self) -> str:
        """The name that the variants of a bug have in common: R3 for R3a."""
        return self.id.rstrip("abcdefgh")

    @property
    def arches(self) -> tuple[str, ...]:
        """The machines that the trigger is run on."""
        return tuple(self.shows)

    def fits(self, version: str) -> bool:
        """Whether kernel ``version`` has the code that this changes."""
        return not self._misfit(version)

    def check_fits(self, version: str) -> None:
        """Make sure that kernel ``version`` has the code that this changes. Raises UsageError.

        An operation that it has otherwise than 6.12 is not to be replaced by 6.12's old one.
        """
        name = self._misfit(version)
        if name:
            plain = kernel_of(version)
            what = "no" if name in plain.gone else "another"
            message = (
                f"{self.id} changes {name}, and kernel {plain.version} has {what} {name}: "
                f"leave out --kernel, or take {Kernel.version}"
            )
            raise UsageError(message)

    def _misfit(self, version: str) -> str:
        """An operation that this replaces and that the kernel has otherwise; "" if there is none.

        What is no operation of 6.12 is the defect's own.
        """
        plain = kernel_of(version)
        layers = self.kernel.__mro__[: self.kernel.__mro__.index(Kernel)]
        replaced = {name for layer in layers for name in vars(layer) if name[:2] != "__"}
        for name in sorted(replaced):
            if hasattr(Kernel, name) and getattr(plain, name) is not getattr(Kernel, name):
                return name
        return ""

    @property
    def affected(self) -> tuple[str, ...]:
        """Those of them on which it does harm."""
        return tuple(arch for arch, shows in self.shows.items() if shows.outcome != "ok")


def everywhere(
    outcome: Outcome, detail: str = "", checker: tuple[str, ...] = ()
) -> dict[str, Shows]:
    """The same on the three machines."""
    return {arch: Shows(outcome, detail, checker) for arch in SHOWN_ON}


def fill(count: int, first: int = 0, entry: int = 0x2A000000) -> str:
    """Trace lines that store ``count`` contiguous ranges of 0x1000 from index ``first`` on.

    Range i holds ``entry`` + i * 0x100.

    >>> print(fill(2))
    store 0 fff 2a000000
    store 1000 1fff 2a000100
    """
    return "\n".join(
        f"store {first + 0x1000 * i:x} {first + 0x1000 * i + 0xFFF:x} {entry + 0x100 * i:x}"
        for i in range(count)
    )
