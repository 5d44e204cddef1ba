"""Warnings and crashes of the kernel's own code, as every command tells them."""

import json

import pytest

from layout.ckernel.fuzz import Options, fuzz
from layout.ckernel.oracle import Limits
from layout.ckernel.pair import pair_of
from layout.ckernel.versus import versus
from layout.ckernel.words import stopped, warned
from layout.cli.main import main

END = "ma_set_meta(node, maple_leaf_64, 0, slot);"


def test_a_warning_is_told_with_its_place():
    assert warned({}) == "none"
    assert warned({"warn": 1}) == "1"
    assert warned({"warn": 1, "warn_last": "f:3 x"}) == "1, at f:3 x"
    assert warned({"warn": 2, "warn_last": "f:3 x"}) == "2, the last at f:3 x"


@pytest.mark.parametrize(
    ("kind", "address", "message", "told"),
    [
        ("null", "2b", "signal 11 (SIGSEGV)", "signal 11 (SIGSEGV) in next, address 2b"),
        ("null", "0", "signal 11 (SIGSEGV)", "signal 11 (SIGSEGV) in next, address 0"),
        ("unmapped", "0", "signal 11 (SIGSEGV)", "signal 11 (SIGSEGV) in next"),
        ("livelock", "0", "still running after 10 s", "livelock: still running after 10 s in next"),
        ("bug", "0", "signal 6 (SIGABRT)", "signal 6 (SIGABRT) in next"),
        ("double free", "10", "of a free node", "double free: of a free node in next"),
    ],
)
def test_a_crash_is_told_with_its_place(kind, address, message, told):
    fault = {"kind": kind, "address": address, "message": message, "operation": "next"}
    assert stopped(fault) == told
    assert stopped(None) == "none"


@pytest.fixture(scope="module")
def warns(change_6_12, built_of):
    """6.12 with a warning where a tree gets its first node: by any operation that stores."""
    source = change_6_12(END, f"{END} WARN_ON(slot);")
    return built_of(source, "x86_64")


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "warn.trace"
    path.write_text("init 0\nload 1\nstore 10 20 3001\n")
    return str(path)


@pytest.mark.kernel
def test_the_place_of_a_warning_is_shown(warns, kernel_6_12, trace, capsys):
    line = next(
        number
        for number, text in enumerate(warns.source.code.read_text().splitlines(), 1)
        if "WARN_ON(slot);" in text
    )
    place = f"mas_root_expand:{line} slot"
    source = ["--source", str(warns.source.root)]
    for words, told in (
        (
            ["kernel", "diff", trace, "--arch", "x86_64"],
            f"warn: kernel 1, at {place}, emulator none",
        ),
        (
            ["kernel", "compare", trace, "--against", str(kernel_6_12.root)],
            f"warn is 1, at {place} and none",
        ),
        (
            ["bisect", trace, "--until", "kernel"],
            f"warn: the kernel has 1, at {place}, the emulator none",
        ),
    ):
        assert main([*words, *source]) == 1
        assert told in capsys.readouterr().out
    assert main(["kernel", "diff", trace, "--arch", "x86_64", "--json", *source]) == 1
    found = json.loads(capsys.readouterr().out)["arches"]["x86_64"]["first_difference"]
    assert found["values"] == [f"1, at {place}", "none"]


@pytest.mark.kernel
def test_one_warning_is_one_cause(warns, built, tmp_path):
    """Whichever operations meet it."""
    options = Options(seconds=60, traces=40, shrink_seconds=2, results_only=False)
    campaign = fuzz([warns], options, tmp_path, lambda _: None)
    [found] = campaign.found
    assert found.cause.field == "warn"
    assert str(found.cause).startswith("warning, mas_root_expand:")
    assert len({kind[1] for kind in found.kinds}) > 2
    assert found.times > len(found.kinds)
    assert [path.name for path in tmp_path.glob("*.trace")] == [found.path.name]
    pair = pair_of(warns, built("x86_64"), results=False)
    [other] = versus([pair], Limits(seconds=60, traces=20, shrink_seconds=2), None, print).found
    assert other.times > 2
    assert other.parting.field == "warn"


@pytest.mark.kernel
def test_a_crash_is_told_and_what_shows_its_line(change_6_12, built_of, kernel_6_12, trace, capsys):
    source = change_6_12(END, "*(volatile char *)0x2b = slot;")
    built_of(source, "x86_64")
    words = ["--source", str(source.root)]
    told = "signal 11 (SIGSEGV) in store, address 2b"
    command = (
        f"  the line of C code: maple-layout kernel run {trace} {' '.join(words)} --sanitize\n"
    )
    assert main(["kernel", "diff", trace, "--arch", "x86_64", "--shrink", "0", *words]) == 1
    out = capsys.readouterr().out
    assert f"  the kernel's code stopped: {told}\n{command}" in out
    assert "{" not in out
    assert main(["kernel", "compare", trace, "--against", str(kernel_6_12.root), *words]) == 1
    assert f"fault is {told} and none\n{command}" in capsys.readouterr().out
    assert main(["bisect", trace, "--until", "kernel", "--shrink", "0", *words]) == 1
    assert f"  the kernel's code stopped: {told}\n" in capsys.readouterr().out
    assert main(["kernel", "test", trace, "--check", *words]) == 1
    err = capsys.readouterr().err
    assert "fails: the kernel's code stopped: signal 11 (SIGSEGV) in test, address 2b, on " in err
    assert f"maple-layout: {command.strip()}\n" in err
