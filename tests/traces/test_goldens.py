"""Transcripts equal those of the kernel's own C code, line by line, byte by byte."""

import json
import lzma
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


def test_all_transcripts_are_there():
    assert len(TRANSCRIPTS) >= 58 * 3
    assert {arch for _, arch in TRANSCRIPTS} == set(arches.names())


@pytest.mark.parametrize(
    ("trace", "arch"), TRANSCRIPTS, ids=[f"{path.stem}-{arch}" for path, arch in TRANSCRIPTS]
)
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
