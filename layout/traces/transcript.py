"""Transcripts: JSON lines, and their comparison."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layout.traces.session import Line

_SOURCE_LINE = re.compile(r"((?:BUG|WARN) at [^:\n]+):\d+")


def encode(line: Line) -> str:
    """One transcript line as JSON, without a newline."""
    return json.dumps(line, separators=(",", ":"))


def comparable(line: dict[str, Any]) -> dict[str, Any]:
    """The line without what names lines of C source: ``warn_last``, numbers after BUG at f:."""
    line = {key: value for key, value in line.items() if key != "warn_last"}
    if "printk" in line:
        line["printk"] = _SOURCE_LINE.sub(r"\1:0", line["printk"])
    return line
