"""``maple-layout explore``: a page that shows every moment of a trace, or an image."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import (
    OF_IMAGES,
    add_addresses,
    add_defect,
    add_kernel,
    add_limit,
    add_names,
    defects_of,
    limit_of,
    read_input,
    refuse,
    tell,
    version_of,
)
from layout.cli.suffixes import refuse_suffix
from layout.host.progress import Progress
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from arches import Arch
    from layout.explore.recording import Recording
    from layout.traces.source import TraceText
    from layout.traces.trace import Operation

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
        help="a trace, or an image of any kind that decode takes, packed or not; - is stdin",
    )
    parser.add_argument(
        "--arch", metavar="A,B,...", help=f"the machines; of a trace {_DEFAULT} unless given"
    )
    parser.add_argument("--tree", metavar="ADDR", help="of an image: the tree's address in hex")
    add_kernel(parser)
    add_addresses(parser)
    add_names(parser)
    add_defect(parser)
    add_limit(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="the HTML file to write; - is stdout"
    )
    parser.set_defaults(at=None)  # the page has every line of a trace


def run(args: argparse.Namespace) -> int:
    """Write the page; 1 if it is of an image whose tree is broken."""
    from layout.explore.page import page
    from layout.host.files import check, write
    from layout.traces.source import TraceText

    refuse_suffix(args.output, "html", "a page in HTML", "draw for SVG and Graphviz")
    if args.output != "-":
        check(args.output, inputs=[args.input])
    trace = TraceText.open(args.input) if args.base is None else None
    recording = _image(args) if trace is None else _trace(args, trace)
    html = page(recording)
    steps = len(recording.lines)
    violations = 0 if steps else len(recording.runs[0].marks)
    if violations:
        tell(f"the tree is broken: {violations} violation{'s' * (violations > 1)}, marked there")
    if args.output == "-":
        sys.stdout.write(html)
        return 1 if violations else 0
    write(args.output, html)
    names = ", ".join(run.name for run in recording.runs)
    what = f"{steps} operations on {names}" if steps else f"one image of {names}"
    print(f"{args.output}: {what}, {len(html) / _MIB:.1f} MiB: open it in a browser")
    for where, text in _first(recording):
        print(f"{text}: {args.output}{where}")
    return 1 if violations else 0


def _first(recording: Recording) -> Iterator[tuple[str, str]]:
    """Where to look: the first report or fault, and the first difference, as fragments."""
    from layout.explore.link import fragment

    if not recording.lines:
        return
    marks = [(run.marks[0], run) for run in recording.runs if run.marks]
    if marks:
        mark, run = min(marks, key=lambda each: each[0].step)
        where = fragment(recording.lines[mark.step - 1][0], run.name, mark.address + mark.offset)
        yield where, f"first {mark.kind}"
    differing = [(found[0], run) for run in recording.runs if (found := recording.differs(run))]
    if differing:
        step, run = min(differing, key=lambda each: each[0])
        yield fragment(recording.lines[step - 1][0], run.name), "first difference in meaning"


def _trace(args: argparse.Namespace, text: TraceText) -> Recording:
    from layout.traces.othertext import refuse_other_text
    from layout.traces.snapshot import operations

    refuse(args, ("tree", "lock_size", "config", *OF_IMAGES), "is for images")
    refuse_other_text(text)
    machines = list(
        dict.fromkeys(
            arches.get(name) for name in (_DEFAULT if args.arch is None else args.arch).split(",")
        )
    )
    if args.defect and not args.arch:
        machines = machines[1:]
    if len({arch.word_size for arch in machines}) > 1:
        message = "32-bit and 64-bit machines build different trees: explore each kind by itself"
        raise UsageError(message)
    wanted = list(operations(text, machines[0]))
    if not wanted:
        tell(f"{text.source} has no operation: its trees are empty")
    return record(text.source, wanted, machines, args)


def record(
    source: str, wanted: list[Operation], machines: list[Arch], args: argparse.Namespace
) -> Recording:
    """The operations on each machine, with and without what ``--defect`` names."""
    from layout.defects import get
    from layout.explore.recording import Recording

    names = tuple(get(name).id for name in args.defect)
    kernels = defects_of(args)
    recording = Recording(Path(source).name)
    variants = [((), []), (names, kernels)] if names else [((), [])]
    for arch in machines:
        for defects, replaced in variants:
            name = run_name(arch, defects)
            with Progress(name, len(wanted), "operations") as progress:
                recording.add_run(
                    wanted,
                    arch,
                    name=name,
                    kernels=replaced,
                    defects=defects,
                    version=version_of(args),
                    limit=limit_of(args, watched=True),
                    progress=progress.step,
                )
    return recording


def run_name(arch: Arch, defects: Sequence[str]) -> str:
    """What the page calls a run."""
    return arch.name + (f" with {', '.join(defects)}" if defects else "")


def _image(args: argparse.Namespace) -> Recording:
    from layout.explore.recording import Recording

    if args.defect:
        message = f"--defect is for traces, but {args.input} is an image: leave it out"
        raise UsageError(message)
    arch = None if args.arch is None else arches.get(args.arch)
    image = read_input(args, args.input, arch)
    for note in image.notes:
        tell(note)
    recording = Recording(Path(image.source).name)
    recording.add_image(image)
    return recording
