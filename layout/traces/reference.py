"""The reference of the trace language, as a page: ``python -m layout.traces.reference``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import arches
from layout.machine.machine import Machine
from layout.traces.examples import BEFORE, EXAMPLES
from layout.traces.language import ANY, ARGUMENTS, HEAD, KEYS, STATE, TAIL, Group
from layout.traces.operations import OPERATIONS
from layout.traces.runner import Runner
from layout.traces.trace import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layout.traces.language import Declaration

_INTRODUCTION = f"""\
<!-- Generated: python -m layout.traces.reference > docs/trace-language.md -->

# The trace language

A trace is text with one operation per line. Blank lines are ignored, and so are lines that start
with `#`. Numbers are hex without `0x`. Ranges are inclusive. `[X]` may be left out, and `...`
means that further arguments are ignored. Any other missing or surplus argument is an error. So is
a comment behind an operation.

Each operation gives one line of the transcript, which is JSON. *State* stands for the [keys of a
state](#state), and *tail* for [those at the end](#tail) of a line of an operation that may change
the tree. [Keys of the transcript](#keys-of-the-transcript) has all meanings.

Each operation has an example and what its last line gives on x86_64. Before each example come these
lines, so its first line is line 4. Texts of more than 60 characters are cut off here:

```text
{BEFORE}```
"""

_LONGEST = 60
"""Characters of a text in an example's result."""


def page() -> str:
    """The page in Markdown: operations by group, arguments, keys of the transcript."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    for group in Group:
        yield f"## {group.value}\n"
        for op in OPERATIONS.values():
            if op.group is group:
                yield from _operation(op)
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


def _operation(operation: Declaration) -> Iterator[str]:
    """An operation: its line, meaning, arguments, keys, an example and its result."""
    yield f"### {operation.name}\n"
    yield f"`{operation.line}`\n"
    yield f"{operation.help}\n"
    for each in operation.arguments:
        yield f"- `{each.name}`: {each.meaning}"
    if operation.calls:
        yield f"- Kernel: `{operation.calls}`"
    yield f"- Returns: {_returns(operation) or 'nothing'}\n"
    yield f"```text\n{EXAMPLES[operation.name]}\n```\n"
    yield f"```json\n{result(operation.name)}\n```\n"


def result(name: str) -> str:
    """What the last line of an operation's example gives on x86_64, as JSON with cut texts."""
    arch = arches.get("x86_64")
    runner = Runner(Machine(arch))
    text = BEFORE + EXAMPLES[name]
    *_, last = [runner.execute(each) for each in parse(text.splitlines(), arch.ulong_max)]
    return json.dumps(_cut(last))


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cut(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_cut(each) for each in value]
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}..."
    return value


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
