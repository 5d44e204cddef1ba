"""Transcripts equal those of the kernel's own C code, line by line, byte by byte."""

import itertools
import json
import lzma
from collections import Counter
from operator import itemgetter
from pathlib import Path

import pytest

import arches
from layout.machine.machine import Machine
from layout.traces.runner import Runner
from layout.traces.trace import parse
from layout.traces.transcript import comparable, encode
from layout.tree.versions import KERNELS, kernel_of

FIXTURES = Path(__file__).parents[2] / "fixtures"
TRACES = [
    path
    for folder in ("golden", "captured", "extra")
    for path in sorted(FIXTURES.glob(f"{folder}/*.trace"))
]
FOLDERS = {"6.12": "", "7.2": "golden72", "7.3": "golden73"}
"""Where the transcripts of a kernel are; those of 6.12 lie beside their traces."""


def transcript(trace, arch, kernel):
    folder = FIXTURES / FOLDERS[kernel] if FOLDERS[kernel] else trace.parent
    return folder / f"{trace.stem}.{arch}.jsonl.xz"


TRANSCRIPTS = [
    (path, arch, kernel)
    for kernel in KERNELS
    for path in TRACES
    for arch in arches.names()
    if transcript(path, arch, kernel).exists()
]
SHORT = 100_000
"""Traces below this size in bytes."""


def test_all_transcripts_are_there():
    count = Counter(kernel for _, _, kernel in TRANSCRIPTS)
    assert count["6.12"] >= 58 * 3
    assert count["7.2"] >= 33 * 2 + 12
    assert count["7.3"] >= 33 * 3 + 2 + 12
    on = {kernel: {arch for _, arch, its in TRANSCRIPTS if its == kernel} for kernel in KERNELS}
    assert on["6.12"] == set(arches.names())
    assert on["7.2"] == {"arm", "mips", "s390x", "x86_64"}
    assert on["7.3"] == {"arm", "mips", "s390x", "sparc64", "x86_64"}


def each_transcript():
    """All of them. Of a kernel, each short trace is quick on one machine; machines take turns."""
    groups = itertools.groupby(TRANSCRIPTS, key=itemgetter(0, 2))
    for turn, ((trace, kernel), found) in enumerate(groups):
        machines = [arch for _, arch, _ in found]
        short = trace.stat().st_size < SHORT
        for arch in machines:
            quick = short and arch == machines[turn % len(machines)]
            marks = () if quick else pytest.mark.long
            name = f"{trace.stem}-{arch}-{kernel}"
            yield pytest.param(trace, arch, kernel, marks=marks, id=name)


@pytest.mark.parametrize(("trace", "arch", "kernel"), list(each_transcript()))
def test_transcript_equals_the_kernels(trace, arch, kernel):
    runner = Runner(Machine(arches.get(arch), kernel=kernel_of(kernel)))
    operations = parse(trace.read_text().split("\n"), runner.machine.arch.ulong_max)
    compared = 0
    with lzma.open(transcript(trace, arch, kernel), "rt") as lines:
        for operation, text in zip(operations, lines, strict=True):
            truth = json.loads(text)
            if "livelock" in truth:
                break
            line = json.loads(encode(runner.execute(operation)))
            assert comparable(line) == comparable(truth)
            compared += 1
    assert compared


@pytest.mark.parametrize("kernel", ["7.2", "7.3"])
def test_what_a_kernel_has_not_is_told_and_the_run_goes_on(kernel):
    runner = Runner(Machine(arches.get("s390x"), kernel=kernel_of(kernel)))
    lines = ["init 0", "bulk 5 5 0 2 2 1001", "expect_raw 9", "store 1 2 3001"]
    done = [runner.execute(each) for each in parse(lines, runner.machine.arch.ulong_max)]
    assert done[1] == {"n": 2, "op": "bulk", "error": "not in this kernel"}
    assert done[2] == {"n": 3, "op": "expect_raw", "error": "not in this kernel"}
    assert done[3]["ret"] == 0
    assert not runner.faulted
