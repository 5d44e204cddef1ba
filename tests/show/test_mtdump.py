"""The kernel's text of an image equals the text of the same tree in its transcript."""

import json
import lzma
from pathlib import Path

import pytest
from machines import THREE

from layout.memory.errors import MachineFault
from layout.show.mtdump import mt_dump_text
from layout.traces.inputs import load

GOLDEN = Path(__file__).parents[2] / "fixtures/golden"


@pytest.mark.parametrize(
    "name", ["04b-random-ranges-short", "08b-alloc-tree-short", "09b-rcu-short"]
)
@pytest.mark.parametrize("arch", THREE)
def test_text_of_a_trace(name, arch):
    import arches

    with lzma.open(GOLDEN / f"{name}.{arch}.jsonl.xz", "rt") as lines:
        texts = [line for line in map(json.loads, lines) if line["op"] == "mtdump"]
    assert texts
    for line in texts:
        image = load(str(GOLDEN / f"{name}.trace"), arch=arches.get(arch), at=line["n"])
        assert mt_dump_text(image) == line["text"]


def test_cycle_ends(tmp_path):
    trace = tmp_path / "t.trace"
    build = "init 1\n" + "\n".join(f"store {i * 16:x} {i * 16 + 7:x} 3001" for i in range(40))
    trace.write_text(build)
    image = load(str(trace))
    root = image.memory.ma_root(image.tree) & ~2
    image.memory.set_slot(root & ~0xFF, 3, 0, root)
    image.memory.set_slot(root & ~0xFF, 3, 1, root)
    with pytest.raises(MachineFault) as caught:
        mt_dump_text(image)
    assert caught.value.kind == "livelock"
