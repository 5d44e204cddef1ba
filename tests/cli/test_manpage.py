"""The manual page says what the parsers say."""

from __future__ import annotations

import re

from layout.cli.examples import EXAMPLES
from layout.cli.main import VERBS
from layout.cli.manpage import page, write


def test_every_verb_and_section_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")  # the page has no width
    write(tmp_path / "man" / "maple-layout.1", "1.2.3", "https://here.example")
    text = (tmp_path / "man" / "maple-layout.1").read_text()
    assert text == page("1.2.3", "https://here.example")
    assert '"maple\\-layout 1.2.3" "User Commands"' in text
    assert "https://here.example" in text
    plain = text.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "")
    for verb in VERBS:
        assert f"maple-layout {verb}" in plain
        assert f"usage: maple-layout {verb} " in plain
    assert "usage: maple-layout kernel fuzz [-h]" in plain
    assert "--config OPTIONS | --lock-size N" in plain
    for heading in ("NAME", "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES"):
        assert f"\n.SH {heading}\n" in text
    for each in EXAMPLES:
        assert f"\n{each.command}\n" in plain
    assert not re.search(r"^\.(?!TH|SH|SS|TP|PP|RS|RE|B|UR|UE|nf|fi)", text, re.MULTILINE)
