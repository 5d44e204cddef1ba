"""Output files whose names say another format: refused before anything is written."""

from __future__ import annotations

import pytest

TRACE = "init 0\nstore 10 20 3001\nstore 30 40 3003\n"


@pytest.fixture
def trace(tmp_path, monkeypatch):
    """A trace in a folder of its own, which is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t").write_text(TRACE)
    return tmp_path / "t"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("draw t -o x.png",
         "x.png: SVG is written, not png: give x.svg as its name, and convert that: rsvg-convert -f "
         "png x.svg -o x.png, or --format dot for Graphviz"),
        ("draw t -o x.pdf",
         "x.pdf: SVG is written, not pdf: give x.svg as its name, and convert that: rsvg-convert -f "
         "pdf x.svg -o x.pdf, or --format dot for Graphviz"),
        ("draw t -o a/x.JPG",
         "a/x.JPG: SVG is written, not jpg: give a/x.svg as its name, and convert that: magick a/x.svg "
         "a/x.JPG, or --format dot for Graphviz"),
        ("draw t --format svg -o x.dot",
         "x.dot: SVG is written, not dot: give x.svg as its name, or --format dot for Graphviz"),
        ("draw t --format dot -o x.svg",
         "x.svg: Graphviz's language is written, not svg: give x.dot as its name, or --format svg"),
        ("draw t -o x.svg.xz",
         "x.svg.xz: SVG is written, not xz: give x.svg as its name, and pack that, or --format dot for "
         "Graphviz"),
        ("explore t -o x.svg",
         "x.svg: a page in HTML is written, not svg: give x.html as its name, or draw for SVG and Graphviz"),
        ("bisect t --until violation -o x.svg",
         "x.svg: a page in HTML is written, not svg: give x.html as its name"),
        ("export t --format elf -o x.json", "x.json: an ELF core is written, not json: give another name"),
        ("export t --format isf -o x.html", "x.html: JSON is written, not html: give x.json as its name"),
        ("validate t --junit x.json", "x.json: JUnit XML is written, not json: give x.xml as its name"),
        ("validate t --sarif x.xml",
         "x.xml: SARIF, which is JSON, is written, not xml: give x.json as its name"),
        ("record t -o x.trace.gz",
         "x.trace.gz: a trace is written, not gz: give x.trace as its name, and pack that"),
    ],
)  # fmt: skip
def test_names_that_say_another_format(run, trace, words, says):
    assert run(*words.split()) == (2, "", f"maple-layout: {says}\n")
    assert [path.name for path in trace.parent.iterdir()] == ["t"]


@pytest.mark.parametrize(
    ("words", "name", "start"),
    [
        ("draw t -o x.svg", "x.svg", "<svg"),
        ("draw t -o x", "x", "<svg"),
        ("draw t -o x.picture", "x.picture", "<svg"),
        ("draw t -o x.dot", "x.dot", "digraph"),
        ("draw t -o x.GV", "x.GV", "digraph"),
        ("draw t --format dot -o x.txt", "x.txt", "digraph"),
        ("explore t -o x.HTM", "x.HTM", "<!"),
        ("export t --format isf -o x.json", "x.json", "{"),
        ("validate t --sarif x.sarif", "x.sarif", "{"),
        ("validate t --junit x.xml", "x.xml", "<?xml"),
    ],
)
def test_names_that_fit(run, trace, words, name, start):
    code, _, err = run(*words.split())
    assert (code, err) == (0, "")
    assert start in (trace.parent / name).read_text()[:200]


def test_a_node_has_no_graphviz(run, trace):
    code, out, err = run("draw", trace, "--node", "1000000000", "-o", "x.dot")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "which only SVG has: give --format svg and a name in .svg" in err
