"""Splits, merges and unmappings against the sequence of tree operations that mm/vma.c makes."""

from pathlib import Path

import pytest
import vma_script

GOLDENS = sorted((Path(__file__).parents[2] / "fixtures/vma").glob("*.txt"))


@pytest.mark.parametrize("arch", ["x86_64", "s390x"])
@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: path.stem)
def test_golden(golden, arch):
    wanted = golden.read_text(encoding="ascii").splitlines()
    script = [line[2:] for line in wanted if line.startswith("# ") and line != "# end"]
    assert vma_script.run(script, arch) == wanted


def test_goldens_are_there():
    assert len(GOLDENS) == 6


def test_goldens_reach_what_matters():
    text = "\n".join(path.read_text(encoding="ascii") for path in GOLDENS)
    for what in ("fails", "store_gfp detach 3", "nodes 10", "free v", "= -12"):
        assert what in text, what
