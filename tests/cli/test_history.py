"""maple-layout history: tables, JSON, and what is wrong with an address."""

import json
from pathlib import Path

import pytest

from layout import defects

MEDIUM = Path(__file__).parents[2] / "fixtures/captures/s390x-6.12.95-medium.json"


@pytest.fixture
def r1(tmp_path):
    path = tmp_path / "r1.trace"
    path.write_text(defects.get("R1").trace)
    return path


def test_a_byte(run, r1):
    code, out, err = run("history", r1, "1000000000+248", "--arch", "s390x")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "line  operation                 byte  field         old  new  by"
    assert lines[-1] == (
        "8     store 1c000 1cfff 2a0601  248   metadata end  c    e    mas_wr_append"
    )


def test_a_word_is_shown_as_the_machine_reads_it(run, r1):
    for arch in ("x86_64", "s390x"):
        _, out, _ = run("history", r1, "1000000000", "--arch", arch)
        [row] = [line for line in out.splitlines() if "slot[13]" in line]
        assert row.split()[-3:] == ["0", "2a0601", "mas_wr_append"]
        _, out, _ = run("history", r1, "1000000000", "--arch", arch, "--json")
        [write] = [each for each in json.loads(out)["writes"] if each["field"] == "slot[13]"]
        order = "big" if arch == "s390x" else "little"
        assert bytes.fromhex(write["new"]) == (0x2A0601).to_bytes(8, order)
        assert (write["line"], write["address"], write["size"]) == (8, "10000000e8", 8)


def test_a_tree(run, r1):
    _, out, _ = run("history", r1, "fffff0000")
    assert "ma_root   0    100000000e  mas_root_expand" in out
    assert "slot" not in out


def test_nothing_was_written(run, r1):
    code, out, err = run("history", r1, "1000000700")
    assert (code, out, err) == (0, "no write of 1000000700 in 11 operations on x86_64\n", "")


def test_a_defect_and_another_kernel(run, r1):
    assert run("history", r1, "1000000000", "--defect", "R1")[0] == 0
    code, out, _ = run("history", r1, "1000000000+248", "--kernel", "7.3")
    assert (code, "metadata end" in out) == (0, True)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["zz"], "'zz' is no address"),
        (["1000000000+f8"], "the offset is bytes in decimal"),
        (["5"], "there is no memory on x86_64: nodes start at 1000000000"),
        (["1000000000", "--arch", "vax"], "unknown architecture 'vax'"),
        (["1000000000", "--defect", "R4", "--kernel", "7.3"], "R4 changes mas_preallocate"),
    ],
)
def test_wrong_use_is_one_line(run, r1, words, complaint):
    code, out, err = run("history", r1, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert complaint in err


def test_an_image_has_no_history(run):
    code, out, err = run("history", MEDIUM, "2a51200")
    assert (code, out) == (2, "")
    assert "give a trace" in err
