"""What a campaign goes on from: a file that an earlier run has left, or that somebody has changed."""

import pytest

from layout.ckernel import campaign
from layout.ckernel.oracle import Campaign
from layout.memory.errors import InputError


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "1", "[" * 100_000, '{"next_seed": 1e999, "differences": []}'),
        '{"next_seed": 1, "differences": [], "ahead": [1e999]}',
        '{"next_seed": 1, "differences": 5}',
        '{"next_seed": 1, "ahead": {}, "differences": null}',
    ],
)
def test_a_damaged_state_is_told(tmp_path, text):
    path = tmp_path / "campaign-1.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"campaign-1\.json can't be read: delete it"):
        campaign._resume(path, Campaign(0, 0))


def test_a_whole_one_is_gone_on_from(tmp_path):
    path = tmp_path / "campaign-1.json"
    path.write_text('{"next_seed": 9, "ahead": [12], "differences": ["a.trace"]}')
    new = Campaign(0, 0)
    campaign._resume(path, new)
    assert (new.next_seed, new.ahead, new.earlier) == (9, {12}, ["a.trace"])
