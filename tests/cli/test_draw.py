"""maple-layout draw: SVG and Graphviz, files, and what is wrong with an input."""

import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]
MEDIUM = ROOT / "fixtures/captures/s390x-6.12.95-medium.json"
EMPTY = ROOT / "fixtures/captures/x86_64-6.12.117-mt_empty.json"
DAMAGED = "init 0\nstore 10 20 3001\nstore 30 40 4001\npoke 1000000000 8 77\n"


def test_a_tree_and_a_node(run, tmp_path):
    code, svg, err = run("draw", MEDIUM)
    assert (code, err) == (0, "")
    assert ET.fromstring(svg).find("{*}title").text == (
        "s390x tree 203a400, flags 30b (height 2, alloc range, RCU, external lock), "
        "root arange_64 node 2a51800"
    )
    assert svg.count('class="box"') == 5
    assert run("draw", MEDIUM, "-o", tmp_path / "a.svg") == (0, "", "")
    assert (tmp_path / "a.svg").read_text() == svg
    node = ET.fromstring(run("draw", MEDIUM, "--node", "2a51200")[1])
    assert node.find("{*}title").text == "s390x: leaf_64 node 2a51200, 0-3ffb3fd5fff"


def test_a_moment_of_a_trace(run, tmp_path):
    (tmp_path / "t").write_text("init 0\nstore 10 20 3001\nstore 30 40 4001\n")
    earlier = run("draw", tmp_path / "t", "--at", "1")[1]
    assert "no nodes" in earlier
    assert "leaf_64 1000000000" in run("draw", tmp_path / "t")[1]


def test_dot_is_read_by_graphviz(run):
    code, text, err = run("draw", MEDIUM, "--format", "dot")
    assert (code, err) == (0, "")
    assert text.count(" -> ") == 4
    dot = shutil.which("dot")
    if dot:  # what Graphviz itself says; the lines are tested beside it
        subprocess.run([dot, "-Tcanon"], input=text, text=True, check=True, capture_output=True)


@pytest.mark.parametrize("form", ["svg", "dot"])
def test_an_empty_tree(run, form):
    code, out, err = run("draw", EMPTY, "--format", form)
    assert (code, err) == (0, "")
    assert "root NULL" in out


def test_a_broken_tree_is_drawn_as_far_as_it_goes(run, tmp_path):
    (tmp_path / "t").write_text(DAMAGED)
    code, out, err = run("draw", tmp_path / "t")
    assert code == 1
    assert "leaf_64 1000000000" in out
    assert err == "maple-layout: node 1000000000: pivot 1 is 20, but slot 1 starts at 78\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([MEDIUM, "--node", "zz"], "--node 'zz' is no address"),
        ([MEDIUM, "--node", "5500"], "node 5500 is not in the tree"),
        ([MEDIUM, "--node", "2a51200", "--format", "dot"], "give --format svg and a name in"),
        ([MEDIUM, "--format", "png"], "is none of svg, dot"),
        ([MEDIUM, "-o", "missing/a.svg"], "missing/a.svg: No such file"),
        (["missing"], "missing: No such file"),
        ([MEDIUM, "--at", "3"], "--at is for traces"),
    ],
)
def test_wrong_use_is_one_line(run, words, complaint):
    code, out, err = run("draw", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert complaint in err
