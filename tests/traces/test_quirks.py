"""What the model forgives is what the documentation says."""

from pathlib import Path

import pytest

from layout.traces.quirks import QUIRKS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.checkout
def test_the_table_has_all_that_is_forgiven():
    text = (DOCS / "your-kernel.md").read_text()
    head = "| name | operations | when | answer | why |\n|---|---|---|---|---|\n"
    table = text.partition(head)[2].partition("\n\n")[0]
    rows = [f"| {name} | {' | '.join(quirk)} |" for name, quirk in QUIRKS.items()]
    assert table.split("\n") == rows
