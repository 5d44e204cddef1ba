"""Replaying a trace on one machine, operation by operation; results as transcript lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.memory.errors import MachineFault, TraceError, UsageError
from layout.traces.session import Session, state_line

if TYPE_CHECKING:
    from layout.machine.machine import Machine
    from layout.traces.session import Line
    from layout.traces.trace import Operation

_FAULT_CALLS = 16
"""Allocation calls that the line of an operation with a fault keeps."""


class Runner(Session):
    """Carries out operations on a machine; keeps the current tree and the cursor.

    ``failed`` turns true when a validate fails; ``faulted`` when the machine stopped the
    kernel, after which nothing can be carried out any more.
    """

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.faulted = False

    def execute(self, operation: Operation) -> Line:
        """Carry out one operation; a machine fault becomes part of its line.

        Raises TraceError for one that needs more nodes than the machine has room for.
        """
        machine = self.machine
        machine.begin(operation.n, operation.op)
        try:
            if operation.declared.callee in self.kernel.gone:
                return self._line(operation, {"error": "not in this kernel"})
            returned = operation.declared.run(self, *operation.args)
            callbacks = machine.quiesce() if self.kernel.rcu_queue else 0
        except (UsageError, MachineFault, IndexError) as stop:
            return self.stopped(operation, stop)
        if callbacks:
            returned["rcu"] = callbacks
        return self._line(operation, returned)

    def stopped(self, operation: Operation, stop: Exception) -> Line:
        """The line of an operation that did not come to its end.

        Raises TraceError if it asked for more nodes than there is room for.
        """
        if isinstance(stop, UsageError):
            raise TraceError(operation.n, f"{operation.op}: {stop}") from None
        if not isinstance(stop, MachineFault | IndexError):
            raise stop
        self.faulted = True
        returned: Line = {"fault": _fault(stop, operation, self.machine)}
        if operation.declared.moves_cursor:
            returned["fault"]["state"] = state_line(self.cursor)
        return self._line(operation, returned)

    def _line(self, operation: Operation, returned: Line) -> Line:
        kernel = self.kernel
        line: Line = {"n": operation.n, "op": operation.op, **returned}
        if operation.declared.changes and "error" not in returned:
            line.update(self._tail())
        if kernel.warnings:
            line["warn"] = kernel.warnings
        if kernel.log:
            line["printk"] = "".join(kernel.log)
        line.update(self.machine.finish())
        return line

    def _tail(self) -> Line:
        cache, mem = self.cache, self.mem
        calls = cache.calls
        return {
            "ac": calls[:_FAULT_CALLS] if self.faulted else calls,  # a livelock has thousands
            "fr": cache.frees,
            "na": cache.allocated,
            "nf": cache.freed,
            "root": f"{mem.ma_root(self.tree):x}",
            "flags": f"{mem.ma_flags(self.tree):x}",
        }


def _fault(stop: MachineFault | IndexError, operation: Operation, machine: Machine) -> Line:
    if isinstance(stop, IndexError):
        # beyond a table or a struct on the stack: what lies there is the compiler's business
        message = f"{operation.op} on {machine.arch.name}: access beyond the end of a struct"
        return {"kind": "bug", "address": "0", "message": message, "operation": operation.op}
    return {
        "kind": stop.kind,
        "address": f"{stop.address:x}",
        "message": str(stop),
        "operation": operation.op,
    }
