"""Dumps of whole trees: headings, each node as hex or field by field, and the JSON of both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from layout.memory.errors import MachineFault, UsageError
from layout.memory.meaning import node_fields
from layout.memory.node import NODE_SIZE
from layout.memory.nodeview import KNOWN_TYPES, Visit, guess_maximum
from layout.memory.pointers import (
    MT_FLAGS_ALLOC_RANGE,
    MT_FLAGS_ALLOC_WRAPPED,
    MT_FLAGS_LOCK_EXTERN,
    MT_FLAGS_LOCK_MASK,
    MT_FLAGS_USE_RCU,
    NODE_MASK,
    TYPE_NAMES,
    describe_enode,
    describe_entry,
    mt_height,
    mt_mk_node,
    mte_node_type,
    mte_to_node,
    xa_is_node,
)
from layout.show.fields import fields_json, fields_text
from layout.show.hexdump import hexdump
from layout.show.text import HEADING, Line, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from layout.memory.node import NodeMemory


def describe_flags(flags: int) -> str:
    """The bits of ma_flags in words: the height in nodes, then the names of what is set."""
    words = [f"height {mt_height(flags)}"]
    if flags & MT_FLAGS_ALLOC_RANGE:
        words.append("alloc range")
    if flags & MT_FLAGS_USE_RCU:
        words.append("RCU")
    if flags & MT_FLAGS_LOCK_MASK == MT_FLAGS_LOCK_EXTERN:
        words.append("external lock")
    if flags & MT_FLAGS_ALLOC_WRAPPED:
        words.append("alloc wrapped")
    return ", ".join(words)


def tree_heading(mem: NodeMemory, tree: int) -> str:
    """One line on a tree: machine, address, flags, root. Raises MachineFault."""
    root, flags = mem.ma_root(tree), mem.ma_flags(tree)
    what = describe_enode(root) if xa_is_node(root) else describe_entry(root)
    return f"{mem.arch.name} tree {tree:x}, flags {flags:x} ({describe_flags(flags)}), root {what}"


def node_heading(visit: Visit) -> str:
    """One line on a node: its type and address, depth and the indexes it is for."""
    depth = f", depth {visit.depth}" if visit.depth >= 0 else ", not in the tree"
    return f"{TYPE_NAMES[visit.type]} node {visit.address:x}{depth}, {visit.min:x}-{visit.max:x}"


def text(
    mem: NodeMemory,
    tree: int,
    visits: Iterable[Visit],
    *,
    fields: bool = False,
    empty: bool = True,
) -> Iterator[Line]:
    """The lines of a dump: each node as plain hex, or field by field. Raises MachineFault.

    Unless ``empty`` fields are left out that are not used and 0.
    """
    yield (Span(tree_heading(mem, tree), HEADING),)
    for visit in visits:
        yield ()
        yield (Span(node_heading(visit), HEADING),)
        if fields:
            found = node_fields(mem, visit.address, visit.type, visit.min, visit.max)
            yield from fields_text(found, empty=empty)
        else:
            data = mem.read(visit.address, NODE_SIZE, "a node")
            yield from hexdump(visit.address, data, digits=2 * mem.word_size)


def json_text(mem: NodeMemory, tree: int, visits: Iterable[Visit]) -> Iterator[str]:
    """A dump as JSON has it, node by node: numbers in strings are hex. Raises MachineFault."""
    head = {
        "arch": mem.arch.name,
        "tree": f"{tree:x}",
        "root": f"{mem.ma_root(tree):x}",
        "flags": f"{mem.ma_flags(tree):x}",
    }
    before = f'{_encoded(head)[:-1]},"nodes":['
    for visit in visits:
        fields = node_fields(mem, visit.address, visit.type, visit.min, visit.max)
        node = {
            "addr": f"{visit.address:x}",
            "type": visit.type,
            "hex": mem.read(visit.address, NODE_SIZE, "a node").hex(),
            "fields": fields_json(fields),
        }
        yield f"{before}{_encoded(node)}"
        before = ","
    yield "]}\n" if before == "," else f"{before}]}}\n"


_encoded = json.JSONEncoder(separators=(",", ":")).encode


def one_node(mem: NodeMemory, visits: Sequence[Visit], address: int) -> Visit:
    """The node at ``address``: one of ``visits``, or one that the address's tags describe.

    Raises UsageError where it is neither, or is not in memory.
    """
    node, mt = mte_to_node(address), mte_node_type(address)
    for visit in visits:
        if visit.address == node:
            return visit
    if not address & NODE_MASK:
        forms = ", ".join(f"{mt_mk_node(node, mt):x} ({TYPE_NAMES[mt]})" for mt in KNOWN_TYPES)
        message = f"node {node:x} is not in the tree: give it with its type, as one of {forms}"
        raise UsageError(message)
    if mt not in KNOWN_TYPES:
        message = f"{address:x} is a pointer to a node of type {mt}, which trees don't use"
        raise UsageError(message)
    try:
        return Visit(node, mt, 0, guess_maximum(mem, node, mt), -1)
    except MachineFault:
        message = f"there is no memory for a node at {node:x}: give another --node"
        raise UsageError(message) from None
