"""What a defect is: the code it puts back, what triggers it, and how that must look."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from arches import Arch
    from layout.errors import MachineFault
    from layout.machine import Machine
    from layout.node import NodeMemory
    from layout.tree.kernel import Kernel

Outcome = Literal["ok", "wrong result", "corrupt", "leak", "fault", "livelock"]

SHOWN_ON = ("x86_64", "s390x", "sparc64")
"""The machines that a trigger is run on unless a defect names others."""


@dataclass(frozen=True, slots=True)
class Shows:
    """What a trigger gives on one machine.

    ``detail`` is what was seen there and is not seen without the defect; ``checker`` are the
    kinds of report that the access checker makes.
    """

    outcome: Outcome
    detail: str = ""
    checker: tuple[str, ...] = ()


Task = Generator[Any, None, Any]
"""What a reader or a writer does: yields the name of each step before it carries it out."""


class Order(Protocol):
    """One order of the steps of several tasks, carried out."""

    @property
    def results(self) -> Mapping[str, Any]:
        """What each task returned that came to its end."""

    @property
    def fault(self) -> MachineFault | None:
        """What stopped the machine."""

    @property
    def reports(self) -> list[dict[str, Any]]:
        """The reports of what watched it."""


class Stage(Protocol):
    """What a scene plays on: one machine, with the defect or without it."""

    arch: Arch
    machine: Machine
    kernel: Kernel
    mem: NodeMemory
    tree: int

    @property
    def faulty(self) -> bool:
        """Whether the defect is on: for scenes whose callers are at fault."""

    def fresh(self, name: str, kernel: type[Kernel] | None = None) -> Stage:
        """Another machine, called ``name``; with ``kernel`` in place of the defect's own code."""

    def run(self, trace: str) -> None:
        """Carry out a trace; what reading operations return is said."""

    def attempt(self, what: str, step: Callable[[], int | None]) -> int | None:
        """Carry out one step and say what it returned, if it does; None if it was stopped."""

    def follow(self, entry: int | None) -> None:
        """Do what a caller does with an entry: nothing with NULL, else read what it points to."""

    def orders(
        self,
        name: str,
        tasks: Callable[[Machine], dict[str, Task]],
        judge: Callable[[Order], str],
        *,
        reuse_nodes: bool = False,
    ) -> None:
        """Let tasks take turns in every order, each time on a new machine with read sections.

        ``judge`` says what is wrong in an order, "" if nothing is. It is said in how many orders.
        """

    def until(self, name: str, ready: Callable[[], bool]) -> object:
        """A step for a task to yield that is not taken before ``ready()`` is true."""

    def left_over(self) -> None:
        """Say how many nodes were not given back, if any."""

    def say(self, text: str) -> None:
        """Note something seen. What is seen with the defect alone is the trigger's detail."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One historical bug at a switch.

    ``kernels`` says which versions had it, ``fix`` is the commit or message that ended it (None
    where the public record gave neither), ``source`` how it is known, ``changes`` what is
    different from the correct code, ``kernel`` the operations to put in place. ``trace`` is the
    trigger as a trace if it can be one; ``scene`` plays it. ``shows`` is keyed by architecture;
    ``elsewhere`` tells whether the scene can play on other machines.
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
