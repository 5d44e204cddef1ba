"""Random search for defects: Hypothesis is not told what triggers them.

    python tests/campaigns/hunt.py [--defects R1,D1] [--arch x86_64,s390x] [--seeds 5]
                                   [--seconds 600] [--markdown]

Traces of stores, fills, erases, reads, cursor moves and destroys run on a machine with a defect,
each line held against a plain model; what fails is shrunk. With the access checker a report
counts as well. Prints one line for each defect, machine and mode: how many seeds found it, after
how many seconds and traces, and the shortest trace.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

import arches
from arches import THREE
from layout import defects
from layout.defects.loops import Loops2022
from layout.machine.equip import equip
from layout.machine.watch.check import CHECK
from layout.testing.checked import CheckedRunner, Trace, WrongResultError
from layout.testing.known import FreesAllItKilled
from layout.testing.strategies import traces
from layout.traces.operations import OPERATIONS
from layout.tree.kernel import Kernel

if TYPE_CHECKING:
    from layout.machine.machine import Machine
    from layout.traces.session import Line
    from layout.traces.trace import Operation

CONTROLS = {"none": Kernel, "loops": Loops2022}
"""Correct code, in which nothing must be found; the loops are those that R1 and D5 break."""
WANTED = ("R1", "R2", "R3a", "R3b", "D1", "D2", "D5")
KINDS = ("store", "fill", "erase", "read", "cursor", "destroy")
MAX_STEPS = 25
PAGE, HALF = 0x1000, 0x800
EVERY = 100
"""Writes after which whole trees are compared, and once at the end."""


class OutOfTimeError(BaseException):
    """Ends a search; no Exception, so that Hypothesis lets it through."""


class FoundError(AssertionError):
    """A trace that fails; the message says how."""


@dataclass
class Hunt:
    """One search: ``trace`` is the shortest that fails, None if none was found."""

    tries: int = 0
    seconds: float = 0.0
    trace: Trace | None = None
    why: str = ""
    history: list[int] = field(default_factory=list)


@st.composite
def page_traces(draw: st.DrawFn, arch: str) -> Trace:
    """Traces as of an address space: ranges filled in order, then writes and reads by half pages."""
    top = arches.get(arch).ulong_max
    count = draw(st.one_of(st.integers(1, 48), st.integers(1, 400)))
    gap = draw(st.sampled_from((0, 0, PAGE)))
    lines = [f"init {draw(st.integers(0, 1))}"]
    for i in range(count):
        first = i * (PAGE + gap)
        lines.append(f"store {first:x} {first + PAGE - 1:x} {0x2A000001 + i * 0x100:x}")
    end = count * (PAGE + gap) // HALF
    place = st.one_of(st.integers(0, end), st.integers(end - 1, end + 6)).map(lambda n: n * HALF)
    bound = st.one_of(place.map(lambda index: index + HALF - 1), st.just(top))
    for _ in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from(("store", "store", "erase", "load", "cursor")))
        index = max(draw(place), 0)
        if kind == "store":
            last = max(draw(bound), index)
            entry = draw(st.sampled_from((0x3A000000, 0x3A000000, 0x301, 0)))
            lines.append(f"store {index:x} {last:x} {entry:x}")
        elif kind == "cursor":
            # walked to a leaf first: today's code stops at a NULL node in states that are not
            lines += [f"cset {index:x}", f"cfind {max(draw(bound), index):x}"]
            for move in draw(st.lists(st.sampled_from(("cfind", "cnext", "cprev")), max_size=5)):
                limit = draw(bound) if move != "cprev" else max(draw(place), 0)
                lines.append(f"{move} {max(limit, 0):x}")
        else:
            lines.append(f"{kind} {index:x}")
    lines.append("destroy")
    return Trace("\n".join(lines) + "\n", arch)


class Reading(CheckedRunner):
    """A CheckedRunner that asks of the cursor's finds only that somebody stored them.

    Where a cursor stands after it found nothing differs between the loops of 2022 and today's.
    """

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine, every=EVERY)
        for name, operation in OPERATIONS.items():
            if operation.moves_cursor:
                self.judge.leave_out(name)

    def execute(self, operation: Operation) -> Line:
        """Carry out one operation. Raises WrongResultError."""
        line = super().execute(operation)
        entry = int(line.get("entry", "0"), 16) if operation.declared.moves_cursor else 0
        if entry and all(entry != stored for *_, stored in self.model.items()):
            self.judge.wrong(f"entry is {entry:x}, which nobody stored")
        return line


def why_it_fails(trace: Trace, arch: str, kernel: type[Kernel], *, check: bool) -> str:
    """How a trace fails on a machine with this kernel code, or nothing."""
    machine = equip(arch, kernels=[kernel, FreesAllItKilled], watch=[CHECK] if check else [])
    runner = Reading(machine)
    try:
        for operation in trace.operations():
            line = runner.execute(operation)
            if line.get("reports"):
                return f"{operation}: {line['reports'][0]['kind']}"
        runner.check_trees()
    except WrongResultError as wrong:
        return str(wrong)
    return ""


def hunt(
    arch: str, kernel: type[Kernel], *, check: bool, start: int, seconds: float, shrink: float
) -> Hunt:
    """Search for at most ``seconds`` of processor time, then shrink for at most ``shrink``."""
    found = Hunt()
    began = time.process_time()
    limit = began + seconds

    @seed(start)
    @settings(
        max_examples=10**9,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(st.one_of(page_traces(arch), traces(arch, only=KINDS, max_steps=MAX_STEPS, rcu=False)))
    def search(trace: Trace) -> None:
        nonlocal limit
        trace = readers_only(trace)
        if time.process_time() > limit:
            raise OutOfTimeError
        found.tries += found.trace is None
        why = why_it_fails(trace, arch, kernel, check=check)
        if not why:
            return
        if found.trace is None:
            found.seconds = time.process_time() - began
            limit = time.process_time() + shrink
        if found.trace is None or size(trace) < size(found.trace):
            found.trace, found.why = trace, why
        raise FoundError(why)

    with contextlib.suppress(FoundError, OutOfTimeError):
        search()
    return found


def readers_only(trace: Trace) -> Trace:
    """The trace without writes through the cursor: loops of 2022 leave it as 6.12 never does."""
    kept = [each for each in trace.operations() if each.op not in {"cstore", "cerase"}]
    return Trace.of(kept, trace.arch)


def steps(trace: Trace) -> list[str]:
    """A trace's lines; stores at equal distances as one: ``fill N``."""
    lines: list[str] = []
    run: list[tuple[int, int]] = []

    def end_run() -> None:
        if len(run) > 2:
            (first, last), (second, _) = run[:2]
            shape = f"{last - first + 1:x}, {second - first:x} apart"
            lines.append(f"fill {len(run)} ranges of {shape}, from {first:x} on")
        else:
            lines.extend(f"store {first:x} {last:x} ..." for first, last in run)
        run.clear()

    for operation in trace.operations():
        if operation.op == "store" and operation.args[2]:
            first, last, _ = operation.args
            if run and last - first != run[0][1] - run[0][0]:
                end_run()
            if len(run) > 1 and first - run[-1][0] != run[1][0] - run[0][0]:
                end_run()
            run.append((first, last))
            continue
        end_run()
        lines.append(str(operation))
    end_run()
    return lines


def size(trace: Trace) -> tuple[int, int]:
    """What makes a trace short: its steps, then its lines."""
    return len(steps(trace)), len(trace.operations())


def report(name: str, arch: str, hunts: list[Hunt], *, check: bool) -> list[str]:
    """The cells of one line of the table."""
    hits = [each for each in hunts if each.trace is not None]
    cells = [name, arch, "with" if check else "without", f"{len(hits)} of {len(hunts)}"]
    if not hits:
        return [*cells, "-", "-", "-", "-"]
    best = min((each for each in hits if each.trace), key=lambda each: size(each.trace))
    middle = statistics.median(each.seconds for each in hits)
    tries = round(statistics.median(each.tries for each in hits))
    why = re.sub(r"^line \d+ \([^)]*\): ", "", best.why).split("\n", 1)[0]
    return [*cells, f"{middle:.0f} s", str(tries), str(size(best.trace)[0]), why]


def main() -> None:
    """Run the searches that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--defects", default=",".join(WANTED))
    parser.add_argument("--arch", default=",".join(THREE))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--shrink", type=float, default=60)
    parser.add_argument("--check", choices=("with", "without", "both"), default="both")
    args = parser.parse_args()
    head = ["defect", "machine", "checker", "found", "after", "traces", "steps", "as"]
    print("|", " | ".join(head), "|\n|" + "---|" * len(head), flush=True)
    modes = {"with": [True], "without": [False], "both": [False, True]}[args.check]
    for name in args.defects.split(","):
        kernel = CONTROLS[name] if name in CONTROLS else defects.get(name).kernel
        for arch in args.arch.split(","):
            for check in modes:
                hunts = [
                    hunt(
                        arch,
                        kernel,
                        check=check,
                        start=start,
                        seconds=args.seconds,
                        shrink=args.shrink,
                    )
                    for start in range(1, args.seeds + 1)
                ]
                print("|", " | ".join(report(name, arch, hunts, check=check)), "|", flush=True)
                shortest = min((h.trace for h in hunts if h.trace), key=size, default=None)
                if shortest is not None:
                    print("<!--", "; ".join(steps(shortest)), "-->", flush=True)


if __name__ == "__main__":
    main()
