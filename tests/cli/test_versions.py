"""--kernel: every verb that carries out or reads trees does it as that kernel."""

import json
import lzma
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

FIXTURES = Path(__file__).parents[2] / "fixtures"
TRACE = FIXTURES / "golden/07-spanning-stores.trace"
BULK = "init 0\nbulk 5 5 0 2 2 1001\nstore 1 2 3001\n"

VERBS = [
    "run TRACE",
    "dump TRACE",
    "validate TRACE",
    "decode TRACE",
    "draw TRACE",
    "export TRACE --format raw -o OUT",
    "compare TRACE",
    "explore TRACE -o OUT",
    "defects R1",
    "conformance --list",
    "record TRACE -o OUT",
]


def words(line, trace, tmp_path):
    given = {"TRACE": str(trace), "OUT": str(tmp_path / "out")}
    return [given.get(word, word) for word in line.split()]


def transcript(version, name):
    folder = FIXTURES / f"golden{version[0]}{version[2]}"
    with lzma.open(folder / f"{name}.s390x.jsonl.xz", "rt") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize("version", ["6.18", "7.9", "6.1"])
@pytest.mark.parametrize("line", VERBS)
def test_an_unknown_version_is_told_in_one_line(run, tmp_path, line, version):
    code, out, err = run(*words(line, TRACE, tmp_path), "--kernel", version)
    assert (code, out) == (2, "")
    assert err == (
        f"maple-layout: operations of kernel '{version}' are not known: "
        "choose one of 6.12, 7.2, 7.3\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", ["seven", "6.12.x", "5.4", ""])
@pytest.mark.parametrize("line", VERBS)
def test_what_is_no_version_is_told_in_one_line(run, tmp_path, line, version):
    code, out, err = run(*words(line, TRACE, tmp_path), "--kernel", version)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"'{version}'" in err
    assert "choose one of 6.1" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", ["7.2", "7.3"])
def test_dump_has_the_bytes_of_that_kernel(run, version):
    dumps = [line for line in transcript(version, TRACE.stem) if line["op"] == "dump"]
    line = max(dumps, key=lambda line: len(line["nodes"]))
    code, out, _ = run(
        *("dump", TRACE, "--kernel", version, "--arch", "s390x", "--at", line["n"]),
        *("--format", "json", "--tree", line["tree"]),
    )
    found = json.loads(out)
    assert code == 0
    assert (found["root"], found["flags"]) == (line["root"], line["flags"])
    wanted = [(node["addr"], node["hex"]) for node in line["nodes"]]
    assert [(node["addr"], node["hex"]) for node in found["nodes"]] == wanted
    assert len(wanted) > 3


def test_kernels_put_the_same_ranges_into_other_nodes(run):
    found = {}
    for version in ("6.12", "7.3"):
        code, out, _ = run("decode", TRACE, "--kernel", version, "--at", "150", "--json")
        dumped = run("dump", TRACE, "--kernel", version, "--at", "150")[1]
        assert code == 0
        found[version] = json.loads(out)["ranges"], dumped
    assert found["6.12"][0] == found["7.3"][0] != []
    assert found["6.12"][1] != found["7.3"][1]


@pytest.mark.parametrize("line", [line for line in VERBS if "record" not in line])
def test_7_3_does_it(run, tmp_path, line):
    code, out, err = run(*words(line, TRACE, tmp_path), "--kernel", "7.3")
    assert (code, err) == (0, "")
    assert out


def test_an_exported_tree_comes_back(run, tmp_path):
    core = tmp_path / "it.core"
    run("export", TRACE, "--kernel", "7.3", "--at", "150", "--format", "elf", "-o", core)
    tree = ("--tree", "fffff0000", "--kernel", "7.3", "--lock-size", "4")
    there = json.loads(run("decode", core, *tree, "--json")[1])
    here = json.loads(run("decode", TRACE, "--kernel", "7.3", "--at", "150", "--json")[1])
    assert there == here
    assert here["height"] >= 2


def test_mt_dump_of_an_empty_tree_is_that_kernels(run, tmp_path):
    trace = tmp_path / "t.trace"
    trace.write_text("init 0\n")
    texts = [
        run("dump", trace, "--format", "mt", "--kernel", version)[1] for version in ("6.12", "7.2")
    ]
    assert "(empty)" not in texts[0]
    assert texts[1].endswith("(empty)\n")


@pytest.mark.parametrize("line", ["dump TRACE", "validate TRACE", "export TRACE --format raw -o O"])
def test_what_a_kernel_has_not_is_told(run, tmp_path, line):
    trace = tmp_path / "t.trace"
    trace.write_text(BULK)
    code, out, err = run(*words(line, trace, tmp_path), "--kernel", "7.2")
    assert (code, out) == (2, "")
    assert err == (
        f"maple-layout: {trace}, line 2: bulk: Linux 7.2 has no mas_expected_entries: "
        "take the line out, or give another --kernel\n"
    )
    assert run(*words("dump TRACE", trace, tmp_path))[0] == 0


def test_machines_agree_on_what_a_kernel_has_not(run, tmp_path):
    trace = tmp_path / "t.trace"
    trace.write_text(BULK)
    code, out, _ = run("compare", trace, "--kernel", "7.2")
    assert code == 0
    assert out.startswith("equal on x86_64, s390x, sparc64: ")


def test_run_goes_on_and_says_so(run, tmp_path):
    trace = tmp_path / "t.trace"
    trace.write_text(BULK)
    code, out, err = run("run", trace, "--kernel", "7.3")
    assert code == 0
    assert json.loads(out.splitlines()[1]) == {"n": 2, "op": "bulk", "error": "not in this kernel"}
    assert err.startswith("maple-layout: 1 line calls a function that Linux 7.3 has not")


def test_defects_of_code_that_is_still_the_same(run):
    known = {each["id"] for each in json.loads(run("defects", "--json")[1])}
    later = {each["id"] for each in json.loads(run("defects", "--kernel", "7.3", "--json")[1])}
    assert {"R1", "R2", "R5", "D3", "D9"} < later < known
    assert {"R4", "R6", "D1", "D6", "D8"} == known - later
    code, out, _ = run("defects", "R2", "--kernel", "7.3", "--arch", "s390x", "--json")
    shown = json.loads(out)
    assert (code, shown["shows"], shown["arches"]["s390x"]["correct"]) == (0, True, "ok")


def test_a_defect_of_code_that_is_another_is_refused(run):
    code, out, err = run("defects", "D6", "--kernel", "7.3")
    assert (code, out) == (2, "")
    assert err == (
        "maple-layout: D6 changes seam_store_type_in_leaf, and kernel 7.3 has another "
        "seam_store_type_in_leaf: leave out --kernel, or take 6.12\n"
    )


def test_recorded_lines_do_not_depend_on_the_kernel(run, tmp_path):
    log = FIXTURES / "strace/cat.log"
    texts = []
    for version in ("6.12", "7.3"):
        target = tmp_path / version
        assert run("record", log, "-o", target, "--kernel", version)[0] == 0
        texts.append(target.read_text())
    assert texts[0] == texts[1]
    assert texts[0].count("prealloc") > 10
