"""Holds what a kernel's tree operations return against a plain model of ranges.

    python tests/campaigns/meaning.py [--kernel 6.12] [--arch x86_64,arm] [--seconds 60] [--start 0]

The question is not whether the emulator does what the kernel does, which kernel fuzz asks, but
whether the kernel does what its API says. ``maple-layout kernel fuzz --meaning`` asks it of the
kernel's own code; this asks the emulator. What is forgiven is in layout.traces.meaning. Each wrong answer is shrunk and printed
once; ``maple-layout kernel diff`` says whether the kernel's own code gives it too.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import arches
from layout.ckernel.generate import generate
from layout.machine.equip import equip
from layout.memory.errors import TraceError, UsageError
from layout.memory.structs import DEFAULT_VERSION
from layout.testing.checked import CheckedRunner, WrongResultError
from layout.testing.known import FreesAllItKilled
from layout.traces.shrink import shrink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arches import Arch
    from layout.traces.trace import Operation

EVERY = 5
"""Writes after which whole trees are compared."""
SHRINKING = 20.0
"""Seconds that the shrinking of a trace may take."""


class Wrong(NamedTuple):
    """An operation that answers wrongly, and how."""

    operation: Operation
    message: str

    @property
    def kind(self) -> str:
        """The same for all traces that fail alike: the message without its numbers."""
        message = self.message.partition("): ")[2]
        return f"{self.operation.op}: {re.sub(r'-?[0-9a-f]+', '#', message)}"


class Counts(NamedTuple):
    """What a campaign did, and how often it found what."""

    traces: int
    operations: int
    kinds: Counter[str]


def wrong(operations: Sequence[Operation], arch: Arch, version: str) -> Wrong | None:
    """The first wrong answer of a trace."""
    known = [FreesAllItKilled] if version == DEFAULT_VERSION else []
    runner = CheckedRunner(equip(arch, version=version, kernels=known), every=EVERY)
    operation = operations[0]
    try:
        for operation in operations:
            runner.execute(operation)
        runner.check_trees()
    except WrongResultError as error:
        return Wrong(operation, str(error))
    except (UsageError, TraceError):
        return None
    return None


def campaign(names: Sequence[str], version: str, *, seconds: float, start: int = 0) -> Counts:
    """Make and judge traces until the time is up; print each kind of wrong answer once."""
    end = time.monotonic() + seconds
    kinds: Counter[str] = Counter()
    traces = done = 0
    seed = start
    while time.monotonic() < end:
        for name in names:
            arch = arches.get(name)
            made = generate(seed, arch, version=version, without=frozenset({"poke"}), until=end)
            traces += 1
            done += len(made.operations)
            found = wrong(made.operations, arch, version)
            if found is None:
                continue
            kinds[found.kind] += 1
            if kinds[found.kind] == 1:
                _tell(found, made.operations, arch, version)
        seed += 1
    return Counts(traces, done, kinds)


def _tell(found: Wrong, operations: Sequence[Operation], arch: Arch, version: str) -> None:
    def still(candidate: Sequence[Operation]) -> bool:
        again = wrong(candidate, arch, version)
        return again is not None and again.kind == found.kind

    upto = [each for each in operations if each.n <= found.operation.n]
    kept = shrink(upto, still, seconds=SHRINKING)
    shown = wrong(kept, arch, version) or found
    print(f"{version} on {arch.name}: {shown.message}")
    print(*(f"    {operation}" for operation in kept), sep="\n", flush=True)


def main() -> int:
    """Run a campaign; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kernel", default=DEFAULT_VERSION)
    parser.add_argument("--arch", default="x86_64,arm")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--start", type=int, default=0)
    args = parser.parse_args()
    names = args.arch.split(",")
    counts = campaign(names, args.kernel, seconds=args.seconds, start=args.start)
    print(f"{counts.traces} traces, {counts.operations} operations: {dict(counts.kinds) or 'none'}")
    return 1 if counts.kinds else 0


if __name__ == "__main__":
    sys.exit(main())
