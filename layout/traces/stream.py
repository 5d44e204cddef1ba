"""Runs a whole trace and writes its transcript as bytes, for ``maple-layout run``.

On a compiled machine, compiled code reads, runs and writes the most frequent lines without Python
objects. :class:`layout.traces.runner.Runner` runs all others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from layout.memory.errors import TraceError
from layout.traces.listing import heading, listing
from layout.traces.trace import Operation, TraceReader, parse
from layout.traces.transcript import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layout.compiled._core import Core, Replay
    from layout.machine.machine import Machine
    from layout.traces.runner import Runner
    from layout.traces.session import Line
    from layout.traces.source import TraceText

END, LINE, STOPPED, TAKE = range(4)
"""Why compiled code comes back: the trace is at its end; a line that it does not know; the
machine stopped; the transcript is to be taken."""


_LONG = 1 << 20
"""Bytes of a trace from which on nodes are forgotten that none of its lines can show."""

_PLAIN = (
    *("store", "storenw", "mstore", "insert", "erase", "load", "find", "find_after", "next"),
    *("prev", "walk", "empty_area", "empty_area_rev", "alloc_range", "alloc_rrange", "iter"),
)
"""Operations that show no freed node, as compiled code has them, too."""
_SHOWS = re.compile(
    rf"^(?![ \t\r]*(?:$|#|init [01]$|(?:{'|'.join(_PLAIN)})(?![a-z_])))".encode(), re.MULTILINE
)
"""The beginning of a line that may show one."""


def next_line(lines: Replay, data: bytes) -> tuple[int, str]:
    """The number and text of the line that compiled code does not know; it goes on behind it."""
    end = data.find(b"\n", lines.at)
    end = len(data) if end < 0 else end
    text = data[lines.at : end].decode()
    lines.at, lines.n = end + 1, lines.n + 1
    return lines.n, text


def may_forget(machine: Machine, text: TraceText) -> bool:
    """Whether a trace is long, and nothing can show a freed node: then its bytes may be dropped.

    Beside its lines that may be states from before, and nodes that are handed out again with
    their old bytes. All lines are looked at before the first is carried out.
    """
    cache, core = machine.cache, machine.core
    if cache.allocated or cache.reuse or not text.read_ahead():
        return False
    size = 0
    for block in text.blocks():
        size += len(block)
        if not block.strip():
            continue
        if core is not None:
            if not core.extension.Replay(core, block).shows_no_freed_node():
                return False
        elif _SHOWS.search(block):
            return False
    return size > _LONG


class Stream:
    """Runs the lines of a trace.

    ``last`` is the line of the operation that ended the run with a fault, if there was one. With
    ``forget`` the bytes of freed nodes may be dropped, to save memory, where no line of the trace
    can show them. Use it for a machine that nothing reads after the transcript.
    """

    def __init__(self, runner: Runner, text: TraceText, *, forget: bool = False) -> None:
        self.runner = runner
        self.text = text
        self.forget = forget
        self.last: Line | None = None
        self._reader = TraceReader(runner.machine.arch.ulong_max)

    def transcript(self) -> Iterator[bytes]:
        """The transcript, in pieces of whole lines. Raises TraceError that names the source."""
        try:
            core = self.runner.machine.core
            if core is not None:
                yield from self._compiled(core)
            else:
                yield from self._python()
        except TraceError as error:
            raise TraceError(error.line, error.reason, self.text.source) from None

    def listing(self) -> Iterator[bytes]:
        """The same for people, in pieces of whole lines. Raises TraceError."""
        yield heading().encode() + b"\n"
        try:
            for operation in parse(self.text.lines(), self.runner.machine.arch.ulong_max):
                line = self.runner.execute(operation)
                warned = self.runner.kernel.warned
                yield "".join(f"{row}\n" for row in listing(operation, line, warned)).encode()
                if self.runner.faulted:
                    self.last = line
                    return
        except TraceError as error:
            raise TraceError(error.line, error.reason, self.text.source) from None

    def _python(self) -> Iterator[bytes]:
        n = 0
        machine, cache = self.runner.machine, self.runner.cache
        forget = self.forget and may_forget(machine, self.text)
        for block in self.text.blocks():
            if not block.strip():
                n += block.count(b"\n")
                continue
            for line in block.removesuffix(b"\n").split(b"\n"):
                n += 1
                operation = self._reader.read(n, line.decode()) if line else None
                if operation is None:
                    continue
                yield self._written(self.runner.execute(operation))
                if self.runner.faulted:
                    return
                if forget:
                    for number in cache.frees:
                        machine.forget(cache.address(number))

    def _compiled(self, core: Core) -> Iterator[bytes]:
        core.forget = self.forget and may_forget(self.runner.machine, self.text)
        try:
            n = 0
            for block in self.text.blocks():
                lines: Replay = core.extension.Replay(core, block, 0, n)
                lines.limit = min(self.runner.limit, (1 << 63) - 1)
                yield from self._block(lines, block)
                if self.last is not None:
                    return
                n += block.count(b"\n")
        finally:
            core.forget = False

    def _block(self, lines: Replay, block: bytes) -> Iterator[bytes]:
        runner = self.runner
        while True:
            lines.tree = runner.tree
            lines.held_up = runner.machine.held_up()
            why = lines.run()
            done = lines.take()
            if done:
                yield done
            if why == STOPPED:
                operation = Operation(lines.n, *lines.operation)
                yield self._written(runner.stopped(operation, lines.stop))
                return
            if why == LINE:
                read = self._reader.read(*next_line(lines, block))
                if read is not None:
                    yield self._written(runner.execute(read))
                    if runner.faulted:
                        return
            elif why == END:
                return

    def _written(self, line: Line) -> bytes:
        if self.runner.faulted:
            self.last = line
        return encode(line).encode() + b"\n"
