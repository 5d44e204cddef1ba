"""What kernels spend on traces, as a table for docs/kernels.md.

``python tests/benchmarks/costs.py --kernel 6.12,7.3 fixtures/golden/*.trace`` prints a line for
each trace: whether the results are the same, and what ``maple-layout compare --costs`` counts.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import arches
from layout.compare.kernels import FIGURES, compare_kernels
from layout.traces.inputs import read_trace

HEADINGS = ("nodes requested", "used", "freed", "bytes written", "cache lines")


def row(path, versions):
    outcome = compare_kernels(read_trace(path), versions, arches.get("x86_64"), costs=True)
    found = outcome.parting
    same = (
        "the same"
        if found is None
        else f"line {found.operation.n}: {found.field} of {found.operation.op}"
    )
    if found is not None and found.field == "error":
        same = f"line {found.operation.n}: no {found.operation.op} in {outcome.with_kernel}"
    if found is not None and found.refused is not None:
        same = f"memory refused otherwise from line {found.refused} on"
    figures = [
        " / ".join(f"{outcome.costs[version][name]:,}" for version in versions) for name in FIGURES
    ]
    return "| " + " | ".join([Path(path).stem, same, *figures]) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("traces", nargs="+")
    parser.add_argument("--kernel", default="6.12,7.3")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    versions = args.kernel.split(",")
    print("| " + " | ".join(["trace", "results", *HEADINGS]) + " |")
    print("|---|---|" + "---:|" * len(HEADINGS))
    with ProcessPoolExecutor(args.jobs) as pool:
        for line in pool.map(partial(row, versions=versions), args.traces):
            print(line, flush=True)


if __name__ == "__main__":
    main()
