"""Traces of a corpus: their files, smaller numbers for 32 bits, and what they do."""

import json
import os
from pathlib import Path

import pytest

import arches
from layout.ckernel.execute import run as run_kernel
from layout.hunt.corpus import (
    digest,
    emulated,
    name_of,
    narrow,
    operations_of,
    read_corpus,
    text_of,
    write_corpus,
)
from layout.memory.errors import InputError

CORPUS = Path(__file__).parents[2] / "fixtures/corpus"
TEXT = "init 1\nstore 10 20 3001\nerase 10\n"


def test_a_corpus_is_what_was_written_last(tmp_path):
    assert write_corpus(tmp_path / "c", [TEXT, "init 0\n"]) == 2
    assert write_corpus(tmp_path / "c", [TEXT]) == 1
    [(name, operations)] = read_corpus(tmp_path / "c").items()
    assert text_of(operations) == TEXT
    assert (tmp_path / "c" / f"{name}.trace").read_text() == TEXT
    (tmp_path / "c" / "bad.trace").write_text("stor 1\n")
    with pytest.raises(InputError, match=r"bad\.trace: line 1: unknown operation 'stor'"):
        read_corpus(tmp_path / "c")
    (tmp_path / "c" / "bad.trace").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"bad\.trace is no trace"):
        read_corpus(tmp_path / "c")


def test_what_somebody_has_put_there_stays(tmp_path):
    """A folder of one's own traces may be given as a corpus: none of them is lost."""
    (tmp_path / "mine.trace").write_text(TEXT)
    (tmp_path / "0123456789ab.trace").write_text("init 3\n")
    write_corpus(tmp_path, ["init 0\n"])
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"mine.trace", name_of("init 0\n") + ".trace"}


def test_a_pipe_in_a_corpus_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.trace")
    with pytest.raises(InputError, match=r"x\.trace is no file"):
        read_corpus(tmp_path)


def test_numbers_for_32_bits_keep_their_order_and_their_distance_from_both_ends():
    indexes = [0, 5, 2**30 - 1, 2**30, 2**40, 2**63, 2**64 - 2**30 - 1, 2**64 - 2**30, 2**64 - 1]
    lines = [f"load {index:x}" for index in indexes]
    narrowed = [each.args[0] for each in narrow(operations_of("\n".join(lines)), arches.get("arm"))]
    assert narrowed == sorted(narrowed)
    assert max(narrowed) == 2**32 - 1
    assert narrowed[:3] == indexes[:3]
    assert narrowed[-2] == 2**32 - 2**30
    poke = narrow(operations_of("poke 1000000100 8 77\nfail -\n"), arches.get("mips"))
    assert (poke[0].args, poke[1].args) == ((0x10000100, 8, 0x77), (-1,))
    same = operations_of("load ffffffffffffffff")
    assert narrow(same, arches.get("s390x")) == same


def test_a_digest_is_that_of_every_byte():
    operations = operations_of("init 0\nstore 10 20 3001\n")
    arch = arches.get("s390x")
    first = digest(emulated(operations, arch, "6.12"))
    assert digest(emulated(operations, arch, "6.12", in_python=True)) == first
    assert digest(emulated(operations, arches.get("x86_64"), "6.12")) != first
    assert digest(emulated(operations_of("init 0\nstore 10 20 3003\n"), arch, "6.12")) != first


def stored(version):
    return json.loads((CORPUS / f"{version}.json").read_text())


NARROW = [pytest.param(name, marks=pytest.mark.long) for name in ("arm", "mips")]


@pytest.mark.parametrize("name", ["x86_64", "s390x", *NARROW])
@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_the_emulator_does_what_the_kernels_own_code_did(version, name):
    traces = read_corpus(CORPUS / version)
    assert sum(len(text_of(each)) for each in traces.values()) < 1 << 20
    digests, arch = stored(version)[name], arches.get(name)
    assert digests.keys() == traces.keys()
    for trace, operations in traces.items():
        found = digest(emulated(narrow(operations, arch), arch, version))
        assert found == digests[trace], f"{version}/{trace} on {name}"


@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_the_stored_digests_cover_both_orders_and_widths(version):
    kinds = {(arches.get(name).order_char, arches.get(name).word_size) for name in stored(version)}
    assert kinds == {("<", 8), (">", 8), ("<", 4), (">", 4)}


@pytest.mark.kernel
@pytest.mark.long
def test_the_digests_are_those_of_the_kernel(built):
    for name, digests in stored("6.12").items():
        arch = arches.get(name)
        program = built(name)
        for trace, operations in read_corpus(CORPUS / "6.12").items():
            outcome = run_kernel(program, narrow(operations, arch), sums=True)
            assert digest(outcome.lines) == digests[trace], f"{trace} on {name}"
