"""``maple-layout explore``: a page that shows every moment of a trace, or an image."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import arches
from layout.cli.common import add_defect, add_kernel, tell
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from layout.explore.recording import Recording

_DEFAULT = "x86_64,s390x"
_MIB = 1 << 20


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "explore",
        help="write a page that shows every moment of a trace, or an image, in a browser",
        description=(
            "Run a trace on several machines and write one HTML file that shows the tree, the "
            "bytes and their writers after every operation. Of an image, show the one moment."
        ),
        allow_abbrev=False,
    )
    parser.add_argument(
        "input",
        metavar="TRACE|IMAGE",
        help="a trace, a JSON capture, an ELF core, a JSON dump or the JSON of raw memory, "
        "may be xz-compressed; - is stdin",
    )
    parser.add_argument(
        "--arch", metavar="A,B,...", help=f"the machines; of a trace {_DEFAULT} unless given"
    )
    parser.add_argument("--tree", metavar="ADDR", help="of an image: the tree's address in hex")
    add_kernel(parser)
    add_defect(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="the HTML file to write"
    )


def run(args: argparse.Namespace) -> int:
    """Write the page."""
    from layout.explore.page import page
    from layout.images.kinds import kind_of, read_bytes

    source = "stdin" if args.input == "-" else args.input
    data = read_bytes(args.input)
    is_trace = not data or kind_of(data, source) == "trace"
    recording = _trace(args, data, source) if is_trace else _image(args, source)
    text = page(recording)
    Path(args.output).write_text(text, encoding="utf-8")
    steps = len(recording.lines)
    names = ", ".join(run.name for run in recording.runs)
    what = f"{steps} operations on {names}" if steps else f"one image of {names}"
    print(f"{args.output}: {what}, {len(text) / _MIB:.1f} MiB: open it in a browser")
    return 0


def _trace(args: argparse.Namespace, data: bytes, source: str) -> Recording:
    from layout.defects import get, operations
    from layout.explore.recording import Recording
    from layout.traces.snapshot import operations as operations_of

    given = [
        name
        for name in ("tree", "kernel", "lock_size", "config")
        if getattr(args, name) is not None
    ]
    if given:
        message = f"--{given[0].replace('_', '-')} is for images: leave it out"
        raise UsageError(message)
    machines = list(dict.fromkeys(arches.get(name) for name in (args.arch or _DEFAULT).split(",")))
    if args.defect and not args.arch:
        machines = machines[1:]
    if len({arch.word_size for arch in machines}) > 1:
        message = "32-bit and 64-bit machines build different trees: explore each kind by itself"
        raise UsageError(message)
    names = tuple(get(name).id for name in args.defect)
    kernels = operations(args.defect)
    recording = Recording(Path(source).name)
    wanted = list(operations_of(data, source, machines[0]))
    variants = [((), []), (names, kernels)] if names else [((), [])]
    for arch in machines:
        for defects, replaced in variants:
            name = arch.name + (f" with {', '.join(defects)}" if defects else "")
            with _Progress(name, len(wanted)) as progress:
                recording.add_run(
                    wanted,
                    arch,
                    name=name,
                    kernels=replaced,
                    defects=defects,
                    progress=progress.step,
                )
    return recording


def _image(args: argparse.Namespace, source: str) -> Recording:
    from layout.explore.recording import Recording
    from layout.traces.inputs import load

    if args.defect:
        message = f"--defect is for traces, but {source} is an image: leave it out"
        raise UsageError(message)
    image = load(
        args.input,
        tree=args.tree,
        arch=arches.get(args.arch) if args.arch else None,
        kernel=args.kernel,
        lock_size=args.lock_size,
        config=args.config,
    )
    for note in image.notes:
        tell(note)
    recording = Recording(Path(source).name)
    recording.add_image(image)
    return recording


class _Progress:
    """A count of operations on stderr, if that is a terminal."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total, self._done = name, total, 0
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")

    def step(self) -> None:
        """One operation more is done."""
        self._done += 1
        if self._shown and self._done % 50 == 0:
            sys.stderr.write(f"\r{self._name}: {self._done} of {self._total} operations")
            sys.stderr.flush()
