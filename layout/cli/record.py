"""``maple-layout record``: make a trace from a log of strace or from /proc/PID/maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import add_version, count, tell, version_of
from layout.cli.suffixes import refuse_suffix
from layout.host.files import Output
from layout.memory.errors import InputError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from arches import Arch
    from layout.record.processes import Found, Recording

_ARCH = "x86_64"
_MAX_NOTES = 20
_MAX_BORDERS = 6


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "record",
        help="make a trace of a real program: from a log of strace or from /proc/PID/maps",
        description="Run the memory calls of a log (strace -f -o LOG -e trace=%memory,"
        "execve,clone,clone3,fork,vfork,exit_group PROGRAM) as Linux does and write the tree "
        "operations as a trace. The log is one of an x86_64 machine; the trace runs on every "
        "64-bit one.",
        allow_abbrev=False,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("log", metavar="LOG", nargs="?", help="a log of strace, packed by xz or not")
    what.add_argument("--from-maps", metavar="FILE", help="a copy of /proc/PID/maps to start from")
    parser.add_argument("--pid", metavar="P", type=count, help="the process; the default is all")
    parser.add_argument(
        "--maps",
        metavar="FILE",
        help="/proc/PID/maps of the process (the first, without --pid), read while it ran: find "
        "the last line of the log at which the two agree",
    )
    add_version(parser)
    parser.add_argument("-o", "--output", metavar="TRACE", required=True, help="- is stdout")


def run(args: argparse.Namespace) -> int:
    """Write the trace; 1 if the log agrees with the maps nowhere."""
    arch = arches.get(_ARCH)
    refuse_suffix(args.output, "", "a trace")
    if args.from_maps is not None and (args.pid is not None or args.maps is not None):
        message = "--from-maps starts from a file alone: leave out --pid and --maps"
        raise UsageError(message)
    with Output(args.log, args.maps, args.from_maps) as files:
        if args.output != "-":
            files.open(args.output)  # what can't be written is told before the work
        return _record(args, arch, files)


def _record(args: argparse.Namespace, arch: Arch, files: Output) -> int:
    from layout.record.maps import parse

    if args.from_maps is not None:
        from layout.record.start import from_maps

        maps_file = parse(_text(args.from_maps), args.from_maps)
        lines = from_maps(maps_file, arch, version_of(args))
        _write(files, args.output, lines)
        return 0
    from layout.record.processes import record

    maps = parse(_text(args.maps), args.maps) if args.maps is not None else None
    version = version_of(args)
    done = record(_text(args.log), args.log, arch, pid=args.pid, maps=maps, version=version)
    _tell_notes(args.log, done.notes)
    _write(files, args.output, done.trace)
    return 0 if maps is None else _tell_agreement(args, done)


def _text(path: str) -> str:
    """A file of text, packed by xz or not. Raises OSError, InputError."""
    from layout.images.packed import read_bytes

    data = read_bytes(path)
    if b"\0" in data[:4096]:
        message = f"{path}: this is no text: give a log of strace or /proc/PID/maps"
        raise InputError(message)
    return data.decode("utf-8", errors="replace")


def _write(files: Output, path: str, lines: Sequence[str]) -> None:
    if path == "-":
        for line in lines:
            print(line)
        return
    with files.writing(path) as file:
        for line in lines:
            file.write(f"{line}\n".encode("ascii"))


def _tell_notes(source: str, notes: list[tuple[int, str]]) -> None:
    for line, note in notes[:_MAX_NOTES]:
        tell(f"{source}, line {line}: {note}")
    if len(notes) > _MAX_NOTES:
        tell(f"{source}: and {len(notes) - _MAX_NOTES} more lines")


def _tell_agreement(args: argparse.Namespace, done: Recording) -> int:
    found = done.found
    say = tell if args.output == "-" else print
    if found is not None:
        say(
            f"{args.maps} agrees last with line {found.line} of {args.log} ({found.call}), "
            f"line {found.trace_line} of the trace: {found.pages} pages"
        )
        say(_borders(found))
        return 0
    why = "no call of that process has left a page mapped"
    if done.closest is not None:
        line, difference = done.closest
        why = f"closest is line {line}, where {difference}"
    if done.others and args.pid is None:
        why += f"; this was process {done.pid}: choose another with --pid"
    say(f"{args.maps} agrees with no line of {args.log}: {why}")
    return 1


def _borders(found: Found) -> str:
    parts = [f"borders of VMAs: {found.borders.both} the same"]
    for where, only in (("log", found.borders.only_log), ("maps", found.borders.only_maps)):
        if only:
            shown = ", ".join(f"{address:x}" for address in only[:_MAX_BORDERS])
            more = ", ..." if len(only) > _MAX_BORDERS else ""
            parts.append(f"{len(only)} only in the {where} ({shown}{more})")
    return "; ".join(parts)
