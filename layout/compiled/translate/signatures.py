"""Functions and types: what annotations say, and what that is in C."""

from __future__ import annotations

import ast
import importlib
import inspect
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

C_TYPES = {
    "Word": "u64",
    "int": "i64",
    "bool": "bint",
    "str": "str",
    "list[int]": "Words*",
    "states": "MaState*",  # a list of them
    "Pivots": "u64",  # the address of a run of words
    "Nodes": "i64",  # how many were taken: the cache has them
    "queue": "list",
}
"""C types by annotation; Environment adds the states."""

ERRORS = {"None": "-1", "bool": "-1", "int": "? -0x7EAD0BAD", "Word": "? 0xDEAD0BAD0BAD0BAD"}
"""What a C function returns that raises, by what its Python function returns."""


class Refused(Exception):  # noqa: N818 - what the translator says to a change it cannot follow
    """A construct that the translator does not know."""


class Origin(NamedTuple):
    """Where a function is from: its module's names, and the file."""

    namespace: Mapping[str, Any]
    source: str


class Signature:
    """A function: its parameters as (name, type, default), and its return type.

    ``receiver`` is what it is called on: "Kernel", "mem", "cache", a state class, or "" for a
    function of words. ``makes`` tells that what it returns is a struct, which its C form fills.
    ``alias`` are other names of types.
    """

    def __init__(
        self,
        node: ast.FunctionDef,
        *,
        name: str = "",
        receiver: str | None = None,
        origin: Origin | None = None,
        alias: Mapping[str, str] | None = None,
    ) -> None:
        self.node = node
        self.name = name or node.name
        self.namespace, self.source = origin or Origin({}, "")
        self._alias = alias or {}
        args = [*node.args.args, *node.args.kwonlyargs]
        given = [None] * (len(node.args.args) - len(node.args.defaults)) + node.args.defaults
        defaults = [*given, *node.args.kw_defaults]
        first = bool(args) and args[0].arg in ("k", "self")
        self.receiver = ("Kernel" if first else "") if receiver is None else receiver
        self.params = [
            (arg.arg, self.kind(arg.annotation), default)
            for arg, default in list(zip(args, defaults, strict=True))[first:]
        ]
        self.keyword_only = {arg.arg for arg in node.args.kwonlyargs}
        self.returns = self.kind(node.returns) or "None"
        self.makes = False

    def kind(self, annotation: ast.expr | None) -> str:
        """The type that an annotation names, "" for none."""
        text = ast.unparse(annotation) if annotation else ""
        return self._alias.get(text, text)

    def declaration(self, c_types: Mapping[str, str]) -> str:
        """``cdef TYPE NAME(...) except ...:``."""
        of_state = self.receiver not in ("", "Kernel", "mem", "cache")
        params = [f"{c_types[self.receiver]} self"] if of_state else []
        params += ["Core k"] if self.receiver and not of_state else []
        params += [f"{c_types[kind]} {name}" for name, kind, _ in self.params]
        if self.returns == "None":
            c_return = "int"
        elif self.returns.startswith("tuple["):
            c_return = "(" + ", ".join(c_types[kind] for kind in parts_of(self.returns)) + ")"
        else:
            c_return = c_types[self.returns]
        if not self.receiver and not self.name.startswith("_"):  # bits of a word
            return f"cdef inline {c_return} {self.name}({', '.join(params)}) noexcept:"
        inline = "inline " if of_state or self.receiver == "mem" else ""
        error = ERRORS.get(self.returns, "*")
        head = f"cdef {inline}{c_return} {self.name}({', '.join(params)})"
        return f"{head} except {error}:".replace("except ? ", "except? ")


def parts_of(kind: str) -> list[str]:
    """The types in ``tuple[A, B]``."""
    return kind.removeprefix("tuple[").removesuffix("]").split(", ")


def stubs(text: str, prefix: str, receiver: str) -> dict[str, Signature]:
    """Signatures of functions that are there already, by their Python names."""
    nodes = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return {
        node.name: Signature(node, name=prefix + node.name, receiver=receiver) for node in nodes
    }


def origin_of(thing: Any) -> Origin:
    """Where a function or a class is from."""
    name = str(thing.__module__)
    return Origin(vars(importlib.import_module(name)), name.replace(".", "/") + ".py")


@cache
def _tree_of(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(module)))


def functions_of(module: str) -> dict[str, ast.FunctionDef]:
    """The functions of a module, by name."""
    body = _tree_of(module).body
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def class_of(python: type[Any]) -> ast.ClassDef:
    """A class's text, with the line numbers of its file."""
    body = _tree_of(python.__module__).body
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    return next(node for node in classes if node.name == python.__name__)
