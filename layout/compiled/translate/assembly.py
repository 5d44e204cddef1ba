"""The text of one extension: what is written by hand, with all that is translated put in."""

from __future__ import annotations

import ast
import importlib
from typing import TYPE_CHECKING

from layout.compiled import HERE, PARTS, TABLES, Table, digest
from layout.compiled.translate import byhand
from layout.compiled.translate.bodies import indent, translate
from layout.compiled.translate.environment import Environment
from layout.compiled.translate.signatures import C_TYPES, Origin, Refused, Signature
from layout.compiled.translate.states import properties, structs

if TYPE_CHECKING:
    from collections.abc import Iterator


def module(table: Table) -> str:
    """The text of the whole Cython module of a kernel's table. Raises Refused."""
    env = Environment(table)
    functions = list(translations(env))
    state = env.states["MaState"].python
    made = {
        "CONSTANTS": _constants(),
        "STRUCTS": structs(env.states),
        "PROPERTIES": properties(env.states["MaState"]),
        "PLAIN": f"from {state.__module__} import {state.__name__} as Plain",
        "FIELDS": _fields(),
        "MEMORY": _taken("mem"),
        "KERNEL": _taken("Kernel"),
        "METHODS": "\n\n".join(wrapper(each) for each in env.wanted if _public(each)),
        "FUNCTIONS": "\n\n\n".join(functions),
        "SOURCES": f'SOURCES = "{digest()}"',
    }
    parts = [(HERE / "parts" / name).read_text() for name in (*PARTS, *table.parts)]
    return filled("".join(parts), made)


def translations(env: Environment) -> Iterator[str]:
    """All functions in C, the called ones behind those that call them."""
    for signature in env.wanted:  # it grows meanwhile
        text = translate(signature, env)
        if signature.name in byhand.NOTED:
            text = text.replace(f" {signature.name}(", f" plain_{signature.name}(", 1)
        yield f"# {signature.source}\n{text}"


def filled(text: str, made: dict[str, str]) -> str:
    """The text with each line ``#: NAME`` replaced by what was made for it. Raises Refused."""
    left = dict(made)
    lines = []
    for line in text.split("\n"):
        bare = line.lstrip()
        if not bare.startswith("#: "):
            lines.append(line)
            continue
        name = bare.removeprefix("#: ")
        if name not in left:
            raise Refused(f"layout/compiled/parts: nothing is made for {bare!r}, or it is twice")
        part = left.pop(name)
        for _ in range((len(line) - len(bare)) // 4):
            part = indent(part)
        lines.append(part)
    if left:
        raise Refused(f"layout/compiled/parts: no place for {', '.join(left)}")
    return "\n".join(lines)


def _constants() -> str:
    """Numbers of Python modules for the parts."""
    lines = ["cdef enum:"]
    for name, constants in byhand.CONSTANTS.items():
        values = vars(importlib.import_module(name))
        lines += [f"    {each} = {values[each]}" for each in constants]
    return "\n".join(lines)


def _c_name(owner: str, field: str) -> str:
    return "mem_" + field.lstrip("_") if owner == "mem" else field


def _fields() -> str:
    """Core's fields that stay as the kernel and the memory have them."""
    lines = []
    for owner, fields in byhand.FIELDS.items():
        for field, kind in fields.items():
            length = kind.removeprefix("table") if kind.startswith("table") else ""
            lines.append(f"cdef i64 {_c_name(owner, field)}{length}")
    return "\n".join(lines)


def _taken(owner: str) -> str:
    """Core takes them over from ``source``."""
    return "\n".join(
        f"self.{_c_name(owner, field)} = source.{field}" for field in byhand.FIELDS[owner]
    )


def wrapper(signature: Signature) -> str:
    """The method by which Python calls a compiled operation."""
    params, args = [], []
    for name, kind, default in signature.params:
        text = f"State {name} not None" if kind == "MaState" else f"{C_TYPES[kind]} {name}"
        if name in signature.keyword_only and "*" not in params:
            params.append("*")
        if isinstance(default, ast.Name):
            text += f"={signature.namespace[default.id]}"
        elif default is not None:
            text += f"={ast.unparse(default)}"
        params.append(text)
        args.append(f"&{name}.s" if kind == "MaState" else name)
    call = f"{signature.name}({', '.join(['self', *args])})"
    head = f"def {signature.name}({', '.join(['self', *params])}):"
    return f"{head}\n    {call if signature.returns == 'None' else 'return ' + call}"


def _public(signature: Signature) -> bool:
    simple = {"Word", "int", "bool", "MaState"}
    return (
        signature.receiver == "Kernel"
        and not signature.name.startswith("_")
        and all(kind in simple for _, kind, _ in signature.params)
    )


def translate_function(text: str) -> str:
    """One function's text that refers to nothing of its module, translated. Raises Refused."""
    [node] = ast.parse(text).body
    assert isinstance(node, ast.FunctionDef)
    return translate(Signature(node, origin=Origin({}, "text")), Environment(TABLES["_core"]))
