"""The harness makes of the fixtures' traces what the transcripts beside them say."""

import json
import lzma
import time
from pathlib import Path

import pytest
from machines import THREE

import arches
from layout.ckernel import execute
from layout.ckernel.answers import meant
from layout.ckernel.build import PLAIN, SANITIZE, Built
from layout.ckernel.execute import run
from layout.ckernel.programs import Programs
from layout.ckernel.source import _FEATURES as FEATURES
from layout.ckernel.source import KernelSource
from layout.host import children
from layout.memory.errors import InputError, TraceError
from layout.traces.trace import parse
from layout.traces.transcript import comparable

pytestmark = pytest.mark.kernel

FIXTURES = Path(__file__).parents[2] / "fixtures"
CHOSEN = [
    *[(f"golden/{name}", arch) for arch in THREE for name in (
        "01-root-only", "03-descending-alloc", "07b-spanning-stores-alloc", "11-prealloc", "12-dup-and-destroy",
        "15b-fault-injection-alloc-rcu", "17-bulk", "18b-cursor-and-mas-store-alloc-rcu")],
    *[(f"extra/32bit-{name}", arch) for arch in ("arm", "m68k", "mips") for name in ("12-dup-and-destroy", "18-cursor-and-mas-store")],
]  # fmt: skip


def operations(text, arch):
    return list(parse(text.split("\n"), arches.get(arch).ulong_max))


@pytest.mark.parametrize(("name", "arch"), CHOSEN)
def test_transcript_equals_the_recorded_one(built, name, arch):
    trace = FIXTURES / f"{name}.trace"
    outcome = run(built(arch), operations(trace.read_text(), arch))
    with lzma.open(f"{FIXTURES / name}.{arch}.jsonl.xz", "rt") as lines:
        for line, text in zip(outcome.lines, lines, strict=False):
            truth = json.loads(text)
            if "livelock" in truth:
                assert line["fault"]["kind"] == "livelock"
                break
            assert comparable(line) == comparable(truth)
    assert not outcome.failed
    assert outcome.reports == ""


DOUBLE_FREE = "init 0\nbulk ef ef 0 2 2 1001\nrcu on\ndestroy\nload 1\n"


def test_a_crash_loses_nothing_of_what_was_before_it(built):
    outcome = run(built("x86_64"), operations(DOUBLE_FREE, "x86_64"))
    assert [line["n"] for line in outcome.lines] == [1, 2, 3, 4]
    assert outcome.lines[1]["ac"] == ["k1", "kb30", "kb10"]
    assert outcome.lines[3]["fault"] == {
        "kind": "double free",
        "address": "1000000000",
        "message": "kmem_cache_free of a free node",
        "operation": "destroy",
    }
    assert outcome.faulted


STORED = "init 0\nstore 10 20 3001\nstore 30 40 4001\n"


@pytest.mark.parametrize(
    ("arch", "poke", "kind", "address"),
    [
        ("x86_64", "poke fffff0008 7 40", "unmapped", "0"),  # not canonical: no address is told
        ("x86_64", "poke fffff0008 4 50", "unmapped", None),
        ("s390x", "poke fffff0008 3 50", "unmapped", None),
    ],
)
def test_faults_have_a_kind(built, arch, poke, kind, address):
    outcome = run(built(arch), operations(f"{STORED}{poke}\nload 10\n", arch))
    fault = outcome.lines[-1]["fault"]
    assert (fault["kind"], fault["operation"]) == (kind, "load")
    assert address is None or fault["address"] == address
    assert address is not None or fault["address"].startswith("50")


def test_a_store_that_gets_some_nodes_but_not_all_is_a_livelock(built):
    stores = "".join(f"store {i:x}0 {i:x}7 3001\n" for i in range(8))
    outcome = run(
        built("x86_64"), operations(f"init 0\n{stores}fail 1\nstore 1 2 3001\n", "x86_64")
    )
    assert outcome.lines[-1]["fault"]["kind"] == "livelock"
    assert len(outcome.lines) == 11


def test_a_warning_outside_validate_is_told_and_ends_nothing(built):
    outcome = run(built("sparc64"), operations("init 0\nmstore 20 10 3001\nload 10\n", "sparc64"))
    assert outcome.lines[1]["err"] == -22
    assert outcome.lines[1]["printk"].startswith("WARN at mas_store:")
    assert not outcome.faulted


def test_an_endless_loop_ends(built):
    grow = "".join(f"store {i:x}0 {i:x}8 {i:x}001\n" for i in range(1, 40))
    outcome = run(built("x86_64"), operations("init 0\n" + grow + "dump\n", "x86_64"))
    root = next(node for node in outcome.lines[-1]["nodes"] if node["type"] == 2)
    slot = int(root["addr"], 16) + 128
    low = int(root["addr"][-4:-2], 16)
    loop = f"poke {slot:x} 0 16\npoke {slot:x} 1 {low:x}\nload 12\n"
    outcome = run(built("x86_64"), operations("init 0\n" + grow + loop, "x86_64"), seconds=1)
    assert outcome.lines[-1]["fault"]["kind"] == "livelock"
    assert outcome.lines[-1]["op"] == "load"


def test_a_failed_validate_ends_no_run(built):
    for arch in ("x86_64", "s390x"):
        text = "init 0\nstore 10 20 3001\npoke 1000000000 8 77\nvalidate\nload 10\n"
        outcome = run(built(arch), operations(text, arch))
        assert outcome.lines[3]["ok"] is False
        assert "piv 32 < prev_piv" in outcome.lines[3]["printk"]
        assert outcome.lines[4]["op"] == "load"
        assert (outcome.failed, outcome.faulted) == (True, False)


def test_a_poked_byte_says_what_was_there(built):
    text = "init 0\nstore 10 20 3001\npoke 1000000000 3f 77\npoke 1000000000 3f 78\ntreemem\n"
    lines = run(built("s390x"), operations(text, "s390x")).lines
    assert [line["was"] for line in lines[2:4]] == ["00", "77"]
    assert lines[4]["hex"] == "0000000000000004000000100000000e"


def test_sanitizers_see_a_freed_node_being_read(built):
    plain = "init 2\nstore 10 20 3001\ndump\n"
    outcome = run(built("x86_64", SANITIZE), operations(plain, "x86_64"))
    assert (outcome.faulted, outcome.reports) == (False, "")
    stale = "init 0\nstore 10 20 3001\ncset 10\ncfind ff\ndestroy\ncnext ff\n"
    outcome = run(built("x86_64", SANITIZE), operations(stale, "x86_64"))
    assert outcome.faulted
    assert outcome.lines[-1]["op"] == "cnext"
    assert "AddressSanitizer" in outcome.reports


def test_what_the_kernel_lacks_is_named(built):
    kernel = built("x86_64")
    old = kernel.source.__class__(kernel.source.root, "6.1", "", frozenset(), frozenset())
    built_old = kernel.__class__(
        kernel.arch, kernel.mode, old, kernel.directory, kernel.runner, cached=True
    )
    with pytest.raises(TraceError, match=r"line 2: Linux 6\.1 has no dup: take the line out"):
        run(built_old, operations("init 0\ndup 1\n", "x86_64"))


def test_a_reader_holds_callbacks_up(built):
    text = "init 2\nbulk 20 20 0 10 8 1001\nrcu_lock\nstore 4 5 3001\nload 4\nrcu_unlock\n"
    text = text.replace("init 2", "init 0").replace("rcu_lock", "rcu on\nrcu_lock")
    lines = run(built("s390x"), operations(text, "s390x")).lines
    assert [line.get("rcu") for line in lines[-3:]] == [None, None, lines[-1]["rcu"]]
    assert lines[-1]["fr"]
    with pytest.raises(TraceError, match="line 2: rcu_unlock without rcu_lock"):
        run(built("x86_64"), operations("init 0\nrcu_unlock\n", "x86_64"))


@pytest.fixture
def program(tmp_path):
    """Makes a program in the place of the harness, from lines of a shell."""

    def make(text):
        script = tmp_path / "harness"
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
        source = KernelSource(tmp_path, "6.12", "", frozenset(FEATURES), frozenset())
        return Built("x86_64", PLAIN, source, tmp_path, (), cached=False)

    return make


FIRST = '{"n":1,"op":"init"}'


@pytest.mark.parametrize(
    "printed",
    [
        "nonsense", "[]", "{}", "1", '{"n":1}', '{"n":2,"op":"init"}', '{"n":1,"op":"load"}', "[" * 90_000,
        f"{FIRST}\n" * 3, '{"n":1,"op":"init","fault":7}', '{"n":1,"op":"init","fault":{}}', '{"n":' + "1" * 5000 + "}",
    ],
)  # fmt: skip
def test_a_program_that_prints_no_transcript_is_told(program, tmp_path, printed):
    (tmp_path / "printed").write_text(f"{printed}\n")
    built = program(f"cat {tmp_path}/printed")
    with pytest.raises(InputError, match=r"harness prints what is no transcript: "):
        run(built, operations("init 0\nload 1", "x86_64"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"echo '{FIRST}'; printf '{{\"n\":2'; kill -9 $$", "the program ended with SIGKILL"),
        (f"echo '{FIRST}'; kill -40 $$", "the program ended with signal 40"),
        (f"echo '{FIRST}'; exit 7", "the program ended with exit status 7"),
        (
            f"echo '{FIRST}'; printf 'a\\nb\\033%4000d\\n' 1 >&2; exit 1",
            f"the program ended with exit status 1: b\\x1b{' ' * 298}...",
        ),
        (
            f"echo '{FIRST}'; exec sleep 100",
            "the program did nothing for 0.2 s here or later, and was ended",
        ),
        (f"echo '{FIRST}'; sleep 100 & exit 7", "the program ended with exit status 7"),
    ],
)
def test_how_a_program_ended_is_told(program, monkeypatch, text, message):
    monkeypatch.setattr(execute, "IDLE", 0.2)
    outcome = run(program(text), operations("init 0\nload 1", "x86_64"))
    assert outcome.faulted
    assert outcome.lines[0] == json.loads(FIRST)
    assert outcome.lines[1]["fault"] == {
        "kind": "bug", "address": "0", "message": message, "operation": "load",
    }  # fmt: skip


def test_a_program_that_prints_for_ever_is_ended(program, monkeypatch):
    monkeypatch.setattr(children, "MOST", 1 << 20)
    with pytest.raises(InputError, match=r"harness printed more than 1 MiB$"):
        run(program("exec yes"), operations("init 0", "x86_64"))
    with pytest.raises(InputError, match=r"printed more than 1 MiB$"), Programs() as programs:
        run(program("exec yes"), operations("init 0", "x86_64"), programs=programs)


def test_a_fault_before_the_first_operation_is_of_it(program):
    """The tree is looked at before it is emptied."""
    found = meant(program("kill -40 $$"), operations("init 0", "x86_64"))
    assert (
        found.wrong.message == "line 1 (init 0): then dump stops: the program ended with signal 40"
    )


def test_a_child_that_a_program_leaves_is_not_waited_for(program):
    begin = time.monotonic()
    with Programs() as programs:
        outcome = run(
            program("sleep 100 & exit 7"), operations("init 0", "x86_64"), programs=programs
        )
    assert outcome.lines[-1]["fault"]["message"] == "the program ended with exit status 7"
    assert time.monotonic() < begin + 30
