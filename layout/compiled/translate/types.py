"""The type of an expression, before it is rewritten."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, NoReturn

from layout.compiled.translate.signatures import Refused, Signature, parts_of

if TYPE_CHECKING:
    from types import FunctionType

    from layout.compiled.translate.environment import Environment

NUMBERS = {"Word", "int", "bool"}
ELEMENTS = {
    **dict.fromkeys(("table[4]", "table[16]"), "int"),
    **dict.fromkeys(("Pivots", "list[int]", "Nodes"), "Word"),
    "states": "MaState",
    "queue": "pair",
}
"""What an index gives."""

STATEMENTS = (
    *(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.If, ast.While, ast.For),
    *(ast.Break, ast.Continue, ast.Pass, ast.Return),
)
"""What functions may be made of."""


class Types(ast.NodeVisitor):
    """``visit(expression)`` returns its type; ``locals`` holds those of the variables.

    What is not known is refused.
    """

    def __init__(self, env: Environment, signature: Signature) -> None:
        self.env = env
        self.signature = signature
        self.locals: dict[str, str] = {name: kind for name, kind, _ in signature.params}
        self.params = set(self.locals)

    def refused(self, node: ast.AST, why: str) -> Refused:
        """What cannot be translated, and where."""
        place = f"{self.signature.source}:{getattr(node, 'lineno', 0)}"
        return Refused(f"{place}: {self.signature.node.name}: {why}")

    def generic_visit(self, node: ast.AST) -> NoReturn:
        """All other expressions."""
        raise self.refused(node, f"{type(node).__name__} is not known")

    # -- expressions

    def visit_Constant(self, node: ast.Constant) -> str:
        """A number or a text."""
        kind = type(node.value).__name__
        if kind not in ("bool", "int", "str"):
            raise self.refused(node, f"{node.value!r} is not known")
        return kind

    def visit_JoinedStr(self, _node: ast.JoinedStr) -> str:
        """A text that is put together."""
        return "str"

    def visit_Name(self, node: ast.Name) -> str:
        """A variable or a constant."""
        if node.id in self.locals:
            return self.locals[node.id]
        if node.id in ("k", "self"):
            return self.signature.receiver
        if self.constant(node) is not None:
            return "int"
        raise self.refused(node, f"unknown name {node.id}")

    def constant(self, node: ast.Name) -> int | None:
        """The value of a module's constant."""
        value = self.signature.namespace.get(node.id)
        return value if type(value) is int else None

    def visit_Attribute(self, node: ast.Attribute) -> str:
        """A field."""
        owner = self.visit(node.value)
        fields = self.env.fields.get(owner, {})
        if node.attr not in fields:
            raise self.refused(node, f"{owner} has no {node.attr}")
        return fields[node.attr]

    def visit_Subscript(self, node: ast.Subscript) -> str:
        """An element."""
        owner = self.visit(node.value)
        if owner not in ELEMENTS:
            raise self.refused(node, f"subscript of {owner}")
        return ELEMENTS[owner]

    def visit_BinOp(self, node: ast.BinOp) -> str:
        """Arithmetic."""
        kinds = {self.visit(node.left), self.visit(node.right)}
        if not kinds <= NUMBERS:
            raise self.refused(node, f"arithmetic on {kinds}")
        return "Word" if "Word" in kinds else "int"

    def visit_UnaryOp(self, node: ast.UnaryOp) -> str:
        """A sign, or not."""
        return "bool" if isinstance(node.op, ast.Not) else str(self.visit(node.operand))

    def visit_Compare(self, _node: ast.Compare) -> str:
        """A comparison."""
        return "bool"

    def visit_BoolOp(self, node: ast.BoolOp) -> str:
        """One of several values."""
        return self.join(node, [self.visit(value) for value in node.values])

    def visit_IfExp(self, node: ast.IfExp) -> str:
        """One of two values."""
        return self.join(node, [self.visit(node.body), self.visit(node.orelse)])

    def visit_List(self, _node: ast.List) -> str:
        """States on the stack."""
        return "states"

    def visit_Call(self, node: ast.Call) -> str:
        """What comes back."""
        if isinstance(node.func, ast.Name) and node.func.id in ("max", "min"):
            return self.join(node, [self.visit(arg) for arg in node.args])
        if isinstance(node.func, ast.Name) and node.func.id == "len":
            return "int"
        return self.called(node).returns

    def called(self, node: ast.Call) -> Signature:
        """The function that is called."""
        func = node.func
        target = self.plain(func)
        if target is not None:
            return self.env.signature_of(target)
        if isinstance(func, ast.Name):
            state = self.env.alias.get(func.id, func.id)
            if state not in self.env.makers:
                raise self.refused(node, f"unknown function {func.id}")
            return self.env.makers[state]
        if isinstance(func, ast.Attribute):
            owner = self.visit(func.value)
            found = self.env.methods.get(owner, {}).get(func.attr)
            if found is None:
                raise self.refused(node, f"{owner} has no operation {func.attr}")
            return found
        raise self.refused(node, "a call of an expression")

    def plain(self, func: ast.expr) -> FunctionType | None:
        """The function of this name, or of a module: that is how one calls what it replaces."""
        found: object = None
        if isinstance(func, ast.Name):
            found = self.signature.namespace.get(func.id)
        elif isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
            module = self.signature.namespace.get(func.value.id)
            found = getattr(module, func.attr, None) if inspect.ismodule(module) else None
        return found if inspect.isfunction(found) else None

    def join(self, node: ast.AST, kinds: list[str]) -> str:
        """The one type of several values."""
        seen = set(kinds)
        if len(seen) == 1:
            return kinds[0]
        if seen <= NUMBERS:
            return "Word" if "Word" in seen else "int"
        raise self.refused(node, f"values of types {sorted(seen)}")

    # -- variables

    def learn(self, body: list[ast.stmt]) -> None:
        """Find the types of all variables; refuse parameters and statements that are not known."""
        for name, kind, _ in self.signature.params:
            if kind not in self.env.c_types:
                raise self.refused(self.signature.node, f"{name} has the type {kind or '(none)'}")
        nodes = [node for statement in body for node in ast.walk(statement)]
        for node in nodes:
            if isinstance(node, ast.stmt) and not isinstance(node, STATEMENTS):
                raise self.refused(node, f"{type(node).__name__} is not known")
        for last in (False,) * 4 + (True,):  # types flow from one variable to the next
            for node in nodes:
                try:
                    self._learn_from(node)
                except Refused:
                    if last:
                        raise

    def _learn_from(self, node: ast.AST) -> None:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            self.locals[node.target.id] = self.signature.kind(node.annotation)
        elif isinstance(node, ast.For) and isinstance(node.target, ast.Name):
            self.locals.setdefault(node.target.id, "int")
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self._bind(target, self.visit(node.value))
                elif isinstance(target, ast.Tuple):
                    for part, kind in zip(target.elts, self._parts(node.value), strict=True):
                        if isinstance(part, ast.Name):
                            self._bind(part, kind)

    def _parts(self, value: ast.expr) -> list[str]:
        if isinstance(value, ast.Tuple):
            return [self.visit(part) for part in value.elts]
        kind = self.visit(value)
        if kind == "pair":
            return ["Word", "int"]
        if not kind.startswith("tuple["):
            raise self.refused(value, f"{kind} cannot be unpacked")
        return parts_of(kind)

    def _bind(self, target: ast.Name, kind: str) -> None:
        self.locals[target.id] = self.join(target, [self.locals.get(target.id, kind), kind])

    def declarations(self) -> list[str]:
        """C declarations of the variables."""
        return [
            f"cdef {self.env.c_types[kind]} {name}"
            for name, kind in self.locals.items()
            if name not in self.params and kind not in ("mem", "cache")
        ]
