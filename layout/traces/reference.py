"""The reference of the trace language, as a page: ``python -m layout.traces.reference``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layout.traces.language import ANY, ARGUMENTS, HEAD, KEYS, STATE, TAIL, Group
from layout.traces.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layout.traces.language import Declaration

_INTRODUCTION = """\
<!-- Generated: python -m layout.traces.reference > docs/trace-language.md -->

# The trace language

A trace is text with one operation per line. Blank lines are ignored, and so are lines that start
with `#`. Numbers are hex without `0x`. Ranges are inclusive. `[X]` may be left out, and `...`
means that further arguments are ignored. Any other missing or surplus argument is an error.

Each operation gives one line of the transcript, which is JSON. The tables name the keys that an
operation returns. *State* stands for the keys of a state, and *tail* for those at the end of a
line of an operation that may change the tree.
"""


def page() -> str:
    """The page in Markdown: operations by group, arguments, keys of the transcript."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    for group in Group:
        yield f"## {group.value}\n"
        operations = [op for op in OPERATIONS.values() if op.group is group]
        rows = ((_code(op.line), op.help, _code(op.calls), _returns(op)) for op in operations)
        yield from _table(("operation", "what it does", "kernel", "keys"), rows)
    yield "## Arguments\n"
    arguments = ((_code(a.name), a.kind.value, a.meaning) for a in ARGUMENTS.values())
    yield from _table(("argument", "kind", "meaning"), arguments)
    yield "## Keys of the transcript\n"
    own = [key for key in KEYS if key not in {*STATE, *TAIL, *HEAD, *ANY}]
    parts = {
        "Every line": HEAD,
        "What the operation returned": own,
        "State": STATE,
        "Tail": TAIL,
        "Where there is something to tell": ANY,
    }
    for heading, keys in parts.items():
        yield f"### {heading}\n"
        found = ((_code(key), KEYS[key].form, KEYS[key].meaning) for key in keys)
        yield from _table(("key", "form", "meaning"), found)


def _returns(operation: Declaration) -> str:
    keys = [_code(key) for key in operation.returns if key not in STATE]
    if set(STATE) <= set(operation.returns):
        keys.append("state")
    else:
        keys += [_code(key) for key in operation.returns if key in STATE]
    return ", ".join([*keys, *(["tail"] if operation.changes else [])])


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


if __name__ == "__main__":
    print(page(), end="")
