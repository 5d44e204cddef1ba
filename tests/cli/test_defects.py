import json

import pytest
from machines import THREE

from layout import defects


def test_list(run):
    code, out, err = run("defects")
    assert (code, err) == (0, "")
    assert all(f" {name} " in out for name in defects.names())


def test_list_json(run):
    code, out, _ = run("defects", "--json")
    found = json.loads(out)
    assert code == 0
    assert [one["id"] for one in found] == list(defects.names())
    assert found[0]["arches"] == list(THREE)
    assert found[4]["id"] == "R3a"
    assert found[4]["affected"] == ["s390x", "sparc64"]


def test_one(run):
    code, out, err = run("defects", "R1")
    assert (code, err) == (0, "")
    assert "R1 shows as documented." in out
    assert "Failing address" in out


def test_one_json(run):
    code, out, _ = run("defects", "r1", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["id"], found["shows"]) == ("R1", True)
    assert {arch: one["outcome"] for arch, one in found["arches"].items()} == {
        "x86_64": "fault",
        "s390x": "fault",
        "sparc64": "fault",
    }
    assert found["arches"]["s390x"]["detail"].startswith("next = 0e00000000000000; ")
    for one in found["arches"].values():
        assert one["correct"] == "ok"
        assert one["checker"] == ["metadata read as slot"]
        assert one["ledger"]["requested"] == 1


@pytest.mark.slow
def test_all_variants(run):
    code, out, _ = run("defects", "R3", "--json")
    found = json.loads(out)
    assert (code, found["id"], found["shows"]) == (0, "R3", True)
    assert [one["id"] for one in found["variants"]] == ["R3a", "R3b", "R3c", "R3d", "R3e"]
    outcomes = [[one["arches"][arch]["outcome"] for one in found["variants"]] for arch in THREE]
    assert outcomes[0] == ["ok", "fault", "fault", "leak", "ok"]
    assert outcomes[1] == outcomes[2] == ["fault", "ok", "fault", "leak", "ok"]


def test_does_not_show(run, monkeypatch):
    import dataclasses

    harmless = dataclasses.replace(defects.get("R1"), kernel=defects.get("R3e").kernel)
    monkeypatch.setitem(defects.DEFECTS, "R1", harmless)
    code, out, _ = run("defects", "R1", "--arch", "s390x")
    assert code == 1
    assert "R1 does not show as documented on s390x" in out


@pytest.mark.parametrize("words", [["R99"], ["R99", "--json"], ["R99", "--trace"]])
def test_unknown_name(run, words):
    code, out, err = run("defects", *words)
    assert (code, out) == (2, "")
    assert "unknown defect 'R99': there are R1, R1b, R1c, R2, R3a" in err
    assert err.count("\n") == 1


def test_options_without_a_name(run):
    code, _, err = run("defects", "--trace")
    assert code == 2
    assert "need the NAME of a defect" in err


def test_trace_to_run_and_compare(run, tmp_path):
    code, text, _ = run("defects", "R1", "--trace")
    assert code == 0
    trace = tmp_path / "r1.trace"
    trace.write_text(text)
    code, out, _ = run("run", trace, "--arch", "sparc64", "--defect", "R1")
    assert code == 0
    assert json.loads(out.splitlines()[-1])["entry"] == "e00000000000000"
    assert run("compare", trace)[0] == 0
    code, out, _ = run("compare", trace, "--defect", "R1")
    assert code == 1
    assert "cnext): entry: x86_64 has e, s390x has e00000000000000" in out


def test_a_bug_with_variants_is_no_switch(run, tmp_path):
    trace = tmp_path / "t"
    trace.write_text("init 0\n")
    code, _, err = run("run", trace, "--defect", "R3")
    assert code == 2
    assert "R3 has variants: name one of R3a" in err


def test_two_images_take_no_defect(run, tmp_path):
    trace = tmp_path / "t"
    trace.write_text("init 0\n")
    code, _, err = run("compare", trace, trace, "--defect", "R1")
    assert code == 2
    assert "leave it out" in err


def test_the_order_that_shows_it(run):
    code, out, err = run("defects", "R5", "--arch", "sparc64")
    assert (code, err) == (0, "")
    assert "R5 shows as documented." in out
    at = out.index("fork and swapoff: swapoff follows the marker in 1 of 3 orders (sparc64)")
    lines = out[at:].splitlines()
    start = lines.index("    fork              swapoff")
    assert lines[start + 2 :][:10] == [
        "    mmap_write_lock",
        "    mt_dup",
        "    copy 1000000",
        "    copy 1100000",
        "    dup_mmap failed",
        "                      mmap_read_lock",
        "                      mas_find, vma->vm_start",
        "                      mas_find, vma->vm_start",
        "                      ! Kernel unaligned access at TPC[...]",
        "                      ! Unable to handle kernel NULL pointer dereference in mna handler",
    ]


def test_orders_as_json(run):
    code, out, _ = run("defects", "R5", "--json")
    found = json.loads(out)
    assert (code, found["shows"]) == (0, True)
    outcomes = {arch: one["outcome"] for arch, one in found["arches"].items()}
    assert outcomes == {"x86_64": "fault", "s390x": "wrong result", "sparc64": "fault"}
    [shown] = found["arches"]["s390x"]["schedules"]
    assert (shown["shown"], shown["orders"]) == (1, 3)
    assert shown["wrong"] == "swapoff finds child's, 406, parent's"
    assert shown["lines"][0].split() == ["fork", "swapoff"]


def test_warnings_of_the_ledger(run):
    code, out, _ = run("defects", "R4", "--json", "--arch", "s390x")
    warnings = json.loads(out)["arches"]["s390x"]["ledger"]["warnings"]
    assert code == 0
    assert warnings[0].startswith("preallocation spent by another write: ")
    assert warnings[1].endswith("the next store of the same state before any read")


def test_a_mistake_of_callers_is_no_switch(run, tmp_path):
    trace = tmp_path / "t"
    trace.write_text("init 0\n")
    code, out, err = run("run", trace, "--arch", "s390x", "--defect", "R5")
    assert (code, out) == (2, "")
    assert "R5 is a mistake of the tree's callers" in err
    assert err.count("\n") == 1


def test_a_machine_without_address_spaces(run):
    code, out, err = run("defects", "R5", "--arch", "m68k")
    assert (code, out) == (2, "")
    assert "where processes map memory on m68k is not known" in err


def test_variants_that_play_on_their_own_machines_alone(run):
    code, out, _ = run("defects", "R1", "--arch", "powerpc64", "--json")
    assert code == 0
    assert json.loads(out)["arches"]["powerpc64"]["outcome"] == "fault"
    code, out, err = run("defects", "R1c", "--arch", "s390x")
    assert (code, out) == (2, "")
    assert "R1c is a story of x86_64: --arch names none of them" in err


def test_no_trace_of_steps(run):
    code, out, err = run("defects", "R5", "--trace")
    assert (code, out) == (0, "")
    assert "R5: its steps are none that a trace has lines for" in err


@pytest.mark.parametrize("arch", THREE)
def test_a_stale_state_in_a_trace(run, tmp_path, arch):
    code, text, _ = run("defects", "R6", "--trace")
    trace = tmp_path / "r6.trace"
    trace.write_text(text)
    assert run("run", trace, "--arch", arch, "--check")[0] == 0
    code, out, err = run("run", trace, "--arch", arch, "--check", "--defect", "R6")
    assert code == 1
    [reported] = [line for line in map(json.loads, out.splitlines()) if "reports" in line]
    assert reported["op"] == "cwalk"
    assert [report["kind"] for report in reported["reports"]][:1] == ["stale maple state"]
    assert "read section 1 and is used in read section 2" in err
