"""Common parts of the verbs: options of an input, output with or without colour, notes."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

import arches
from layout.host.streams import note
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import NoReturn

    from rich.console import Console

    from layout.images.image import Image
    from layout.show.text import Line
    from layout.tree.kernel import Kernel

_BAD_USAGE = 2
_LARGEST_LOCK = 256
_LONGEST_USAGE = 400
_LONGEST_NOTE = 2000


class Parser(argparse.ArgumentParser):
    """An argument parser whose error messages are one line."""

    def error(self, message: str) -> NoReturn:
        """Print ``message`` and end with exit code 2."""
        text = " ".join(message.split())
        if len(text) > _LONGEST_USAGE:
            text = f"{text[:_LONGEST_USAGE]}..."
        text = "".join(map(_printable, text))
        note(f"{self.prog}: {text}: see {self.prog} --help")
        self.exit(_BAD_USAGE)

    def print_help(self, file: Any = None) -> None:
        """Print the help; unlike the method replaced, say so if that fails."""
        (file or sys.stdout).write(self.format_help())


def count(text: str) -> int:
    """A decimal number, 0 or more, for argparse."""
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def positive(text: str) -> int:
    """A decimal number, 1 or more, for argparse."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def lock_size(text: str) -> int:
    """The size of a spinlock_t in bytes, for argparse: the largest there is has some 80."""
    value = count(text)
    if value > _LARGEST_LOCK:
        raise argparse.ArgumentTypeError(f"{value} is no size of a lock: 0 to {_LARGEST_LOCK}")
    return value


lock_size.__name__ = count.__name__ = positive.__name__ = (
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

    return kernel_of(args.kernel or DEFAULT_VERSION).version


def defects_of(args: argparse.Namespace) -> Sequence[type[Kernel]]:
    """What ``--defect`` puts in front of ``--kernel``. Raises UsageError."""
    from layout.defects import operations

    return operations(args.defect, version_of(args))


def add_kernel(parser: argparse.ArgumentParser) -> None:
    """Add ``--kernel``, ``--config`` and ``--lock-size``."""
    parser.add_argument("--kernel", metavar="V", help="the kernel's version, such as 6.12")
    locks = parser.add_mutually_exclusive_group()
    locks.add_argument(
        "--config",
        metavar="OPTIONS",
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
        default=LIMIT,
        help=f"how many entries one line of a trace may store, expect or list; {LIMIT} if left out",
    )


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
    from layout.traces.inputs import load

    tree = args.tree
    if args.symbol is not None or args.task is not None:
        from layout.images.symbols import tree_address

        if tree is not None:
            message = "--tree gives the address that --symbol and --task look for: leave one out"
            raise UsageError(message)
        found = tree_address(
            args.input, symbol=args.symbol, task=args.task, debug_info=args.debug_info
        )
        tree = f"{found:x}"
        tell(f"tree at {tree}, as drgn says")
    image = load(
        args.input,
        tree=tree,
        arch=None if args.arch is None else arches.get(args.arch),
        kernel=args.kernel,
        lock_size=args.lock_size,
        config=args.config,
        at=args.at,
        limit=args.limit,
        base=args.base,
        direct_map=args.direct_map,
    )
    for text in image.notes:
        tell(text)
    return image


def tell(text: str) -> None:
    """Print one line to stderr, whatever ``text`` holds."""
    line = " ".join(text.splitlines())
    if len(line) > _LONGEST_NOTE:
        line = f"{line[:_LONGEST_NOTE]}..."
    note(f"maple-layout: {''.join(map(_printable, line))}")


def _printable(char: str) -> str:
    """A character, or an escape for one that would drive a terminal."""
    control = char < " " or "\x7f" <= char < "\xa0"
    return f"\\x{ord(char):02x}" if control and char != "\t" else char


def wants_colour() -> bool:
    """Whether stdout is a terminal that may be coloured."""
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def console() -> Console:
    """stdout for rich: in colour on a terminal, plain text elsewhere."""
    from rich.console import Console

    return Console(highlight=False, no_color=not wants_colour())


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
