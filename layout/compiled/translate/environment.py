"""All that a function's body may refer to, for one table of operations."""

from __future__ import annotations

import ast
import importlib
import inspect
from typing import TYPE_CHECKING, Any

from layout.compiled.translate import byhand
from layout.compiled.translate.signatures import (
    C_TYPES,
    Refused,
    Signature,
    class_of,
    functions_of,
    origin_of,
    stubs,
)
from layout.compiled.translate.states import states_of
from layout.memory.node import NodeMemory

if TYPE_CHECKING:
    from types import FunctionType

    from layout.compiled import Table

QUEUE = """
def append(self, item: pair) -> None: ...
def clear(self) -> None: ...
"""


class Environment:
    """A kernel's operations, the methods of what they use, and the states.

    ``wanted`` are the functions to translate. It begins with what the table lists and the
    accessors of nodes, and grows as bodies turn out to call others.
    """

    def __init__(self, table: Table) -> None:
        module, _, name = table.kernel.partition(":")
        self.kernel: type[Any] = getattr(importlib.import_module(module), name)
        self.states, self.alias = states_of(table.states)
        self.c_types = C_TYPES | {state: f"{state}*" for state in self.states}
        fields = byhand.FIELDS
        self.fields = {owner: {**fields.get(owner, {})} for owner in ("Kernel", "mem", "cache")}
        self.fields["Kernel"] |= byhand.OTHER_FIELDS["Kernel"]
        self.fields |= {state.name: state.kinds for state in self.states.values()}
        self.wanted: list[Signature] = []
        self._names: dict[str, FunctionType | None] = {}
        self._signatures: dict[FunctionType, Signature] = {}
        self.methods = {
            "Kernel": stubs(byhand.OPERATIONS, "", "Kernel"),
            "mem": stubs(byhand.MEMORY, "mem_", "mem"),
            "cache": stubs(byhand.CACHE, "cache_", "cache"),
            "queue": stubs(QUEUE, "", "queue"),
        }
        for part in table.parts:
            self.methods["Kernel"] |= stubs(byhand.OF_PARTS[part], "", "Kernel")
        for made in self.methods["Kernel"].values():
            made.makes = made.name.startswith("new_")
        self._take_states()
        for name in self.methods["Kernel"]:
            self._names[name] = None
        for name, function in operations(self.kernel).items():
            if name not in self.methods["Kernel"] and function.__module__ not in byhand.MODULES:
                self.methods["Kernel"][name] = self.signature_of(function, name)
        for node in class_of(NodeMemory).body:
            if not isinstance(node, ast.FunctionDef) or node.name in byhand.NOT_CALLED:
                continue
            if node.name not in self.methods["mem"]:
                self._take_accessor(node)

    def _take_states(self) -> None:
        """Methods of the states, and the calls that make them."""
        self.makers = {}
        for state in self.states.values():
            if state.maker is not None:
                self.makers[state.name] = state.maker
            hand = {"BigNode": stubs(byhand.BIG_NODE, "BigNode_", "BigNode")}.get(state.name, {})
            by_hand = {*hand, "copy", "assign"} | {m for m in dir(object) if m.startswith("__")}
            mine = state.methods(by_hand)
            self.methods[state.name] = {**hand, **mine}
            self.wanted += mine.values()
            text = f"def copy(self) -> {state.name}: ...\n"
            text += f"def assign(self, other: {state.name}) -> None: ..."
            for name, signature in stubs(text, "", state.name).items():
                if hasattr(state.python, name):
                    signature.makes = name == "copy"
                    self.methods[state.name][name] = signature

    def _take_accessor(self, node: ast.FunctionDef) -> None:
        signature = Signature(
            node,
            name=f"mem_{node.name}",
            receiver="mem",
            origin=origin_of(NodeMemory),
            alias=self.alias,
        )
        self.methods["mem"][node.name] = signature
        self.wanted.append(signature)

    def signature_of(self, function: FunctionType, name: str = "") -> Signature:
        """A function's signature; from now on it is wanted. Raises Refused."""
        function = inspect.unwrap(function)
        known = self._signatures.get(function)
        if known is not None:
            return known
        origin = origin_of(function)
        wanted = name or function.__name__
        if self._names.setdefault(wanted, function) is not function:
            wanted = f"{function.__module__.rpartition('.')[2]}_{wanted}"
        if self._names.setdefault(wanted, function) is not function:
            raise Refused(f"{origin.source}: there are two functions {wanted}")
        node = functions_of(function.__module__).get(function.__name__)
        if node is None:
            raise Refused(f"{origin.source}: {wanted} is no function of this module")
        signature = Signature(node, name=wanted, origin=origin, alias=self.alias)
        self._signatures[function] = signature
        self.wanted.append(signature)
        return signature


def operations(kernel: type[Any]) -> dict[str, FunctionType]:
    """The operations that a kernel's class lists, its bases' first: by name, in their order."""
    found: dict[str, FunctionType] = {}
    gone: frozenset[str] = getattr(kernel, "gone", frozenset())
    for base in reversed(kernel.__mro__):
        for name, value in vars(base).items():
            if not inspect.isfunction(value) or name in ("__init__", "new_words", *gone):
                continue
            if "." in value.__qualname__:
                place = f"{origin_of(base).source}:{value.__code__.co_firstlineno}"
                raise Refused(f"{place}: {name}: operations are functions that the class lists")
            found[name] = value
    return found
