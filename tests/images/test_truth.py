"""Every captured tree, as JSON and as ELF core, decodes to what the kernel itself said."""

from __future__ import annotations

import json
import lzma
from itertools import pairwise
from pathlib import Path

import pytest

from layout.images.decode import decode
from layout.traces.inputs import load

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
JSONS = sorted(path.name for path in CAPTURES.glob("*.json*"))
IN_CORES = [
    name for name in JSONS if "-mt_" not in name and not name.split("-")[1].startswith("6.1.0")
]
ZERO_ENTRY = 0x406


def _document(name):
    raw = (CAPTURES / name).read_bytes()
    return json.loads(lzma.decompress(raw) if name.endswith(".xz") else raw)


def _numbers(rows):
    return [tuple(int(number, 16) for number in row) for row in rows]


def test_there_are_captures():
    assert len(JSONS) == 19
    assert len(IN_CORES) == 9


@pytest.mark.parametrize("name", JSONS)
def test_a_capture_decodes_to_its_truth(name):
    doc = _document(name)
    image = load(str(CAPTURES / name))
    found = decode(image.memory, image.tree)

    assert found.problems == []
    assert found.complete
    assert found.ranges == [row for row in _numbers(doc["entries"]) if row[2]]
    assert found.height == doc["height"]
    assert f"{found.root:#x}" == (doc.get("mm_mt") or doc["mtree"])["ma_root"]
    assert f"{found.flags:#x}" == (doc.get("mm_mt") or doc["mtree"])["ma_flags"]
    assert sorted(visit.address for visit in found.nodes) == sorted(
        int(node["addr"], 16) for node in doc["nodes"]
    )
    if "vmas" in doc:
        vmas = [(start, end - 1, vma) for start, end, vma in _numbers(doc["vmas"])]
        assert [row for row in found.ranges if row[2] != ZERO_ENTRY] == vmas
    else:
        assert found.ranges == _numbers(doc["truth"])


@pytest.mark.parametrize("name", JSONS)
def test_nodes_come_breadth_first(name):
    image = load(str(CAPTURES / name))
    visits = decode(image.memory, image.tree).nodes

    order = [(visit.depth, visit.min) for visit in visits]
    assert order == sorted(order)
    for above, below in pairwise(visits):
        if above.depth == below.depth:
            assert below.min == above.max + 1


@pytest.mark.parametrize("name", IN_CORES)
def test_a_core_decodes_to_the_truth_beside_it(name):
    doc = _document(name)
    core = CAPTURES / f"{name.rsplit('-', 1)[0]}.core.xz"
    image = load(str(core), tree=doc["mm_mt"]["addr"])
    found = decode(image.memory, image.tree)

    assert found.problems == []
    assert found.ranges == [row for row in _numbers(doc["entries"]) if row[2]]
    assert found.height == doc["height"]
    assert image.arch.name == doc["arch"]
    [note] = image.notes
    assert f"ma_flags taken at offset {doc['offsets']['ma_flags']} " in note
