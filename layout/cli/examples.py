"""``maple-layout examples``: traces and captures that come with the package, to try it on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layout.cli.common import tell
from layout.host.files import Output
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    import argparse


@dataclass(frozen=True)
class Example:
    """A file, what it is, and a command to try on it."""

    name: str
    about: str
    command: str


EXAMPLES = (
    Example(
        "erase2-set23.trace",
        "a recording of a real process's memory map, as a trace",
        "maple-layout compare erase2-set23.trace",
    ),
    Example(
        "s390x-6.12.95-sleep.json",
        "the memory map of a process, read out of the memory of an s390x kernel 6.12",
        "maple-layout decode s390x-6.12.95-sleep.json",
    ),
    Example(
        "cat.log",
        "the memory calls of a run of cat, logged by strace",
        "maple-layout record cat.log -o cat.trace",
    ),
    Example(
        "cat.maps",
        "/proc/PID/maps of the same process",
        "maple-layout record cat.log --maps cat.maps -o cat.trace",
    ),
)
"""Links in ``samples/`` to files in ``fixtures/``; distributions hold copies."""


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "examples",
        help="list the traces and captures that come with the package, or copy them",
        description=(
            "Without NAME: list the examples, each with a command to try on it. With it: print "
            "the path of that file, as in: maple-layout decode $(maple-layout examples "
            "s390x-6.12.95-sleep.json)"
        ),
        allow_abbrev=False,
    )
    parser.add_argument(
        "name", metavar="NAME", nargs="?", choices=[each.name for each in EXAMPLES], help="one file"
    )
    parser.add_argument("--copy", metavar="DIR", help="copy the file, or all, into DIR")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """List the examples, print a path, or copy."""
    wanted = [each for each in EXAMPLES if args.name in {None, each.name}]
    if args.copy is not None:
        _copy(wanted, Path(args.copy))
        return 0
    if args.json:
        print(json.dumps([{**asdict(each), "path": str(path(each))} for each in wanted]))
    elif args.name is not None:
        print(path(wanted[0]))
    else:
        for each in wanted:
            print(f"{each.name}: {each.about}\n  {each.command}")
        tell("examples --copy . puts the files here, so that these commands find them")
    return 0


def path(example: Example) -> Path:
    """Where an example's file lies."""
    return Path(str(resources.files("layout.cli") / "samples" / example.name))


def _copy(wanted: list[Example], folder: Path) -> None:
    """Copy files; none that is there already is changed."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {folder / each.name: path(each).read_bytes() for each in wanted}
    for target, text in texts.items():
        if target.exists() and target.read_bytes() != text:
            raise UsageError(f"{target} is there already, and is another file: move it away")
    with Output() as files:
        for target, text in texts.items():
            files.write(target, text)
    for target in texts:
        print(target)
