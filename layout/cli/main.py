"""The command ``maple-layout``: picks the verb, and turns errors into lines and exit codes."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from arches import UnknownArchError
from layout.cli.common import Parser, tell
from layout.host import signals, streams
from layout.memory.errors import BrokenTree, MachineFault, MapleLayoutError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

VERBS = {
    "run": "layout.cli.run",
    "compare": "layout.cli.compare",
    "dump": "layout.cli.dump",
    "decode": "layout.cli.decode",
    "validate": "layout.cli.validate",
    "scan": "layout.cli.scan",
    "struct": "layout.cli.structs",
    "record": "layout.cli.record",
    "export": "layout.cli.export",
    "explore": "layout.cli.explore",
    "draw": "layout.cli.draw",
    "history": "layout.cli.history",
    "bisect": "layout.cli.bisect",
    "defects": "layout.cli.defects",
    "interleave": "layout.cli.interleave",
    "kernel": "layout.cli.kernel",
    "hunt": "layout.cli.hunt",
    "conformance": "layout.cli.conformance",
    "examples": "layout.cli.examples",
    "completion": "layout.cli.completion",
}
"""Each verb and its module, which has ``add(subparsers)`` and ``run(args) -> int``."""

EXIT_FINDING = 1
EXIT_USAGE = 2
EXIT_SIGNAL = 128

_OF_OUTPUT = {errno.ENOSPC, errno.EBADF, errno.EIO, errno.EFBIG, errno.EDQUOT}
"""What writing gives. Files have names in their errors, so this is about stdout."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 for a finding, 2 for wrong usage or input.

    A command that a signal ended has 128 and the signal's number; so has one whose reader went.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        code = _run(words)
        sys.stdout.flush()
    except SystemExit as end:  # argparse has said why
        return _ended(end)
    except BrokenPipeError:
        streams.drop_stdout()
        return EXIT_SIGNAL + signal.SIGPIPE
    except KeyboardInterrupt:
        return _stopped(signal.SIGINT)
    except signals.Stopped as stop:
        return _stopped(stop.number)
    except (MapleLayoutError, UnknownArchError, OSError, MemoryError, RecursionError) as error:
        return _report(error)
    return code


def _ended(end: SystemExit) -> int:
    """The exit code of argparse; what it has printed must have gone somewhere."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return _report(error)
    return end.code if isinstance(end.code, int) else 0


def _stopped(number: int) -> int:
    """The exit code after a signal; what nobody has taken yet is not waited for."""
    streams.drop_stdout()
    return EXIT_SIGNAL + number


def _report(error: Exception) -> int:
    """Print one line on an error; the exit code for it."""
    if isinstance(error, BrokenTree | MachineFault):
        tell(str(error))
        return EXIT_FINDING
    if isinstance(error, OSError):
        place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        if not place and error.errno in _OF_OUTPUT:
            place = "stdout: "
        tell(f"{place}{error.strerror or error}: check the path, its permissions and the disk")
        if not error.filename:
            streams.drop_stdout()
    elif isinstance(error, MemoryError):
        tell("not enough memory for this input: cut out what the tree needs")
    elif isinstance(error, RecursionError):
        tell("this input is nested too deeply: cut out what the tree needs")
    else:
        tell(str(error))
    return EXIT_USAGE


def parser(wanted: Iterable[str] = VERBS) -> Parser:
    """The command's parser. A verb's module is loaded only if the verb is wanted."""
    whole = Parser(
        prog="maple-layout",
        description="The Linux kernel's maple tree in raw bytes, on simulated machines.",
        allow_abbrev=False,
    )
    whole.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        help="show the version, and whether compiled or Python code runs",
    )
    verbs = whole.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    for verb in wanted:
        importlib.import_module(VERBS[verb]).add(verbs)
    return whole


def _run(words: list[str]) -> int:
    wanted = words[:1] if words and words[0] in VERBS else VERBS  # all, to list them
    args = parser(wanted).parse_args(words)
    return int(importlib.import_module(VERBS[args.verb]).run(args))


class _Version(argparse.Action):
    """Prints the version, and whether operations are compiled."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from layout import compiled
        from layout.host.version import version

        print(f"maple-layout {version()} ({compiled.leg()})")
        parser.exit()
