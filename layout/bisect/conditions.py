"""Conditions: what may become true in a run, each with its own way to look for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from layout.bisect.entry import entry_at
from layout.ckernel.diff import compare as compare_with_kernel
from layout.ckernel.explain import explain
from layout.compare.lockstep import compare
from layout.images.validator import validate
from layout.machine.equip import equip
from layout.machine.machine import TREES
from layout.machine.watch.check import CHECK
from layout.machine.watch.sections import SECTIONS
from layout.memory.errors import UsageError
from layout.memory.limits import LIMIT
from layout.memory.structs import DEFAULT_VERSION
from layout.traces.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arches import Arch
    from layout.ckernel.build import Built
    from layout.ckernel.diff import Mismatch
    from layout.compare.difference import Difference
    from layout.machine.watch.watch import Watch
    from layout.traces.session import Line
    from layout.traces.trace import Operation
    from layout.tree.kernel import Kernel

_SHRINK_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Found:
    """Where a condition came to hold.

    ``what`` says it in words. ``kind`` is what has to stay the same while the trace is made
    shorter. ``machine`` is the one to look at, ``address`` the byte, None if there is no such.
    """

    operation: Operation
    what: str
    kind: tuple[Any, ...]
    machine: str
    address: int | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """How a trace is run: machine, kernels in front (defects), version, limit of one line."""

    arch: Arch
    kernels: Sequence[type[Kernel]] = ()
    version: str = DEFAULT_VERSION
    limit: int = LIMIT


class Condition(ABC):
    """Something that holds after an operation or does not."""

    def explained(
        self,
        operations: Sequence[Operation],  # noqa: ARG002 - for those that look once more
        found: Found,
    ) -> Found:
        """What was found in these operations, told in more detail if that takes time."""
        return found

    @abstractmethod
    def first(
        self, operations: Sequence[Operation], progress: Callable[[], object] = lambda: None
    ) -> Found | None:
        """The first operation after which it holds, but did not before. Raises TraceError."""


Seen = tuple[str, tuple[Any, ...], int | None]
"""What holds in words, its kind, and its byte: see Found."""


class OnMachine(Condition):
    """A condition on what one machine does."""

    watch: Sequence[Watch] = ()

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def first(  # noqa: D102 - Condition's
        self, operations: Sequence[Operation], progress: Callable[[], object] = lambda: None
    ) -> Found | None:
        setting = self.setting
        machine = equip(
            setting.arch, kernels=setting.kernels, watch=self.watch, version=setting.version
        )
        runner = Runner(machine, setting.limit)
        before = self.look(runner, {}) is not None
        for operation in operations:
            line = runner.execute(operation)
            progress()
            if self.asks(operation) or runner.faulted:
                seen = self.look(runner, line)
                if seen is not None and not before:
                    what, kind, address = seen
                    return Found(operation, what, kind, setting.arch.name, address)
                before = seen is not None
            if runner.faulted:
                break
        return None

    def asks(self, operation: Operation) -> bool:  # noqa: ARG002 - for those that look seldom
        """Whether this operation can change the answer."""
        return True

    @abstractmethod
    def look(self, runner: Runner, line: Line) -> Seen | None:
        """What holds after an operation that gave this line; None if the condition does not."""


class Invalid(OnMachine):
    """A tree breaks a rule of ``validate``."""

    def asks(self, operation: Operation) -> bool:  # noqa: D102 - OnMachine's
        return operation.declared.changes or operation.op == "poke"

    def look(self, runner: Runner, line: Line) -> Seen | None:  # noqa: ARG002, D102 - OnMachine's
        for number in range(TREES):
            for violation in validate(runner.mem, runner.machine.tree(number)):
                address = violation.node + violation.offset
                return f"tree {number}: {violation}", (violation.rule,), address
        return None


class Reported(OnMachine):
    """The access checker reports something; ``kind`` is a part of the report's kind."""

    watch = (CHECK, SECTIONS)

    def __init__(self, setting: Setting, kind: str = "") -> None:
        super().__init__(setting)
        self._kind = kind

    def look(self, runner: Runner, line: Line) -> Seen | None:  # noqa: ARG002, D102 - OnMachine's
        for each in line.get("reports", ()):
            if self._kind in each["kind"]:
                address = int(each["node"], 16) + each["offset"]
                what = (
                    f"{each['kind']}: {each['function']} used {each['node']}+{each['offset']} as "
                    f"{each['read_as']}; it is {each['written_as']}"
                )
                return what, (each["kind"], each["function"]), address
        return None


class Faulted(OnMachine):
    """The machine stops."""

    def look(self, runner: Runner, line: Line) -> Seen | None:  # noqa: ARG002, D102 - OnMachine's
        fault = line.get("fault")
        return fault and (f"{fault['kind']}: {fault['message']}", (fault["kind"],), None)


class Entry(OnMachine):
    """The current tree has this entry at an index; any entry if ``entry`` is None, 0 is none."""

    def __init__(self, setting: Setting, index: int, entry: int | None = None) -> None:
        super().__init__(setting)
        self._index, self._entry = index, entry

    def look(self, runner: Runner, line: Line) -> Seen | None:  # noqa: ARG002, D102 - OnMachine's
        found, address = entry_at(runner.mem, runner.tree, self._index)
        if not found if self._entry is None else found != self._entry:
            return None
        what = f"the entry is {found:x}" if found else "there is no entry"
        return f"{what} at index {self._index:x}", (), address


class Byte(OnMachine):
    """A byte has a value."""

    def __init__(self, setting: Setting, address: int, value: int) -> None:
        super().__init__(setting)
        self._address, self._value = address, value
        mem = equip(setting.arch).mem
        if mem.arena_at(address) is None:
            message = f"there is no memory at {address:x} on {setting.arch.name}"
            raise UsageError(message)

    def look(self, runner: Runner, line: Line) -> Seen | None:  # noqa: ARG002, D102 - OnMachine's
        if runner.mem.read(self._address, 1)[0] != self._value:
            return None
        return f"the byte at {self._address:x} is {self._value:02x}", (), self._address


class MachinesDiffer(Condition):
    """Two machines or more differ in meaning; ``setting.arch`` is not used."""

    def __init__(self, setting: Setting, machines: Sequence[Arch]) -> None:
        self._setting, self._machines = setting, machines
        if len(machines) < 2 or len({arch.word_size for arch in machines}) > 1:
            names = ",".join(arch.name for arch in machines)
            message = f"machines {names}: give two or more whose words have the same width"
            raise UsageError(message)

    def first(  # noqa: D102 - Condition's
        self, operations: Sequence[Operation], progress: Callable[[], object] = lambda: None
    ) -> Found | None:
        setting = self._setting

        def each() -> Any:
            for operation in operations:
                yield operation
                progress()

        outcome = compare(
            each(),
            self._machines,
            kernels=setting.kernels,
            version=setting.version,
            limit=setting.limit,
        )
        found = outcome.difference
        if found is None:
            return None
        operation = next(each for each in operations if each.n == found.line)
        address = None if found.node is None else found.node + (found.offset or 0)
        a, b = found.arches
        what = f"{found.field}: {a} has {found.values[0]}, {b} has {found.values[1]}"
        return Found(operation, what, (found.op, found.field.partition("[")[0]), b, address)


class KernelDiffers(Condition):
    """The kernel's own code and the emulator differ."""

    def __init__(self, built: Built) -> None:
        self._built = built

    def first(  # noqa: D102 - Condition's
        self, operations: Sequence[Operation], progress: Callable[[], object] = lambda: None
    ) -> Found | None:
        progress()
        verdict = compare_with_kernel(self._built, operations, seconds=_SHRINK_SECONDS)
        found = verdict.mismatch
        if found is None:
            return None
        return Found(found.operation, _in_words(found), found.kind, self._built.arch)

    def explained(self, operations: Sequence[Operation], found: Found) -> Found:
        """With the node and the byte in which both differ."""
        verdict = compare_with_kernel(self._built, operations, seconds=_SHRINK_SECONDS)
        if verdict.mismatch is None:
            return found
        difference = explain(self._built, operations, verdict.mismatch)
        if difference.node is None or difference.offset is None:
            return found
        what = _in_words(verdict.mismatch, difference)
        return replace(found, what=what, address=difference.node + difference.offset)


def _in_words(mismatch: Mismatch, difference: Difference | None = None) -> str:
    """What kernel and emulator have; of memory the byte of ``difference``, not the checksum."""
    parts = []
    for field in mismatch.fields:
        kernel, emulator = mismatch.told(field)
        if field == "fault" and kernel != "none":
            parts.append(f"the kernel's code stopped: {kernel}")
            continue
        name = field
        if field == "sum" and difference is not None and difference.node is not None:
            name = f"{difference.field} of node {difference.node:x}, byte {difference.offset}"
            kernel, emulator = difference.values
        parts.append(f"{name}: the kernel has {kernel}, the emulator {emulator}")
    return "; ".join(parts)
