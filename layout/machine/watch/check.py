"""The access checker: compares each read of a node with the field that was last written there.

The kernel makes some reads first and tests the value afterwards. These are declared on the
functions that make them, see :mod:`layout.tree.peeks`. They are not reported while their condition
holds and nobody uses the value. All other reads of bytes that hold another field are reported, even
if the value does no harm on this machine.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import arches
from layout.machine.watch import shadow
from layout.machine.watch.direct import DirectReads
from layout.machine.watch.follow import Followed, FollowingCache, FollowingKernel
from layout.machine.watch.report import STEP, Report
from layout.machine.watch.shadow import tag
from layout.machine.watch.watch import ReportingMachine, Watch
from layout.memory.node import NODE_SIZE
from layout.tree.peeks import PEEKS, Peek

if TYPE_CHECKING:
    from array import array
    from types import CodeType, FrameType

    from arches import Arch
    from layout.machine.watch.history import View
    from layout.memory.structs import Profile

DEAD = "dead node read untested"

_PLUMBING = ("layout.machine.watch", "layout.memory.node", "layout.memory.memory")
_TOOLS = (
    "layout.memory.nodeview",
    "layout.images",
    "layout.traces",
    "layout.show",
    "layout.machine.machine",
)
_ZEROED = tag(shadow.ZEROED)
_IN_TREE = shadow.DATA | {shadow.META_END, shadow.META_GAP}
_OTHERS = {8: arches.THREE, 4: ("i386", "mips")}
"""Machines whose reading of a word is told, by the size of words."""


class Read(NamedTuple):
    """A read that is odd: all that a report of it says."""

    kind: str
    view: View
    offset: int
    width: int
    expected: int
    value: int
    odd: int
    """The first odd byte."""
    written: int
    """Its tag."""
    writer: int
    operation: int
    function: str


class SeenAccess(NamedTuple):
    """An odd access, for the condition of a peek: see :class:`layout.tree.peeks.Access`."""

    mem: CheckedMemory
    node: int
    offset: int
    value: int

    @property
    def own(self) -> bool:
        """Whether the running operation wrote there last."""
        return self._written_now(self.offset)

    @property
    def killed(self) -> bool:
        """Whether the running operation marked the node dead."""
        return self.mem.is_dead(self.node) and self._written_now(0)

    @property
    def destroyed(self) -> bool:
        """Whether mt_destroy_walk() left the node's type in it."""
        return self.mem.is_dead(self.node) and self.mem.has_dead_type(self.node)

    def _written_now(self, offset: int) -> bool:
        shadow = self.mem.shadow
        return shadow.writers[self.node - self.mem.near_base + offset] == shadow.operation


class CheckedMemory(DirectReads):
    """Node memory that reports accesses to bytes that hold another field.

    ``reports`` are those of the operation that :meth:`begin` started last.
    """

    def __init__(self, arch: Arch, profile: Profile) -> None:
        super().__init__(arch, profile)
        self.reports: list[Report] = []
        self._seen: set[tuple[str, int, int, str]] = set()
        self._untested: dict[int, Read] = {}

    def begin(self, operation: int) -> None:
        """Start an operation: what is written from now on is its work."""
        self.finish()
        self.shadow.begin(operation)
        self.reports = []
        self._seen.clear()

    def finish(self) -> list[Report]:
        """End the operation: a dead node whose death nobody noticed is reported now."""
        for read in self._untested.values():
            self._tell(self._report(read))
        self._untested.clear()
        return self.reports

    def tested(self, node: int) -> None:
        """What was read from the node before is forgiven: its death would be noticed."""
        self._untested.pop(node, None)

    # -- judging

    def judge(self, view: View, offset: int, width: int, expected: int, value: int) -> int:
        """Report a read unless it is right after all, or a declared peek.

        Returns the value: one to be followed, where it was read under a peek, or from a node
        whose death may yet be noticed.
        """
        kind, at, written = self._verdict(view, offset, width, expected)
        if not kind:
            return value
        function, peeks = _accessor(sys._getframe(1), dead=view.dead)  # noqa: SLF001
        if not function:
            return value
        writer = self.shadow.writers[view.node - self.near_base + at]
        read = Read(
            *(kind, view, offset, width, expected, value, at, written, writer),
            *(self.shadow.operation, function),
        )
        peek = peeks.get(kind)
        if peek is not None and not peek.holds(SeenAccess(self, view.node, at, value)):
            self._tell(replace(self._report(read), detail=_broken(peek)))
        elif peek is None:
            if not view.dead or DEAD in peeks or self.is_freed(view.node):
                self._tell(self._report(read))
                return value
            self._untested.setdefault(view.node, read)
        return value if kind == DEAD else Followed.of(value, read)

    def used(self, word: int, how: str) -> int:
        """A followed word is used: both places are reported."""
        if isinstance(word, Followed):
            function, _ = _accessor(sys._getframe(1))  # noqa: SLF001
            if not function:  # a tool does, so the kernel must have handed it out
                how = f"returned, and {how}"
            elif "returned" not in how:
                how = f"{how} by {function}"
            read: Read = word.origin
            self._untested.pop(read.view.node, None)  # this report says more
            now = self.shadow.operation
            later = f" in operation {now}" if now != read.operation else ""
            detail = f"{how}{later}: {int(word):#x}"
            self._tell(replace(self._report(read), kind=f"{read.kind}, then used", detail=detail))
        return int(word)

    def _report(self, read: Read) -> Report:
        unwritten = shadow.kind_of(read.written) in {shadow.NEVER, shadow.UNKNOWN}
        return Report(
            kind=read.kind,
            node=read.view.node,
            offset=read.odd,
            read_as=shadow.name(read.expected),
            written_as=shadow.name(read.written),
            written_by=None if unwritten else read.writer,
            operation=read.operation,
            function=read.function,
            value=read.value,
            means=self._meanings(read.view, read.offset, read.width, read.value),
        )

    def _verdict(self, view: View, offset: int, width: int, expected: int) -> tuple[str, int, int]:
        """What is wrong with reading a field there, the first odd byte, and what that is."""
        first = view.tags[offset] if offset < NODE_SIZE else tag(shadow.PARENT)
        if self.is_freed(view.node):
            return "freed node read", offset, first
        if offset >= NODE_SIZE:
            return "read past the node", offset, first
        behind = min(offset + width, NODE_SIZE)
        tags, size = view.tags[offset:behind], behind - offset
        if tags != shadow.tags(_ZEROED, size) and tags != shadow.tags(expected, size):
            for at in range(offset, behind):
                seen = view.tags[at]
                kind = shadow.kind_of(seen)
                if seen == expected or kind in {shadow.ZEROED, shadow.UNKNOWN}:
                    continue
                if kind == shadow.NEVER:
                    return "never written", at, seen
                return f"{shadow.group(seen)} read as {shadow.group(expected)}", at, seen
        if view.past_end(expected):
            return "read past data end", offset, first
        dead = view.dead and shadow.kind_of(expected) in _IN_TREE
        return (DEAD, offset, first) if dead else ("", 0, 0)

    def judge_write(self, node: int, offset: int, a_tag: int) -> None:
        """Report a write to a freed node, past a node, or to a field as if it were another."""
        at = node - self.near_base + offset
        was = self.shadow.tags[at]
        kind = ""
        if self.is_freed(node):
            kind = "freed node written"
        elif offset >= NODE_SIZE:
            kind = "written past the node"
        elif was != a_tag and {shadow.kind_of(was), shadow.kind_of(a_tag)} <= shadow.DATA:
            kind = f"{shadow.group(was)} overwritten as {shadow.group(a_tag)}"
        if not kind:
            return
        function, peeks = _accessor(sys._getframe(1))  # noqa: SLF001
        peek = peeks.get(kind)
        if function and not (peek and peek.holds(SeenAccess(self, node, offset, 0))):
            names = shadow.name(a_tag), shadow.name(was)
            writer = self.shadow.writers[at] or None
            now = self.shadow.operation
            detail = _broken(peek) if peek else ""
            self._tell(Report(kind, node, offset, *names, writer, now, function, detail=detail))

    def has_dead_type(self, node: int) -> bool:
        """Whether the node's type was noted when it was destroyed."""
        return self.shadow.tags[node - self.near_base + self._type] == tag(shadow.DEAD_TYPE)

    def _tell(self, report: Report) -> None:
        key = (report.kind, report.node, report.offset, report.function)
        if key not in self._seen:
            self._seen.add(key)
            self.reports.append(report)

    def _meanings(self, view: View, offset: int, width: int, value: int) -> dict[str, int]:
        """What the same fields, written on other machines, read as there."""
        here = self.arch.byteorder
        raw = value.to_bytes(width, here)
        swapped = self._swapped(view.tags[offset : offset + width], raw)
        means = {}
        for name in dict.fromkeys((*_OTHERS[self.word_size], self.arch.name)):
            order = arches.get(name).byteorder
            there = raw if order == here else swapped
            if there is not None:
                means[name] = int.from_bytes(there, order)
        return means

    def _swapped(self, tags: array[int], raw: bytes) -> bytes | None:
        """The bytes as the other byte order has them; None where they can't be known."""
        if len(tags) < len(raw):
            return raw[::-1]
        parts = b""
        at = 0
        while at < len(raw):
            end = at + 1
            while end < len(raw) and tags[end] == tags[at]:
                end += 1
            part = raw[at:end]
            if shadow.kind_of(tags[at]) not in shadow.SINGLE_BYTES:
                if end - at not in {4, self.word_size}:
                    return None  # a field that another overlaps
                part = part[::-1]
            parts += part
            at = end
        return parts


def _broken(peek: Peek) -> str:
    """What a report says of a peek whose condition does not hold."""
    return f"declared as a peek because {peek.why}, which is not so here"


def _accessor(frame: FrameType | None, *, dead: bool = False) -> tuple[str, dict[str, Peek]]:
    """The function that made an access, and its declared peeks; "" for the project's tools.

    Steps of a function are part of it. Leave to read dead nodes holds for all that the function
    calls; it is looked for where the node is ``dead``.
    """
    function = ""
    peeks: dict[str, Peek] = {}
    while frame is not None:
        code = frame.f_code
        role = _ROLES.get(code)
        if role is None:
            role = _ROLES[code] = _role(frame.f_globals.get("__name__", ""))
        if role == _TOOL:
            break
        if role == _OPERATION:
            declared = PEEKS.get(code, _NONE)
            if not function or function.startswith(STEP):
                function = code.co_name
                peeks |= declared
            elif DEAD in declared:
                peeks[DEAD] = declared[DEAD]
            if (not dead or DEAD in peeks) and not function.startswith(STEP):
                break
        frame = frame.f_back
    return function, peeks


_TOOL, _PLUMB, _OPERATION = range(3)
_ROLES: dict[CodeType, int] = {}
"""What each function is: asked for every frame of every odd access, so kept."""
_NONE: dict[str, Peek] = {}


def _role(module: str) -> int:
    if module.startswith(_TOOLS):
        return _TOOL
    return _PLUMB if module.startswith(_PLUMBING) else _OPERATION


class CheckedCache(FollowingCache):
    """A node cache that tells its memory which nodes are in use and which are free."""

    mem: CheckedMemory

    def __init__(self, mem: CheckedMemory, base: int | None, *, reuse: bool = False) -> None:
        super().__init__(mem, base, reuse=reuse)
        mem.freed_map = self.freed_map

    def _take(self, count: int) -> list[int]:
        nodes = super()._take(count)
        if self.reuse:
            for node in nodes:
                self.mem.handed_out(node)
        return nodes

    def free_bulk(self, count: int, address: int) -> None:
        """NodeCache.free_bulk(); the reading of the addresses is looked at."""
        self.mem.note_addresses(address, count)
        super().free_bulk(count, address)


class CheckedMachine(ReportingMachine):
    """A machine whose operations end with the reports of the access checker.

    Outside a trace, operations are counted from 1; each ends with its RCU callbacks.
    """

    mem: CheckedMemory

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._past: list[Report] = []
        self._open = False
        self.mem.begin(1)

    @property
    def reports(self) -> list[Report]:
        """All reports so far."""
        return [*super().reports, *self._past, *self.mem.finish()]

    def _next(self, number: int) -> None:
        self._past += self.mem.finish()
        self.mem.begin(number)

    def begin(self, number: int, name: str) -> None:
        """Machine.begin(), and history is made by this operation from now on."""
        self._next(number)
        self._open = True
        super().begin(number, name)

    def finish(self) -> dict[str, Any]:
        """Machine.finish(), with the operation's reports if there are any."""
        self._open = False
        line = super().finish()
        reports = [report.to_json() for report in self.mem.finish()]
        return {**line, "reports": line.get("reports", []) + reports} if reports else line

    def quiesce(self) -> int:
        """Machine.quiesce(); outside a trace the next operation begins."""
        done = super().quiesce()
        if not self._open:
            self._next(self.mem.shadow.operation + 1)
        return done


CHECK = Watch(CheckedMachine, CheckedMemory, CheckedCache, FollowingKernel)
"""The access checker, for ``equip(watch=[CHECK])``."""
