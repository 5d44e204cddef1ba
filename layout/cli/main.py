"""The command ``maple-layout``: picks the verb, and turns errors into lines and exit codes."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from arches import UnknownArchError
from layout.cli.common import Parser, tell
from layout.memory.errors import BrokenTree, MachineFault, MapleLayoutError

if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS = {
    "run": "layout.cli.run",
    "compare": "layout.cli.compare",
    "dump": "layout.cli.dump",
    "decode": "layout.cli.decode",
    "validate": "layout.cli.validate",
    "struct": "layout.cli.structs",
    "record": "layout.cli.record",
    "export": "layout.cli.export",
    "explore": "layout.cli.explore",
    "draw": "layout.cli.draw",
    "defects": "layout.cli.defects",
    "kernel": "layout.cli.kernel",
    "conformance": "layout.cli.conformance",
}
"""Each verb and its module, which has ``add(subparsers)`` and ``run(args) -> int``."""

EXIT_FINDING = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 for a finding, 2 for wrong usage or input."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        code = _run(words)
        if sys.stdout is not None:  # None if the caller has closed it
            sys.stdout.flush()
    except SystemExit as end:  # argparse has said why
        return end.code if isinstance(end.code, int) else 0
    except BrokenPipeError:
        _drop_stdout()
        return EXIT_FINDING
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except (MapleLayoutError, UnknownArchError, OSError, MemoryError) as error:
        return _report(error)
    return code


def _report(error: Exception) -> int:
    """Print one line on an error; the exit code for it."""
    if isinstance(error, BrokenTree | MachineFault):
        tell(str(error))
        return EXIT_FINDING
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        tell(f"{place}{error.strerror or error}: check the path, its permissions and the disk")
        if not error.filename:
            _drop_stdout()
    elif isinstance(error, MemoryError):
        tell("not enough memory for this input: cut out what the tree needs")
    else:
        tell(str(error))
    return EXIT_USAGE


def _run(words: list[str]) -> int:
    parser = Parser(
        prog="maple-layout",
        description="The Linux kernel's maple tree in raw bytes, on simulated machines.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        help="show the version, and whether compiled or Python code runs",
    )
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    # a verb's module is loaded only when it is needed: to run it, or to list all
    wanted = words[:1] if words and words[0] in VERBS else list(VERBS)
    modules = {verb: importlib.import_module(VERBS[verb]) for verb in wanted}
    for module in modules.values():
        module.add(verbs)
    args = parser.parse_args(words)
    return int(modules[args.verb].run(args))


class _Version(argparse.Action):
    """Prints the version, and whether operations are compiled."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from layout import compiled

        try:
            version = metadata.version("maple-layout")
        except metadata.PackageNotFoundError:
            version = "(not installed)"
        print(f"maple-layout {version} ({compiled.leg()})")
        parser.exit()


def _drop_stdout() -> None:
    """Send what is left in stdout's buffer nowhere, so that the interpreter ends in silence."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


if __name__ == "__main__":
    sys.exit(main())
