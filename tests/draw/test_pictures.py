"""The pictures of the pages are what the code draws today, and show what the pages say."""

import importlib.util
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

DOCS = Path(__file__).parents[2] / "docs"
pytestmark = pytest.mark.checkout


def texts(name):
    root = ET.parse(DOCS / "pictures" / f"{name}.svg")
    return [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.fixture(scope="module")
def pictures():
    spec = importlib.util.spec_from_file_location("make_pictures", DOCS / "make_pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_they_are_up_to_date(pictures, tmp_path):
    pictures.make(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        there = (DOCS / "pictures" / path.name).read_text()
        assert there == path.read_text(), f"{path.name}: run python docs/make_pictures.py"
    assert len(list(tmp_path.iterdir())) == len(pictures.PICTURES)


def test_every_picture_is_used_and_every_one_used_is_there(pictures):
    pages = "".join(path.read_text() for path in [*DOCS.glob("*.md"), DOCS.parent / "README.md"])
    for name in pictures.PICTURES:
        assert f"pictures/{name}.svg)" in pages, name


def test_r1_has_the_word_that_crashed_s390x():
    shown = texts("r1")
    assert "s390x reads the last word as a slot: 0e00000000000000" in shown
    assert "x86_64 reads the last word as a slot: 000000000000000e" in shown


def test_a_split_a_spanning_store_and_a_rebalance_change_the_leaves():
    def leaves(name):
        shown = texts(name)
        after = next(i for i, text in enumerate(shown) if text.startswith("after "))
        counted = [text.startswith("leaf_64") for text in shown]
        return sum(counted[:after]), sum(counted[after:])

    assert leaves("split") == (1, 2)
    assert leaves("rebalance") == (2, 1)
    assert leaves("spanning") == (4, 4)


def test_a_replaced_node_is_dead():
    shown = texts("rcu")
    [old, new] = [text.split()[1] for text in shown if text.startswith("leaf_64 ")]
    assert old != new
    assert any(text.startswith("parent ") and text.endswith(f"node {old}") for text in shown)
