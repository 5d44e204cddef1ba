"""Transcripts: JSON lines, and their comparison."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layout.traces.session import Line

_SOURCE_LINE = re.compile(r"((?:BUG|WARN) at [^:\n]+):\d+")
_SHEAF = re.compile(r"sheaf=0*[1-9a-f][0-9a-f]*")


def encode(line: Line) -> str:
    """One transcript line as JSON, without a newline."""
    return json.dumps(line, separators=(",", ":"))


def comparable(line: dict[str, Any]) -> dict[str, Any]:
    """The line without what is not the same in every build of the kernel's code.

    That is what names lines of C source, ``warn_last`` and numbers after BUG at f:, and where a
    sheaf of nodes lies, which mas_dump() prints.
    """
    line = {key: value for key, value in line.items() if key != "warn_last"}
    if "printk" in line:
        line["printk"] = _SHEAF.sub("sheaf", _SOURCE_LINE.sub(r"\1:0", line["printk"]))
    return line
