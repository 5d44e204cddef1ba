"""``maple-layout scan``: maple trees in memory of which nothing is known."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import arches
from layout.cli.common import add_addresses, add_arch, add_kernel, tell

if TYPE_CHECKING:
    import argparse

    from layout.images.scan import Candidate

_HEAD = ("tree", "root node", "nodes", "entries", "height", "state", "score")


def add(verbs: Any) -> None:
    """Register the verb."""
    parser = verbs.add_parser(
        "scan",
        help="find maple trees in a core or raw memory",
        description=(
            "Look at every multiple of 256 bytes for maple nodes, put together those that name "
            "one another, and list what may be trees, the surest first."
        ),
        allow_abbrev=False,
    )
    parser.add_argument(
        "input",
        metavar="IMAGE",
        help="an ELF core, raw memory or any other image, packed or not; - is stdin",
    )
    add_arch(parser, "the machine, told by the trees found if left out")
    add_kernel(parser)
    add_addresses(parser)
    parser.add_argument(
        "--all", action="store_true", help="list what is freed and dead, too, as --json always does"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print what was found; 0 also where that is nothing."""
    from layout.images.anymemory import open_memory
    from layout.images.kinds import parse_address
    from layout.images.packed import open_bytes
    from layout.images.scan import scan
    from layout.images.treestruct import Known

    data, source = open_bytes(args.input)
    memory = open_memory(
        data,
        source,
        Path() if args.input == "-" else Path(args.input).parent,
        arch=None if args.arch is None else arches.get(args.arch),
        known=Known(args.kernel, args.lock_size, args.config),
        base=None if args.base is None else parse_address(args.base, "--base"),
    )
    start = None if args.direct_map is None else parse_address(args.direct_map, "--direct-map")
    for note in memory.notes:
        tell(note)
    found = scan(memory.store, memory.arch, source, memory.known, start)
    if found.shift and start is None:
        tell(
            f"addresses are physical: the direct map starts at {found.shift:x}, "
            f"as {found.agreeing} pairs of nodes agree"
        )
    if args.json:
        print(json.dumps([one.as_json(memory.arch.name) for one in found.candidates]))
        return 0
    shown = [one for one in found.candidates if args.all or one.state == "live"]
    if shown:
        _print(shown, 2 * memory.arch.word_size)
    else:
        tell(f"no maple tree found in {memory.store.table.size()} bytes of {source}")
    left = (
        Counter(one.state for one in found.candidates) if len(shown) < len(found.candidates) else {}
    )
    if left:
        tell(f"left out: {left['freed']} freed trees or parts, {left['dead']} dead nodes (--all)")
    return 0


def _print(candidates: list[Candidate], digits: int) -> None:
    """One line a candidate."""
    print(f"{_HEAD[0]:{digits}}  {_HEAD[1]:{digits}}  " + "  ".join(_HEAD[2:]))
    for one in candidates:
        tree = "-" if one.tree is None else f"{one.tree:x}"
        print(
            f"{tree:{digits}}  {one.root_node:<{digits}x}  {one.nodes:5}  {one.entries:7}  "
            f"{one.height:6}  {one.state:5}  {one.score:5.2f}"
        )
