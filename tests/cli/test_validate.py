"""maple-layout validate: output as text and JSON, and exit codes."""

import json
from pathlib import Path

import pytest
from machines import THREE

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
MEDIUM = CAPTURES / "x86_64-6.12.117-medium.json"

TRACE = """init 1
store 0 ff 11111000
store 200 2ff 22222000
poke 1000000000 f8 9
poke 1000000000 f9 1
"""


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "broken.trace"
    path.write_text(TRACE)
    return path


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*medium.json")), ids=lambda path: path.name)
def test_a_valid_capture(run, path):
    nodes = len(json.loads(path.read_bytes())["nodes"])
    code, out, err = run("validate", path)
    assert (code, out, err) == (0, f"valid: {nodes} nodes visited, height 2\n", "")
    code, out, err = run("validate", path, "--json")
    assert (code, json.loads(out), err) == (0, {"valid": True, "violations": []}, "")


def test_a_core(run):
    core = CAPTURES / "s390x-6.12.95.core.xz"
    code, out, err = run("validate", core, "--tree", "2038100", "--json")
    assert (code, json.loads(out)["valid"], err.count("\n")) == (0, True, 1)
    assert run("validate", core)[0] == 2


@pytest.mark.parametrize("arch", THREE)
def test_text(run, trace, arch):
    code, out, err = run("validate", trace, "--arch", arch)
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "1000000000+248 data end: expected 3, found 9 [mas_validate_limits]",
        "1000000000+249 metadata gap: expected 0, found 1",
        "2 violations: 1 node visited, height 1",
    ]
    assert run("validate", trace, "--at", "3")[:2] == (0, "valid: 1 node visited, height 1\n")


@pytest.mark.parametrize("arch", THREE)
def test_json(run, trace, arch):
    code, out, err = run("validate", trace, "--arch", arch, "--json")
    assert (code, err) == (1, "")
    assert json.loads(out) == {
        "valid": False,
        "violations": [
            {
                "node": "1000000000",
                "offset": 248,
                "rule": "data end",
                "expected": "3",
                "actual": "9",
                "kernel_check": "mas_validate_limits",
                "cause": "",
            },
            {
                "node": "1000000000",
                "offset": 249,
                "rule": "metadata gap",
                "expected": "0",
                "actual": "1",
                "kernel_check": "",
                "cause": "",
            },
        ],
    }


def test_a_pointer_into_nowhere_is_a_violation(run, tmp_path):
    doc = json.loads(MEDIUM.read_text())
    lost = doc["nodes"].pop()["addr"][2:]
    path = tmp_path / "torn.json"
    path.write_text(json.dumps(doc))
    code, out, err = run("validate", path, "--json")
    assert (code, err) == (1, "")
    (found,) = json.loads(out)["violations"]
    assert found["rule"] == "node readable"
    assert found["actual"].startswith(lost[:-2])


def test_wrong_usage(run, tmp_path):
    for words in ((), (tmp_path / "none",), (MEDIUM, "--frob"), (MEDIUM, "--at", "3")):
        code, out, err = run("validate", *words)
        assert (code, out, err.count("\n")) == (2, "", 1)
