"""Damaged dumps and texts: one clear line or a result, in bounded time, never a traceback."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

import arches
from layout.images.anymemory import open_memory
from layout.images.decode import decode
from layout.images.kinds import kind_of
from layout.images.opening import read_image
from layout.images.packed import open_bytes
from layout.images.scan import scan
from layout.images.treestruct import Known
from layout.memory.errors import InputError, UsageError

pytestmark = pytest.mark.long

FIXTURES = Path(__file__).parents[2] / "fixtures"
TREE = 0xFFFF8A368405B740
SECONDS = 20


def outcome(data, arch):
    """What comes of an input: the line of a refusal, or None."""
    started = time.process_time()
    machine = arches.get(arch)
    line = None
    try:
        kind = kind_of(data, "f", binary=True)
        image = read_image(
            data,
            "f",
            kind,
            folder=Path(),
            tree=TREE,
            arch=machine,
            known=Known(),
            base=None,
            direct_map=None,
        )
        decode(image.memory, image.tree)
    except (InputError, UsageError) as error:
        line = str(error)
        assert "\n" not in line
    assert time.process_time() - started < SECONDS
    return line


@pytest.fixture(scope="module")
def small_core():
    """The first 60 KB of a real core, headers and notes, made a whole file by zeros."""
    data, _ = open_bytes(str(FIXTURES / "memory" / "x86_64-6.12.117.elf-paging.xz"))
    return bytes(data[: 12 << 10])


def test_a_real_core_cut_short(small_core):
    for length in range(4, len(small_core), 97):
        assert outcome(small_core[:length], "x86_64").endswith("fetch it again")


@pytest.mark.parametrize("seed", range(8))
def test_real_headers_with_changed_bytes(small_core, seed):
    rng = random.Random(seed)
    whole = small_core + bytes(1 << 20)
    for _ in range(25):
        core = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            core[rng.randrange(0x2DA8)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        outcome(bytes(core), "x86_64")
        try:
            memory = open_memory(bytes(core), "f", Path(), arch=None, known=Known(), base=None)
            scan(memory.store, memory.arch, "f", memory.known)
        except (InputError, UsageError) as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    "name", ["gdb-gx", "drgn-structs", "drgn-read", "syslog", "xxd", "crash-rd"]
)
def test_text_with_changed_characters(name):
    rng = random.Random(name)
    text = (FIXTURES / "paste" / f"{name}.txt").read_bytes()
    for _ in range(60):
        data = bytearray(text)
        for _ in range(rng.randint(1, 12)):
            at = rng.randrange(len(data))
            change = rng.random()
            if change < 0.4:
                data[at] = rng.choice(b"0123456789abcdefx:{}(),.*\n\t ")
            elif change < 0.7:
                del data[at : at + rng.randrange(200)]
            else:
                data[at:at] = data[: rng.randrange(100)]
        outcome(bytes(data), "x86_64")


@pytest.mark.parametrize(
    "line",
    [
        b"0" * 65000,
        b"ffff888000001000:" + b" 00" * 20000 + b"g",
        b"ffff888000001000: " + b"00000000 " * 7000 + b"g",
        b"ffff888000001000  " + b"00 " * 20000,
        b"[" + b" " * 60000,
        b"*(struct maple_node *)0x1000 = {" + b".slot = (void *[31]){ " * 2000,
        b"x" * 5_000_000,
    ],
)
def test_lines_that_could_take_for_ever(line):
    outcome(line + b"\nffff888000001000: 0000000000000001\n", "x86_64")
