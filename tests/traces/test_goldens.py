"""Transcripts equal those of the kernel's own C code, line by line, byte by byte."""

import itertools
import json
import lzma
from operator import itemgetter
from pathlib import Path

import pytest

import arches
from layout.machine.machine import Machine
from layout.traces.runner import Runner
from layout.traces.trace import parse
from layout.traces.transcript import comparable, encode

FIXTURES = Path(__file__).parents[2] / "fixtures"
TRANSCRIPTS = [
    (path, arch)
    for folder in ("golden", "captured", "extra")
    for path in sorted(FIXTURES.glob(f"{folder}/*.trace"))
    for arch in arches.names()
    if path.with_suffix(f".{arch}.jsonl.xz").exists()
]
SHORT = 100_000
"""Traces below this size in bytes."""


def test_all_transcripts_are_there():
    assert len(TRANSCRIPTS) >= 58 * 3
    assert {arch for _, arch in TRANSCRIPTS} == set(arches.names())


def each_transcript():
    """All of them. Each short trace is quick on one machine, and the machines take turns."""
    for turn, (trace, pairs) in enumerate(itertools.groupby(TRANSCRIPTS, key=itemgetter(0))):
        machines = [arch for _, arch in pairs]
        short = trace.stat().st_size < SHORT
        for arch in machines:
            quick = short and arch == machines[turn % len(machines)]
            marks = () if quick else pytest.mark.long
            yield pytest.param(trace, arch, marks=marks, id=f"{trace.stem}-{arch}")


@pytest.mark.parametrize(("trace", "arch"), list(each_transcript()))
def test_transcript_equals_the_kernels(trace, arch):
    runner = Runner(Machine(arches.get(arch)))
    operations = parse(trace.read_text().split("\n"), runner.machine.arch.ulong_max)
    compared = 0
    with lzma.open(trace.with_suffix(f".{arch}.jsonl.xz"), "rt") as lines:
        for operation, text in zip(operations, lines, strict=True):
            truth = json.loads(text)
            if "livelock" in truth:
                break
            line = json.loads(encode(runner.execute(operation)))
            assert comparable(line) == comparable(truth)
            compared += 1
    assert compared
