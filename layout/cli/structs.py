"""``maple-layout struct``: the layout of a kernel struct, and its comparison with other sources."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import add_arch, add_kernel, tell
from layout.memory.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from arches import Arch
    from layout.formats.layout_diff import Comparison
    from layout.memory.structs import Profile

_DEFAULT_ARCH = "x86_64"
_DEFAULT_LOCK_SIZE = 4
FORMATS = ("pahole", "c", "ksy", "json")
_OTHER = re.compile(r"(?P<arch>[^@+]+)?(@(?P<kernel>[^+]+))?(\+(?P<config>.+))?")
"""The other side of --diff."""


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "struct",
        help="show the layout of a struct, or compare it with a file",
        description="Show a struct's members with offsets and sizes in bytes, as pahole does; "
        "or compare them with a file's type information, or with another machine or kernel.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="*",
        help="maple_node, struct maple_node, enum maple_type; without it all are compared by "
        "--check and --diff, and written by --format c and json",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list the names instead")
    what.add_argument(
        "--check",
        metavar="FILE",
        help="compare with raw BTF (/sys/kernel/btf/vmlinux), or with the BTF or DWARF of a "
        "vmlinux or object file; exit code 1 if they differ",
    )
    what.add_argument(
        "--diff",
        metavar="[ARCH][@V][+OPTIONS]",
        help="compare with another machine, kernel version and configuration, such as s390x, "
        "s390x@6.1, @6.18 or +lockdep; exit code 1 if they differ",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="pahole's format (the default), a C header with static assertions, a Kaitai "
        "Struct file, or JSON",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_arch(parser, "the machine (default x86_64, or that of the ELF file)")
    add_kernel(parser)


def run(args: argparse.Namespace) -> int:
    """Print a layout, the names of all, or a comparison; 1 if the two sides differ."""
    from layout.formats import pahole

    if args.format and (args.list or args.check is not None or args.diff is not None):
        message = "--format is for layouts, not for --list, --check and --diff: leave it out"
        raise UsageError(message)
    if args.format and args.json:
        message = "--json is --format json: leave out one of the two"
        raise UsageError(message)
    if args.check is not None:
        return _check(args)
    profile = _profile(args, _arch(args) or arches.get(_DEFAULT_ARCH))
    if args.diff is not None:
        return _diff(args, profile)
    known = pahole.names(profile)
    if args.list:
        known = pahole.names(profile, with_mm=True)
        print(json.dumps(known) if args.json else "\n".join(known))
        return 0
    return _print(args, profile, [" ".join(args.name)] if args.name else known)


def _print(args: argparse.Namespace, profile: Profile, names: list[str]) -> int:
    """Print a layout, or where the form allows it several."""
    from layout.formats import cheader, ksy, pahole

    form = "json" if args.json else args.format
    if form == "c":
        print("\n".join(cheader.header(profile, names)))
    elif form == "json":
        layouts = {name: pahole.as_json(profile, name) for name in names}
        print(json.dumps(layouts[names[0]] if args.name else layouts))
    elif not args.name:
        message = f"struct needs the NAME of one: {', '.join(names)}"
        raise UsageError(message)
    else:
        lines = ksy.kaitai if form == "ksy" else pahole.pahole
        print("\n".join(lines(profile, names[0])))
    return 0


def _arch(args: argparse.Namespace) -> Arch | None:
    return None if args.arch is None else arches.get(args.arch)


def _profile(args: argparse.Namespace, arch: Arch) -> Profile:
    """What --kernel, --config and --lock-size say, on a machine."""
    from layout.memory import structs

    lock_size = _DEFAULT_LOCK_SIZE if args.lock_size is None else args.lock_size
    version = args.kernel or structs.DEFAULT_VERSION
    return structs.profile(arch, version, lock_size, config=args.config)


def _wanted(args: argparse.Namespace, profile: Profile) -> list[str]:
    """The bare names to compare: the one given, or all. Raises UsageError."""
    from layout.formats import pahole
    from layout.formats.layout_diff import names_of

    return [pahole.find(profile, " ".join(args.name))[0]] if args.name else names_of(profile)


def _check(args: argparse.Namespace) -> int:
    from layout.formats import layout_diff
    from layout.formats.object_files import read_types

    machine = _arch(args)
    names = _wanted(args, _profile(args, machine or arches.get(_DEFAULT_ARCH)))
    needed = {layout_diff.ALIASES.get(name, name) for name in names}
    machine, info = read_types(args.check, machine, needed, layout_diff.every_name())
    profile = _profile(args, machine)
    compared = layout_diff.check(profile, names, info)
    if not args.name:  # a file need not have all, but what it has must agree
        compared = [one for one in compared if not one.missing] or compared
        absent = [name for name in names if name not in {one.name for one in compared}]
        if absent:
            tell(f"not in {info.source}: {', '.join(absent)}")
    code = _show(args, compared, str(profile), info.source)
    if code:
        better = layout_diff.agreeing_profile(profile, info)
        if better:
            tell(f"{info.source} agrees with {better}")
    return code


def _diff(args: argparse.Namespace, profile: Profile) -> int:
    from layout.formats import layout_diff
    from layout.memory import structs

    match = _OTHER.fullmatch(args.diff)
    if match is None or not args.diff:
        message = f"--diff {args.diff!r}: give ARCH, @VERSION or +OPTIONS, or these in this order"
        raise UsageError(message)
    arch = arches.get(match["arch"]) if match["arch"] else profile.arch
    version = match["kernel"] or profile.version
    if match["config"]:
        other = structs.profile(arch, version, config=match["config"])
    elif args.config is not None:
        other = structs.profile(arch, version, config=args.config)
    else:
        other = structs.profile(arch, version, profile.lock_size)
    names = _wanted(args, profile)
    if not args.name:
        names += [name for name in layout_diff.names_of(other) if name not in names]
    compared = layout_diff.diff(profile, other, names)
    if profile.arch.byteorder != other.arch.byteorder:
        orders = f"{profile.arch.byteorder} and {other.arch.byteorder}"
        tell(f"offsets and sizes only: {orders} endian machines store the same words differently")
    return _show(args, compared, str(profile), str(other))


def _show(args: argparse.Namespace, compared: Sequence[Comparison], left: str, right: str) -> int:
    """Print a comparison; 1 if there is a difference."""
    from layout.show import layout_table

    if args.json:
        print(json.dumps(layout_table.as_json(compared, left, right)))
    else:
        print("\n".join(layout_table.table(compared, left, right)))
    return 0 if all(one.equal for one in compared) else 1
