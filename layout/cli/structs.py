"""``maple-layout struct``: how a kernel struct lies in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import add_arch, add_kernel
from layout.errors import UsageError

if TYPE_CHECKING:
    import argparse

_DEFAULT_LOCK_SIZE = 4


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "struct",
        help="show how a struct lies in memory",
        description="Show a struct's members with offsets and sizes in bytes, as pahole does.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "name", metavar="NAME", nargs="*", help="maple_node, struct maple_node, enum maple_type"
    )
    parser.add_argument("--list", action="store_true", help="list the names instead")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_arch(parser, "the machine, x86_64 if left out")
    add_kernel(parser)


def run(args: argparse.Namespace) -> int:
    """Print the layout of one struct or enum, or the names of all."""
    from layout import structs
    from layout.render import pahole

    lock_size = _DEFAULT_LOCK_SIZE if args.lock_size is None else args.lock_size
    profile = structs.profile(arches.get(args.arch or "x86_64"), args.kernel or "6.12", lock_size)
    known = pahole.names(profile)
    if args.list:
        print(json.dumps(known) if args.json else "\n".join(known))
        return 0
    if not args.name:
        message = f"struct needs the NAME of one: {', '.join(known)}"
        raise UsageError(message)
    name = " ".join(args.name)
    if args.json:
        print(json.dumps(pahole.as_json(profile, name)))
    else:
        print("\n".join(pahole.pahole(profile, name)))
    return 0
