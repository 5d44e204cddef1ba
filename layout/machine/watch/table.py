"""Accounts of a ledger as text: a table of operations, and the summary of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layout.machine.watch.account import Account, Ledger

_COLUMNS = {
    "requested": "requested",
    "used": "used",
    "given_back": "given back",
    "freed": "freed",
    "bytes_written": "bytes",
    "words_written": "words",
    "cache_lines": "lines",
}
_WORST = 5
_WARNINGS = 10


def table(accounts: Sequence[Account]) -> list[str]:
    """A line of headings, then a line for each account.

    Nodes requested, used, given back unused, freed; bytes, words and cache lines written.
    """
    rows = [["", "", *_COLUMNS.values()]]
    for account in accounts:
        figures = (str(getattr(account, column)) for column in _COLUMNS)
        rows.append([str(account.number), account.name, *figures])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if at == 1 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def summary(ledger: Ledger) -> list[str]:
    """Totals, the operations that wrote to most cache lines, and the first warnings."""
    accounts = ledger.accounts
    total = {name: sum(getattr(account, name) for account in accounts) for name in _COLUMNS}
    nodes = ", ".join(f"{total[name]} {_COLUMNS[name]}" for name in list(_COLUMNS)[:4])
    written = f"{total['bytes_written']} bytes in {total['cache_lines']} cache lines"
    nodes += f", {ledger.held} still in reserve"
    lines = [f"ledger of {len(accounts)} operations; nodes: {nodes}; written: {written}"]
    by_cost = sorted(accounts, key=lambda a: (a.cache_lines, a.requested), reverse=True)
    worst = [account for account in by_cost[:_WORST] if account.cache_lines]
    if worst:
        lines += ["most costly:", *table(worst)]
    warnings = [(account, text) for account in accounts for text in account.warnings]
    if warnings:
        lines.append(f"warnings, {len(warnings)}:")
        lines += [
            f"{account.number}, {account.name}: {text}" for account, text in warnings[:_WARNINGS]
        ]
        if len(warnings) > _WARNINGS:
            lines.append(f"and {len(warnings) - _WARNINGS} more, in the transcript")
    return lines
