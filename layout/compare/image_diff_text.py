"""A diff of two images as lines of text."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from layout.compare.difference import shown
from layout.compare.images import KINDS
from layout.show.dump import describe_flags, node_heading
from layout.show.text import HEADING, NAME, UNUSED, Line, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layout.compare.images import FieldChange, ImageDiff, NodeChange, RangeChange

CAME, WENT, CHANGED = "green", "red", "yellow"

_RUN = 3
"""Changed fields of one kind in a row that are shown one by one; longer runs are folded."""

_FATES = {
    "dead": "a dead node, perhaps freed",
    "wiped": "zeros",
    "unchanged": "as it was",
    "reused": "used for something else",
}


def lines(diff: ImageDiff, labels: tuple[str, str]) -> Iterator[Line]:
    """Both sides, then words, ranges and nodes: ``-`` went, ``+`` came, ``~`` changed."""
    for mark, label, side, style in zip("-+", labels, diff.sides, (WENT, CAME), strict=True):
        count = f"{_count(len(side.ranges), 'range')}, {_count(len(side.nodes), 'node')}"
        yield (Span(f"{mark * 3} {label}: {count}", style),)
    for word in diff.words:
        text = f"{word.before:x} -> {word.after:x}"
        if word.name == "ma_flags":
            text += f" ({describe_flags(word.before)} -> {describe_flags(word.after)})"
        yield (Span(f"~ {word.name} {text}", CHANGED),)
    if diff.ranges:
        yield (Span(f"ranges: {_counts(diff.ranges)}", HEADING),)
        for change in diff.ranges:
            yield _range(change)
    if diff.nodes:
        yield (Span(f"nodes: {_node_counts(diff.nodes)}, {diff.equal_nodes} equal", HEADING),)
        for node in diff.nodes:
            yield from _node(node)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _node_counts(changes: Sequence[NodeChange]) -> str:
    """How many there are of each kind; the rarer kinds only where there are any."""
    counts = Counter(change.kind for change in changes)
    return ", ".join(
        f"{counts[kind]} {kind}" for kind in KINDS if counts[kind] or kind in KINDS[:3]
    )


def _counts(changes: Sequence[RangeChange]) -> str:
    came = sum(change.before is None for change in changes)
    went = sum(change.after is None for change in changes)
    return f"{came} came, {went} went, {len(changes) - came - went} changed"


def _range(change: RangeChange) -> Line:
    texts = [
        f"{found[0]:x}-{found[1]:x} {found[2]:x}" if found else ""
        for found in (change.before, change.after)
    ]
    if change.before is None:
        return (Span(f"+ {texts[1]}", CAME),)
    if change.after is None:
        return (Span(f"- {texts[0]}", WENT),)
    return (Span(f"~ {texts[0]} -> {texts[1]}", CHANGED),)


def _node(change: NodeChange) -> Iterator[Line]:
    before, after = change.before, change.after
    if before is None and after is not None:
        yield (Span(f"+ {node_heading(after)}", CAME),)
    elif after is None and before is not None:
        yield (Span(f"- {node_heading(before)}", WENT),)
        if change.successors:
            others = [f"{visit.address:x}" for visit in change.successors[:_RUN]]
            left = len(change.successors) - len(others)
            more = f" and {left} more" if left else ""
            yield (Span(f"  replaced by {', '.join(others)}{more}", WENT),)
        if change.fate:
            yield (Span(f"  its memory: {_FATES[change.fate]}", UNUSED),)
    elif before is not None and after is not None:
        yield (Span(f"~ {node_heading(before)}", CHANGED),)
        if before._replace(address=0) != after._replace(address=0):
            mark = "reused, now" if change.reused else "now"
            yield (Span(f"  {mark} {node_heading(after)}", CHANGED),)
        used = [field for field in change.fields if field.used]
        for _, run in groupby(used, key=lambda field: field.name.partition("[")[0]):
            yield from _fields(list(run))
        unused = len(change.fields) - len(used)
        if unused:
            yield (Span(f"    and {_count(unused, 'unused field')}", UNUSED),)


def _fields(run: Sequence[FieldChange]) -> Iterator[Line]:
    """Fields of one kind; of many only the first and the last."""
    folded = len(run) > _RUN
    for field in (run[0], run[-1]) if folded else run:
        values = [
            "absent" if value is None else shown(field.name, value)
            for value in (field.before, field.after)
        ]
        yield (
            Span(f"    {field.name:<9}", NAME),
            Span(f"  byte {field.offset:<3}  {values[0]} -> {values[1]}"),
        )
        if folded and field is run[0]:
            yield (Span(f"    ... {len(run) - 2} more up to"),)
