"""A bad execution as text: the stores that the reader met, what it saw, what it returned."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from layout.interleave.barriers import BARRIERS
from layout.interleave.stores import FREED, HANDED_OUT
from layout.interleave.view import OBJECT
from layout.memory.node import NODE_SIZE

if TYPE_CHECKING:
    from layout.interleave.search import Beside, Wrong
    from layout.interleave.stores import Store, Writing


def story(result: Beside, wrong: Wrong, byteorder: str) -> list[str]:
    """The lines of a story. Stores are numbered from 1, in the writer's order."""
    writing = result.writing
    several = len(writing.operations) > 1
    whose = "their" if several else "its"
    met = sorted({n for load in wrong.loads for n in (*load.visible, *load.hidden)})
    lines = [f"  writer: {len(met)} of {whose} {len(writing.stores)} stores are met"]
    told = [
        (
            f"{number + 1}",
            *([f"line {writing.line_of(number)}"] if several else []),
            *_store(writing, number, byteorder),
        )
        for number in met
    ]
    widths = [max(map(len, column)) for column in zip(*told, strict=True)] if told else []
    for words in told:
        cells = [word.ljust(width) for word, width in zip(words, widths, strict=True)]
        lines.append(f"    {'  '.join(cells)}".rstrip())
    lines += [f"  earlier reader: {each}" for each in wrong.earlier]
    lines.append(f"  reader: {wrong.reader}")
    for load, _ in groupby(wrong.loads):
        where = place(writing, load.address)
        sees = f"sees {_numbers(load.visible)}" if load.visible else ""
        lacks = f"does not see {_numbers(load.hidden)}" if load.hidden else ""
        value = "freed" if load.value < 0 else f"{load.value:x}"
        lines.append(
            f"    {load.name} of {where} is {value}: {', '.join(filter(None, (sees, lacks)))}"
        )
    lines += [f"    {answer}" for answer in wrong.answers]
    return [*lines, f"  wrong: {wrong.what}"]


def place(writing: Writing, address: int) -> str:
    """What an address lies in: the tree, or a node by its address."""
    if any(each.field == OBJECT and each.address == address for each in writing.stores):
        return "the new entry"
    if writing.tree <= address < writing.tree + 0x40:
        return "the tree"
    return f"{address & -NODE_SIZE:x}"


def _numbers(stores: tuple[int, ...]) -> str:
    return ", ".join(str(number + 1) for number in stores)


def _store(writing: Writing, number: int, byteorder: str) -> tuple[str, str, str]:
    store: Store = writing.stores[number]
    where = place(writing, store.address)
    if store.field == FREED:
        return f"{where} is freed", store.function, ""
    if store.field == HANDED_OUT:
        return f"{where} is handed out again", store.function, ""
    value = int.from_bytes(store.data, "big" if byteorder == "big" else "little")
    barriers = [BARRIERS[store.release].kind] if store.release else []
    if store.fence:
        barriers.append(f"after the {BARRIERS[store.fence].kind} of {store.fence}")
    return f"{store.field} of {where} = {value:x}", store.function, ", ".join(barriers)


def as_json(result: Beside) -> dict[str, Any]:
    """The result as JSON has it: numbers of stores count from 0, addresses are hex.

    Several lines have their first stores' numbers.
    """
    writing = result.writing
    several = [
        {"line": operation.n, "operation": str(operation), "first_store": start}
        for operation, start in zip(writing.operations, writing.starts, strict=True)
    ]
    return {
        "line": writing.first,
        "operation": str(writing.operations[0]),
        **({"together": several} if len(several) > 1 else {}),
        "stores": len(writing.stores),
        "readers": result.readers,
        "executions": result.executions,
        "pruned": result.pruned,
        "cut": result.cut,
        "wrong": [
            {
                "what": wrong.what,
                "reader": wrong.reader,
                "earlier": list(wrong.earlier),
                "answers": list(wrong.answers),
                "loads": [
                    {
                        "address": f"{load.address:x}",
                        "field": load.name,
                        "value": f"{load.value:x}",
                        "sees": list(load.visible),
                        "does_not_see": list(load.hidden),
                    }
                    for load in wrong.loads
                ],
            }
            for wrong in result.wrong
        ],
    }
