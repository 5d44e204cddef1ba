"""The campaign of single-byte corruptions, a sample of it here and all of it when asked for."""

import sys
from pathlib import Path

import pytest
from machines import THREE

import arches

sys.path.insert(0, str(Path(__file__).parent))
import corruption

pytestmark = pytest.mark.long

SHAPES = [pytest.param(full, id="full leaves" if full else "loose") for full in (False, True)]
KINDS = [pytest.param(alloc, id="alloc" if alloc else "plain") for alloc in (False, True)]

# of the harmful ones, most leave no trace: entries that have another value
FLOORS = {False: 0.40, True: 0.36}


def hold(figures):
    assert figures.harmful > 0.3 * figures.harms.total()
    assert figures.share > FLOORS[figures.full]
    assert figures.missed.total() == 0, figures.missed
    assert figures.knowable_share == 1
    assert figures.harmless_share > 0.99


@pytest.mark.parametrize("full", SHAPES)
@pytest.mark.parametrize("alloc", KINDS)
@pytest.mark.parametrize("name", THREE)
def test_a_sample_of_the_campaign(name, alloc, full):
    hold(corruption.run(name, alloc=alloc, full=full, step=397))


@pytest.mark.slow
@pytest.mark.parametrize("full", SHAPES)
@pytest.mark.parametrize("alloc", KINDS)
@pytest.mark.parametrize("name", THREE)
def test_the_whole_campaign(name, alloc, full):
    hold(corruption.run(name, alloc=alloc, full=full))


@pytest.mark.parametrize("full", SHAPES)
@pytest.mark.parametrize("alloc", KINDS)
@pytest.mark.parametrize("name", THREE)
def test_nothing_that_the_kernel_reports_is_left_out(name, alloc, full):
    """Where mt_validate() trips or faults, the validator reports something."""
    specimen = corruption.Specimen(arches.get(name), alloc=alloc, full=full)
    assert specimen.kernel.mt_validate(specimen.tree)
    for node, offset, value in specimen.corruptions(2003):
        held = specimen.mem.read_u8(node + offset)
        specimen.mem.write_u8(node + offset, value)
        specimen.mem.left = 20 * corruption.READS
        try:
            passed = specimen.kernel.mt_validate(specimen.tree)
        except (corruption.MachineFault, corruption.EndlessError, IndexError):
            passed = False
        specimen.mem.left = 1 << 62
        reported = corruption.validate(specimen.mem, specimen.tree)
        assert passed or reported, (hex(node), offset, value)
        specimen.mem.write_u8(node + offset, held)
