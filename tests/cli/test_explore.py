"""maple-layout explore: what it prints, and what it refuses."""

from pathlib import Path

import pytest

from layout import defects

MEDIUM = Path(__file__).parents[2] / "fixtures/captures/s390x-6.12.95-medium.json"
DAMAGED = "init 0\nstore 10 20 3001\nstore 30 40 4001\npoke 1000000000 8 77\n"


@pytest.fixture
def r1(tmp_path):
    path = tmp_path / "r1.trace"
    path.write_text(defects.get("R1").trace)
    return path


def test_the_first_report_and_difference_are_told_as_links(run, r1, tmp_path):
    file = tmp_path / "a.html"
    code, out, err = run("explore", r1, "--defect", "R1", "--arch", "x86_64,s390x", "-o", file)
    assert (code, err) == (0, "")
    first, report, difference = out.splitlines()
    assert first.startswith(f"{file}: 11 operations on x86_64, x86_64 with R1, s390x, s390x with")
    assert report == (
        f"first metadata read as slot: {file}#line=11&byte=1000000000+248&machine=x86_64%20with%20R1"
    )
    assert difference == (f"first difference in meaning: {file}#line=10&machine=x86_64%20with%20R1")
    assert file.read_text().startswith("<!doctype html>")


def test_without_any_there_is_no_link(run, r1, tmp_path):
    code, out, err = run("explore", r1, "-o", tmp_path / "a.html")
    assert (code, err, out.count("\n")) == (0, "", 1)


def test_an_image_whose_tree_is_broken(run, tmp_path):
    (tmp_path / "t").write_text(DAMAGED)
    code, dump, _ = run("dump", tmp_path / "t", "--format", "json")
    assert code == 1
    (tmp_path / "d.json").write_text(dump)
    code, out, err = run("explore", tmp_path / "d.json", "-o", tmp_path / "a.html")
    assert code == 1
    assert "one image of x86_64" in out
    assert err.endswith("the tree is broken: 1 violation, marked there\n")
    assert (tmp_path / "a.html").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--arch", "x86_64,i386"], "32-bit and 64-bit machines build different trees"),
        (["--arch", "vax"], "unknown architecture 'vax'"),
        (["--tree", "1"], "--tree is for images: leave it out"),
        (["--config", "smp"], "--config is for images: leave it out"),
        (["--defect", "R99"], "R99"),
        (["--defect", "R4", "--kernel", "7.3"], "R4 changes mas_preallocate"),
        (["--kernel", "5.4"], "5.4"),
        (["-o", "missing/a.html"], "missing/a.html: No such file"),
    ],
)
def test_wrong_use_of_a_trace_is_one_line(run, r1, tmp_path, words, complaint):
    code, out, err = run("explore", r1, "-o", tmp_path / "a.html", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert complaint in err
    assert not (tmp_path / "a.html").exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("init 0\nstroe 1 2 3\n", "line 2: unknown operation 'stroe'"),
        ("init 0\ncnext 5\n", "line 2: cnext before any cset"),
    ],
)
def test_a_trace_that_is_none(run, tmp_path, text, complaint):
    (tmp_path / "t").write_text(text)
    code, out, err = run("explore", tmp_path / "t", "-o", tmp_path / "a.html")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert complaint in err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([MEDIUM, "--defect", "R1"], "is an image: leave it out"),
        ([MEDIUM, "--tree", "5"], "--tree"),
        ([MEDIUM, "--arch", "x86_64,s390x"], "x86_64,s390x"),
        (["missing"], "missing: No such file"),
    ],
)
def test_wrong_use_of_an_image_is_one_line(run, tmp_path, words, complaint):
    code, out, err = run("explore", *words, "-o", tmp_path / "a.html")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert complaint in err
    assert not (tmp_path / "a.html").exists()
