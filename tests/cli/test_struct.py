"""maple-layout struct: layouts as text and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

LAYOUTS = Path(__file__).parents[2] / "fixtures" / "layouts"


@pytest.mark.parametrize("version", ["6.1", "6.12"])
@pytest.mark.parametrize("arch", ["x86_64", "s390x", "sparc64"])
def test_json(run, version, arch):
    known = json.loads((LAYOUTS / f"layouts-{version}.json").read_text())[arch]
    _, listed, _ = run("struct", "--list", "--json", "--kernel", version, "--arch", arch)
    assert set(json.loads(listed)) == set(known) - {"tables", "byteorder"}
    for name in json.loads(listed):
        code, out, err = run("struct", name, "--json", "--kernel", version, "--arch", arch)
        assert (code, err) == (0, "")
        assert json.loads(out) == known[name]


def test_defaults_are_x86_64_and_6_12(run):
    assert run("struct", "ma_state") == run(
        "struct", "ma_state", "--arch", "x86_64", "--kernel", "6.12.117", "--lock-size", "4"
    )
    assert "/* size: 72, members: 13 */" in run("struct", "ma_state")[1]
    assert "/* size: 64, members: 10 */" in run("struct", "ma_state", "--kernel", "6.1")[1]


def test_names_in_any_form(run):
    assert run("struct", "struct", "maple_node") == run("struct", "struct maple_node")
    assert run("struct", "maple_node") == run("struct", "struct maple_node")
    assert run("struct", "enum", "maple_type")[1].startswith("enum maple_type {\n")


def test_lock_size(run):
    _, out, _ = run("struct", "maple_tree", "--lock-size", "0", "--arch", "sparc64")
    assert "ma_flags;                        /*     0     4 */" in out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "struct needs the NAME of one: maple_metadata, "),
        (["vm_area"], "no struct 'vm_area' in 6.12: choose one of maple_metadata, "),
        (["store_type", "--kernel", "6.1"], "no struct 'store_type' in 6.1"),
        (["ma_state", "--kernel", "4.4"], "kernel version '4.4' is not known: choose one of 6.1, "),
        (["ma_state", "--arch", "vax"], "unknown architecture 'vax': choose one of aarch64, "),
    ],
)
def test_wrong_usage(run, words, text):
    code, out, err = run("struct", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert text in err
