"""``maple-layout completion``: what makes a shell complete the command, made of its parsers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import FILES, FOLDERS

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS = {
    "bash": "~/.local/share/bash-completion/completions/maple-layout",
    "zsh": "_maple-layout in a directory of $fpath, before compinit runs",
    "fish": "~/.config/fish/completions/maple-layout.fish",
}
"""Each shell, and the file that it reads."""


def add(verbs: Any) -> None:
    """Register the verb."""
    files = "; ".join(f"{shell}: {file}" for shell, file in SHELLS.items())
    parser = verbs.add_parser(
        "completion",
        help="print what makes a shell complete this command",
        description=f"Print the completion for a shell. Write it to the file it reads. {files}.",
        allow_abbrev=False,
    )
    parser.add_argument("shell", metavar="SHELL", choices=list(SHELLS), help="bash, zsh or fish")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    print(script(args.shell))
    return 0


def script(shell: str) -> str:
    """The completion script for one of SHELLS."""
    import shtab

    from layout import defects
    from layout.cli.main import parser

    whole = parser()
    for action in _actions(whole):
        if action.metavar in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif "--arch" in action.option_strings:
            action.choices = arches.names()
        elif "--defect" in action.option_strings:
            action.choices = defects.names()
    text: str = shtab.complete(whole, shell)
    return text


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All actions of a parser and of the parsers below it, which get short descriptions."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other list
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            for about in action._choices_actions:  # noqa: SLF001 - the line that --help has for it
                below = action.choices[about.dest]
                below.description = about.help  # shells show one line a word
                yield from _actions(below)
