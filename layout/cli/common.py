"""Common parts of the verbs: options of an input, output with or without colour, notes."""

from __future__ import annotations

import argparse
import os
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import arches
from layout.host import streams
from layout.host.streams import LONGEST_WORD, cut, note, printable
from layout.host.streams import tell as tell  # noqa: PLC0414 - the verbs have it from here
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import NoReturn

    from rich.console import Console

    from arches import Arch
    from layout.images.image import Image
    from layout.show.text import Line
    from layout.tree.kernel import Kernel

FILES = {"FILE", "INPUT", "IMAGE", "LOG", "TRACE", "TRACE|IMAGE"}
FOLDERS = {"DIR"}
PATHS = FILES | FOLDERS
"""Names of arguments that are paths."""

_BAD_USAGE = 2
_LARGEST_LOCK = 256
_MOST_JOBS = 1024
_LONGEST_USAGE = 400
_WATCHED_LIMIT = 1 << 14
"""What a line may ask for where each access is looked at: 1 ms an entry, 500 times as long."""

OF_IMAGES = ("base", "direct_map", "symbol", "task", "debug_info")
"""The options of add_addresses() and add_names(), which mean nothing to a trace."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose error messages are one line, with the word that was meant."""

    def error(self, message: str) -> NoReturn:
        """Print ``message`` and end with exit code 2."""
        text = " ".join(map(cut, message.split()))
        if len(text) > _LONGEST_USAGE:
            text = f"{text[:_LONGEST_USAGE]}..."
        text = "".join(map(printable, text))
        note(f"{self.prog}: {text}: see {self.prog} --help")
        self.exit(_BAD_USAGE)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse unknown options here, where the verb is known that they were meant for."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            known = [name for action in self._actions for name in action.option_strings]
            self.error(f"unrecognized arguments: {' '.join(unknown)}{meant(unknown[0], known)}")
        return found, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        known = [str(each) for each in action.choices or ()]
        if known and value not in known:
            message = f"{cut(str(value))!r} is none of {', '.join(known)}"
            raise argparse.ArgumentError(action, f"{message}{meant(str(value), known)}")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        if not arg_string and action.metavar in PATHS:
            raise argparse.ArgumentError(action, "a path is needed here, not nothing")
        return super()._get_value(action, arg_string)

    def print_help(self, file: Any = None) -> None:
        """Print the help; unlike the method replaced, say so if that fails."""
        (file or sys.stdout).write(self.format_help())


def meant(word: str, known: Iterable[str]) -> str:
    """The words that one which is wrong may stand for, as the end of a message; may be empty."""
    close = get_close_matches(word[:LONGEST_WORD].lower(), known, 1)
    return f"; did you mean {close[0]}?" if close else ""


def count(text: str) -> int:
    """A decimal number of 64 bits, 0 or more, for argparse."""
    value = int(text)
    if value < 0:
        raise ValueError
    if value >> 64:
        raise argparse.ArgumentTypeError(f"{cut(text)} has more than 64 bits")
    return value


def positive(text: str) -> int:
    """A decimal number, 1 or more, for argparse."""
    value = count(text)
    if value < 1:
        raise ValueError
    return value


def jobs(text: str) -> int:
    """How many processes at a time, for argparse: all of them are started at once."""
    value = positive(text)
    if value > _MOST_JOBS:
        raise argparse.ArgumentTypeError(f"{value} are too many processes: 1 to {_MOST_JOBS}")
    return value


def lock_size(text: str) -> int:
    """The size of a spinlock_t in bytes, for argparse: the largest there is has some 80."""
    value = count(text)
    if value > _LARGEST_LOCK:
        raise argparse.ArgumentTypeError(f"{value} is no size of a lock: 0 to {_LARGEST_LOCK}")
    return value


def release(text: str) -> str:
    """Releases of kernels, 6.1 or later (``6.12``, ``6.12.95-1-amd64,7.3``), for argparse."""
    from layout.images.treestruct import layout_versions

    try:
        for each in text.split(","):
            layout_versions(each)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def configuration(text: str) -> str:
    """Options of a kernel's configuration, for argparse."""
    from layout.memory.structs.locks import OPTIONS

    for word in map(str.strip, text.split(",")):
        if word not in OPTIONS:
            known = ", ".join(OPTIONS)
            message = f"{word[:40]!r} is none of {known}{meant(word, OPTIONS)}"
            raise argparse.ArgumentTypeError(message)
    return text


def a_file(text: str) -> str:
    """A path to write to, for argparse, where ``-`` would be misread as stdout."""
    if text == "-":
        raise argparse.ArgumentTypeError("give the name of a file (./- is one)")
    return text


lock_size.__name__ = count.__name__ = positive.__name__ = jobs.__name__ = (
    "number"  # argparse names it in its complaints
)


def add_arch(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--arch``; ``what`` says whose architecture it is."""
    parser.add_argument(
        "--arch", metavar="A", help=f"{what}: {', '.join(arches.names())}, or an alias of these"
    )


def add_defect(parser: argparse.ArgumentParser) -> None:
    """Add ``--defect``, which may be given several times."""
    parser.add_argument(
        "--defect",
        metavar="NAME",
        action="append",
        default=[],
        help="run with a historical bug; may be repeated (maple-layout defects lists them)",
    )


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add ``--kernel`` for operations, where no image is read."""
    parser.add_argument(
        "--kernel",
        metavar="V",
        help="the kernel whose operations are carried out: 6.12 (if left out), 7.2 or 7.3",
    )


def version_of(args: argparse.Namespace) -> str:
    """The version that ``--kernel`` names, as operations have it. Raises UsageError."""
    from layout.memory.structs import DEFAULT_VERSION
    from layout.tree.versions import kernel_of

    return kernel_of(DEFAULT_VERSION if args.kernel is None else args.kernel).version


def defects_of(args: argparse.Namespace) -> Sequence[type[Kernel]]:
    """What ``--defect`` puts in front of ``--kernel``. Raises UsageError."""
    version = version_of(args)
    if not args.defect:
        return ()
    from layout.defects import operations

    return operations(args.defect, version)


def add_kernel(parser: argparse.ArgumentParser) -> None:
    """Add ``--kernel``, ``--config`` and ``--lock-size``."""
    parser.add_argument(
        "--kernel", metavar="V", type=release, help="the kernel's version, such as 6.12"
    )
    locks = parser.add_mutually_exclusive_group()
    locks.add_argument(
        "--config",
        metavar="OPTIONS",
        type=configuration,
        help="the kernel's configuration, for its spinlock_t: smp, up, debug-spinlock, lockdep, "
        "lock-stat, rt; several are separated by commas",
    )
    locks.add_argument(
        "--lock-size",
        metavar="N",
        type=lock_size,
        help="or the size of spinlock_t in bytes: 4, or 0 without SMP",
    )


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Add ``--limit``."""
    from layout.memory.limits import LIMIT

    parser.add_argument(
        "--limit",
        metavar="N",
        type=positive,
        help="how many entries one line of a trace may store, expect or list; "
        f"{LIMIT} if left out, {_WATCHED_LIMIT} where all accesses are looked at",
    )


def limit_of(args: argparse.Namespace, *, watched: bool = False) -> int:
    """What ``--limit`` says; ``watched`` where every access to memory is looked at."""
    from layout.memory.limits import LIMIT

    return args.limit or (_WATCHED_LIMIT if watched else LIMIT)


def add_input(parser: argparse.ArgumentParser, metavar: str = "INPUT") -> None:
    """Add the positional input and the options that say what to look at in it."""
    parser.add_argument(
        "input",
        metavar=metavar,
        help="a trace, a JSON capture or dump, an ELF core, raw memory or the JSON beside it, or "
        "text of memory (hexdump, rd, x, mt_dump), packed by xz, gzip, zstd or not; - is stdin",
    )
    parser.add_argument(
        "--tree",
        metavar="K|ADDR",
        help="the number of a trace's tree (0 to 7), or a tree's address in hex",
    )
    add_arch(parser, "the machine")
    add_kernel(parser)
    parser.add_argument(
        "--at", metavar="LINE", type=count, help="show the state after this line of the trace"
    )
    add_limit(parser)
    add_addresses(parser)
    add_names(parser)


def add_names(parser: argparse.ArgumentParser) -> None:
    """Add ``--symbol``, ``--task`` and ``--debug-info``, which name a tree of a kernel."""
    named = parser.add_mutually_exclusive_group()
    named.add_argument(
        "--symbol", metavar="NAME", help="the tree of this name, found by drgn with debug info"
    )
    named.add_argument(
        "--task", metavar="PID", type=count, help="or the memory map of this process"
    )
    parser.add_argument(
        "--debug-info",
        metavar="FILE",
        action="append",
        default=[],
        help="debug info for --symbol and --task, such as vmlinux; may be repeated",
    )


def add_addresses(parser: argparse.ArgumentParser) -> None:
    """Add ``--base`` and ``--direct-map``, for memory that does not say where it lies."""
    parser.add_argument(
        "--base",
        metavar="ADDR",
        help="the address of the first byte of raw memory, or what to add to a text's addresses",
    )
    parser.add_argument(
        "--direct-map",
        metavar="ADDR",
        help="of physical addresses: the virtual one of address 0 in the kernel's direct map; "
        "found by itself where nodes tell",
    )


def open_image(args: argparse.Namespace) -> Image:
    """The image that the options of ``add_input`` ask for; its notes go to stderr."""
    arch = None if args.arch is None else arches.get(args.arch)
    image = read_input(args, args.input, arch)
    for text in image.notes:
        tell(text)
    return image


def read_input(args: argparse.Namespace, path: str, arch: Arch | None) -> Image:
    """The image in ``path``, with the options of ``add_input`` but ``--arch``."""
    from layout.traces.inputs import load

    tree, notes = args.tree, []
    if args.symbol is not None or args.task is not None:
        from layout.images.symbols import tree_address

        if tree is not None:
            message = "--tree gives the address that --symbol and --task look for: leave one out"
            raise UsageError(message)
        found = tree_address(path, symbol=args.symbol, task=args.task, debug_info=args.debug_info)
        tree = f"{found:x}"
        notes = [f"tree at {tree}, as drgn says"]
    image = load(
        path,
        tree=tree,
        arch=arch,
        kernel=args.kernel,
        lock_size=args.lock_size,
        config=args.config,
        at=args.at,
        limit=limit_of(args),
        base=args.base,
        direct_map=args.direct_map,
    )
    image.notes[:0] = notes
    return image


def refuse(args: argparse.Namespace, names: Iterable[str], why: str) -> None:
    """Raise UsageError where one of these options was given; ``why`` says what it is for."""
    given = [name for name in names if getattr(args, name) not in (None, [])]
    if given:
        message = f"--{given[0].replace('_', '-')} {why}: leave it out"
        raise UsageError(message)


def wants_colour() -> bool:
    """Whether stdout is a terminal that may be coloured."""
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def console() -> Console:
    """stdout for rich: in colour on a terminal, plain text elsewhere."""
    return streams.console(highlight=False, no_color=not wants_colour())


def print_lines(lines: Iterable[Line]) -> None:
    """Print lines to stdout, in colour on a terminal."""
    from layout.show.text import plain

    if not wants_colour():
        for line in lines:
            print(plain(line))
        return
    from rich.text import Text

    out = console()
    for line in lines:
        out.print(Text.assemble(*((span.text, span.style) for span in line)), soft_wrap=True)
