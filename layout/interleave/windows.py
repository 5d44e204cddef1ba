"""Which lines of a trace readers run beside: each alone, or several together.

A reader that stays in its read section beside several lines holds up the callbacks of all of them:
what they replace is not freed before the last one has ended. So lines are recorded together. As
these lines overlap with the next ones, several writers carry out the same trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.traces.language import Group

if TYPE_CHECKING:
    from collections.abc import Callable

    from layout.interleave.stores import Writer, Writing
    from layout.traces.session import Line
    from layout.traces.trace import Operation

_WRITES = frozenset(
    {Group.TREES, Group.STORES, Group.ALLOCATIONS, Group.RESERVES, Group.CURSOR_STORES}
)
_SECTIONS = frozenset({"rcu_lock", "rcu_unlock"})
_NO_WRITES = frozenset({"init", "rcu", "sel"}) | _SECTIONS


class _Window:
    """One writer; what it records, if it does, and whether no line in front could be with it."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.writing: Writing | None = None
        self.foremost = False

    def wants(self, operation: Operation) -> bool:
        """Whether readers may run beside a line: it may change a tree in RCU mode.

        Not so while readers of the trace's own hold callbacks up.
        """
        machine, declared = self.writer.machine, operation.declared
        return (
            declared.changes
            and declared.group in _WRITES
            and operation.op not in _NO_WRITES
            and machine.kernel.mt_in_rcu(self.writer.runner.tree)
            and (self.writing is not None or not (machine.reading or machine.kernel.rcu_queue))
        )

    def open(self, *, foremost: bool) -> None:
        """Begin to record."""
        self.writing = self.writer.open()
        self.foremost = foremost

    def close(self) -> Writing | None:
        """End what is recorded, if anything is."""
        writing, self.writing = self.writing, None
        if writing is not None:
            self.writer.close()
        return writing

    def run(self, operation: Operation, *, recorded: bool) -> Line:
        """Carry out a line."""
        if recorded and self.writing is not None:
            return self.writer.add(self.writing, operation)
        return self.writer.run(operation)


class Windows:
    """The lines that readers run beside: each ``count``, or those from ``only`` on.

    Fewer are taken together where ``count`` do not follow one another. Lines between them that
    change no tree do not count; a line that changes another tree, or in another way, ends them.
    ``make`` makes a writer. ``stopped`` is the fault that ended the trace, "" if none did.
    """

    def __init__(self, make: Callable[[], Writer], count: int, only: int | None) -> None:
        self.count = count
        self.only = only
        self.windows = [_Window(make()) for _ in range(count if only is None else 1)]
        self.stopped = ""
        self._done = 0

    def feed(self, operation: Operation, *, last: bool) -> list[Writing]:
        """Carry out a line, the ``last`` one or not; what is complete behind it.

        Raises TraceError.
        """
        found: list[Writing] = []
        if self._ends(operation):
            found += self._end()
        wanted = self.windows[0].wants(operation)
        begins = self._begin(operation) if wanted else None
        for window in self.windows:
            line = window.run(operation, recorded=wanted)
            self.stopped = self.stopped or line.get("fault", {}).get("message", "")
        if self.stopped:
            return []
        if begins is not None and begins.writing is not None and not begins.writing.operations:
            begins.close()
        elif wanted:
            self._done += 1
        for window in self.windows:
            if window.writing is not None and len(window.writing.operations) == self.count:
                found += filter(None, [window.close()])
        if last:
            found += self._end()
        return found

    def _begin(self, operation: Operation) -> _Window | None:
        """The window that begins with a line, None if none does."""
        at = self._done % self.count if self.only is None else 0
        window = self.windows[at]
        if window.writing is not None or self.only not in (None, operation.n):
            return None
        window.open(foremost=not self._done or self.only is not None)
        return window

    def _ends(self, operation: Operation) -> bool:
        """Whether a line cannot be together with those that are being recorded."""
        if operation.op in _SECTIONS:
            return True
        return any(
            window.writing is not None
            and operation.declared.changes
            and (not window.wants(operation) or window.writer.runner.tree != window.writing.tree)
            for window in self.windows
        )

    def _end(self) -> list[Writing]:
        """Stop to record. Fewer lines than wanted are complete if no more contain them."""
        self._done = 0
        ended = [(window.foremost, window.close()) for window in self.windows]
        return [writing for foremost, writing in ended if foremost and writing is not None]
