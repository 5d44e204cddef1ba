"""``maple-layout defects``: list the historical bugs, or show one on every machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import add_version, console, tell, version_of
from layout.memory.errors import UsageError
from layout.memory.structs import DEFAULT_VERSION

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from layout.defects import Defect
    from layout.defects.scenes import Trial


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "defects",
        help="list the kernel's historical bugs, or show one on every machine",
        description=(
            "Without NAME: list the historical bugs. With it: run the bug's trigger "
            "with and without the bug, and compare the outcome with the documented one."
        ),
        allow_abbrev=False,
    )
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="a defect such as R1, or a bug with variants: R3"
    )
    parser.add_argument(
        "--arch", metavar="A,B,...", help="the machines; the default is those of the defect"
    )
    parser.add_argument(
        "--trace", action="store_true", help="print the trigger as a trace and do nothing else"
    )
    add_version(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the list, or the table and verdict; 1 if a defect does not show as documented."""
    from layout import defects

    if args.name is None:
        if args.arch is not None or args.trace:
            message = "--arch and --trace need the NAME of a defect"
            raise UsageError(message)
        version = version_of(args)
        found = [defect for defect in defects.DEFECTS.values() if defect.fits(version)]
        if args.json:
            print(json.dumps([_facts(defect) for defect in found]))
        else:
            _list(found)
        return 0
    found = defects.find(args.name)
    if args.trace:
        _trace(found)
        return 0
    from layout.defects.scenes import show

    machines = None if args.arch is None else [arches.get(name) for name in args.arch.split(",")]
    version = version_of(args)
    fitting = [defect for defect in found if len(found) == 1 or defect.fits(version)] or found
    results = [
        (defect, trials) for defect in fitting if (trials := show(defect, machines, version))
    ]
    if not results:
        names = ", ".join(dict.fromkeys(arch for defect in found for arch in defect.arches))
        message = f"{args.name} is a story of {names}: --arch names none of them"
        raise UsageError(message)
    if args.json:
        objects = [_result(defect.id, trials) for defect, trials in results]
        print(json.dumps(objects[0] if len(objects) == 1 else _all(found[0].bug, objects)))
    else:
        for defect, trials in results:
            _table(defect, trials, version)
    return 0 if all(trial.as_documented for _, trials in results for trial in trials) else 1


def _list(found: list[Defect]) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table("id", "what goes wrong", "on", "kernels", box=SIMPLE, pad_edge=False)
    for defect in found:
        table.add_row(defect.id, defect.title, ", ".join(defect.affected) or "-", defect.kernels)
    console().print(table)


def _table(defect: Defect, trials: list[Trial], version: str) -> None:
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    out = console()
    out.print(f"[bold]{defect.id}[/]: {defect.title}")
    if version != DEFAULT_VERSION:
        out.print(f"Here in {version}, where only the outcome is held against that of 6.12.")
    out.print(f"Kernels: {defect.kernels}. Fix: {defect.fix or 'not known by commit or message'}.")
    out.print(f"How it is known: {defect.source}.")
    out.print(escape(defect.changes))
    table = Table("", *(trial.arch for trial in trials), box=SIMPLE, pad_edge=False)
    rows = (
        ("with it", [f"[bold]{trial.outcome}[/]" for trial in trials]),
        ("what is seen", [escape(trial.detail) for trial in trials]),
        ("fault", [escape(trial.fault) for trial in trials]),
        ("first wrong byte", [escape(trial.wrong_byte) for trial in trials]),
        ("checker", [", ".join(trial.checker) for trial in trials]),
        ("ledger", [_cost(trial) for trial in trials]),
        ("its warnings", [escape("\n".join(trial.ledger["warnings"])) for trial in trials]),
        ("without it", [trial.correct for trial in trials]),
    )
    for name, cells in rows:
        table.add_row(name, *(cell or "-" for cell in cells))
    out.print(table)
    for schedule, lines in _schedules(trials):
        out.print(escape(schedule))
        out.print()
        for line in lines:
            out.print(escape(f"    {line}".rstrip()), soft_wrap=True)
        out.print()
    wrong = [trial for trial in trials if not trial.as_documented]
    if not wrong:
        out.print(f"{defect.id} shows as documented.")
    for trial in wrong:
        expected = trial.expected
        wanted = "ok without it" if expected is None else f"{expected.outcome}: {expected.detail}"
        out.print(escape(f"{defect.id} does not show as documented on {trial.arch}: {wanted}"))
    out.print()


def _schedules(trials: list[Trial]) -> Iterator[tuple[str, list[str]]]:
    """The orders to show, each once for all machines on which it is the same."""
    machines: dict[tuple[str, ...], list[str]] = {}
    for trial in trials:
        for schedule in trial.schedules:
            machines.setdefault((str(schedule), *schedule.lines), []).append(trial.arch)
    for (heading, *lines), names in machines.items():
        yield f"{heading} ({', '.join(names)}), first in:", lines


def _cost(trial: Trial) -> str:
    cost = trial.ledger
    return (
        f"{cost['requested']} nodes requested, {cost['given_back']} given back unused, "
        f"{cost['freed']} freed, {cost['bytes_written']} bytes written"
    )


def _facts(defect: Defect) -> dict[str, Any]:
    return {
        "id": defect.id,
        "title": defect.title,
        "arches": list(defect.arches),
        "affected": list(defect.affected),
        "kernels": defect.kernels,
        "fix": defect.fix,
        "source": defect.source,
        "changes": defect.changes,
        "trace": defect.trace or None,
    }


def _result(name: str, trials: list[Trial]) -> dict[str, Any]:
    return {
        "id": name,
        "shows": all(trial.as_documented for trial in trials),
        "arches": {trial.arch: trial.as_json() for trial in trials},
    }


def _all(bug: str, variants: list[dict[str, Any]]) -> dict[str, Any]:
    """One object for all variants of a bug: on each machine the first one that does harm."""
    machines: dict[str, Any] = {}
    for variant in variants:
        for arch, trial in variant["arches"].items():
            if arch not in machines or machines[arch]["outcome"] == "ok":
                machines[arch] = trial
    shows = all(variant["shows"] for variant in variants)
    return {"id": bug, "shows": shows, "arches": machines, "variants": variants}


def _trace(found: list[Defect]) -> None:
    with_trace = [defect for defect in found if defect.trace]
    for defect in with_trace:
        print(f"# {defect.id}: {defect.title}")
        print(defect.trace)
    if not with_trace:
        names = ", ".join(defect.id for defect in found)
        tell(f"{names}: its steps are none that a trace has lines for: see docs/defects.md")
