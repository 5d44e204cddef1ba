"""The states as C: structs, what fills them, and the Python class of a caller's state.

All comes from the fields of the dataclasses in ``layout.tree.state``.
"""

from __future__ import annotations

import ast
import importlib
from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from layout.compiled.translate.signatures import C_TYPES, Refused, Signature, class_of, origin_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Field(NamedTuple):
    """A field of a state: its type, and its first value, None if that is given."""

    name: str
    kind: str
    first: int | None


class State:
    """A state class; ``name`` is what C calls it."""

    def __init__(self, name: str, python: type[Any], alias: Mapping[str, str]) -> None:
        self.name = name
        self.python = python
        self._alias = alias
        self.fields = [
            Field(
                each.name,
                alias.get(str(each.type), str(each.type)),
                None if each.default is MISSING else each.default,
            )
            for each in fields(python)
        ]

    @property
    def kinds(self) -> dict[str, str]:
        """Types of the fields by name."""
        return {field.name: field.kind for field in self.fields}

    def struct(self, c_types: Mapping[str, str]) -> str:
        """The C struct; words that a state holds itself lie in it."""
        lines = [f"cdef struct {self.name}:"]
        for field in self.fields:
            c_type = "Words" if field.kind == "list[int]" else c_types[field.kind]
            lines.append(f"    {c_type} {field.name}")
        return "\n".join(lines)

    def runs_of_words(self) -> list[str]:
        """C functions that give the words which a state holds itself."""
        return [
            f"cdef inline Words* {self.name}_{name}_words({self.name}* self) noexcept:\n"
            f"    return &self.{name}"
            for name, kind in self.kinds.items()
            if kind == "list[int]"
        ]

    @property
    def maker(self) -> Signature | None:
        """The call that makes one, as in Python; none for a state with words of its own."""
        if "list[int]" in self.kinds.values():
            return None
        given = ", ".join(f"{name}: {kind}" for name, kind, first in self.fields if first is None)
        [node] = ast.parse(f"def make_{self.name}({given}) -> {self.name}: ...").body
        assert isinstance(node, ast.FunctionDef)
        made = Signature(node, receiver="")
        made.makes = True
        return made

    def filled(self, c_types: Mapping[str, str]) -> str:
        """The C function behind ``maker``."""
        assert self.maker is not None
        params = [f"{c_types[kind]} {name}" for name, kind, _ in self.maker.params]
        head = f"cdef inline int make_{self.name}({', '.join([self.name + '* new', *params])})"
        lines = [f"{head} except -1:", f"    memset(new, 0, sizeof({self.name}))"]
        for name, _, first in self.fields:
            if first != 0:
                lines.append(f"    new.{name} = {name if first is None else first}")
        return "\n".join([*lines, "    return 0"])

    def methods(self, by_hand: Iterable[str]) -> dict[str, Signature]:
        """Its methods that are translated."""
        found: dict[str, Signature] = {}
        for base in reversed(self.python.__mro__[:-1]):
            for node in class_of(base).body:
                if not isinstance(node, ast.FunctionDef) or node.name in by_hand:
                    continue
                found[node.name] = Signature(
                    node,
                    name=f"{self.name}_{node.name}",
                    receiver=self.name,
                    origin=origin_of(base),
                    alias=self._alias,
                )
        return found


def states_of(modules: Iterable[str]) -> tuple[dict[str, State], dict[str, str]]:
    """The state classes of some modules by name, and other names for them.

    A class that derives from an earlier one stands in for it, under both names: so a version of
    the kernel adds fields.
    """
    classes: dict[str, type[Any]] = {}
    alias: dict[str, str] = {}
    for module in modules:
        for name, value in vars(importlib.import_module(module)).items():
            if not is_dataclass(value) or value.__module__ != module:
                continue
            assert isinstance(value, type)
            taken = next((key for key, base in classes.items() if issubclass(value, base)), name)
            classes[taken] = value
            if taken != name:
                alias[name] = taken
    states = {name: State(name, python, alias) for name, python in classes.items()}
    for state in states.values():
        for name, kind, _ in state.fields:
            if kind not in C_TYPES and kind not in states:
                place = origin_of(state.python).source
                raise Refused(f"{place}: {state.python.__name__}.{name} has the type {kind}")
    return states, alias


def structs(states: Mapping[str, State]) -> str:
    """All structs, those that others point to first, and what fills them."""
    c_types = C_TYPES | {name: f"{name}*" for name in states}
    ordered: list[State] = []

    def put(state: State) -> None:
        for kind in state.kinds.values():
            if kind in states:
                put(states[kind])
        if state not in ordered:
            ordered.append(state)

    for state in states.values():
        put(state)
    parts = [state.struct(c_types) for state in ordered]
    parts += [text for state in ordered for text in state.runs_of_words()]
    return "\n\n".join([*parts, *(state.filled(c_types) for state in ordered if state.maker)])


_PROPERTY = """
@property
def {name}(self):
    return self.s.{name}

@{name}.setter
def {name}(self, {c_type} value):
    self.s.{name} = value
"""


def properties(state: State) -> str:
    """The fields as Python properties of the extension's class State."""
    return "".join(
        _PROPERTY.format(name=name, c_type=C_TYPES[kind]) for name, kind, _ in state.fields
    )
