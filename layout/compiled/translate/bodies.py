"""One function's body, rewritten for Cython."""

from __future__ import annotations

import ast
from copy import deepcopy
from itertools import zip_longest
from typing import TYPE_CHECKING

from layout.compiled.translate.signatures import parts_of
from layout.compiled.translate.types import NUMBERS, Types

if TYPE_CHECKING:
    from layout.compiled.translate.environment import Environment
    from layout.compiled.translate.signatures import Signature


class Body(ast.NodeTransformer):
    """Rewrites expressions and statements; what has no rule here stays as it is."""

    def __init__(self, env: Environment, signature: Signature) -> None:
        self.types = Types(env, signature)
        self.refused = self.types.refused
        self.storage: dict[str, str] = {}
        """Local structs: what declares them."""

    def translated(self, body: list[ast.stmt]) -> list[str]:
        """The lines of the C function."""
        self.types.learn(body)
        statements = self._all(body)
        lines = [ast.unparse(ast.fix_missing_locations(each)) for each in statements]
        return [*self.types.declarations(), *self.storage.values(), *lines]

    def _all(self, body: list[ast.stmt]) -> list[ast.stmt]:
        done: list[ast.stmt] = []
        for statement in body:
            new = self.visit(statement)
            done += [] if new is None else new if isinstance(new, list) else [new]
        return done

    # -- expressions

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A constant becomes its value."""
        kind = self.types.visit(node)
        if node.id in self.types.locals:
            return node
        if node.id in ("k", "self"):
            return _K if kind in ("Kernel", "mem") else node
        return ast.Constant(self.types.constant(node))

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Fields of the memory are fields of the core."""
        kind = self.types.visit(node)
        if self.types.visit(node.value) == "mem":
            return ast.Attribute(_K, "mem_" + node.attr.lstrip("_"), node.ctx)
        if kind == "list[int]":
            owner = self.types.visit(node.value)
            return _call(f"{owner}_{node.attr}_words", self.visit(node.value))
        return ast.Attribute(self.visit(node.value), node.attr, node.ctx)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Every index is checked."""
        self.types.visit(node)
        kind = self.types.visit(node.value)
        index, value = self.visit(node.slice), self.visit(node.value)
        if kind.startswith("table["):
            length = ast.Constant(int(kind[6:-1]))
            return ast.Subscript(value, _call("index_of", index, length), node.ctx)
        if kind == "list[int]":
            words = ast.Attribute(value, "w", ast.Load())
            return ast.Subscript(words, _call("word_index", value, index), node.ctx)
        if kind == "Pivots":
            return _call("pivot_at", _K, value, index)
        if kind == "Nodes":
            return _call("taken_at", _K, index)
        if kind == "states":
            return _call("state_at", value, index)
        return ast.Subscript(value, index, node.ctx)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Arithmetic is for numbers."""
        self.types.visit(node)
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Signed and unsigned numbers are compared only where the sign is known."""
        sides = [node.left, *node.comparators]
        if not isinstance(node.ops[0], ast.In | ast.NotIn):
            kinds = [self.types.visit(side) for side in sides]
            for side, kind in zip(sides, kinds, strict=True):
                if {*kinds} == {"Word", "int"} and kind == "int" and not self._positive(side):
                    raise self.refused(node, f"a sign is lost in {ast.unparse(node)}")
        return self.generic_visit(node)

    def _positive(self, node: ast.expr) -> bool:
        """Whether a number is known not to be negative."""
        if isinstance(node, ast.BinOp):
            return self._positive(node.left) and self._positive(node.right)
        if isinstance(node, ast.Constant):
            return isinstance(node.value, int) and node.value >= 0
        value = self.types.constant(node) if isinstance(node, ast.Name) else None
        return value is not None and value >= 0

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Calls go straight to the function."""
        func = node.func
        if isinstance(func, ast.Name) and func.id in ("max", "min", "len"):
            return self._builtin(node, func.id)
        found = self.types.called(node)
        if found.makes:
            shown = ast.unparse(node).removeprefix("k.")
            raise self.refused(node, f"{shown} may only be assigned to a variable")
        if found.receiver == "queue":
            assert isinstance(func, ast.Attribute)
            args = [self.visit(arg) for arg in node.args]
            return ast.Call(ast.Attribute(self.visit(func.value), func.attr, ast.Load()), args, [])
        if found.returns == "None" and found.name == "assign":
            assert isinstance(func, ast.Attribute)
            return _call("state_assign", self.visit(func.value), self.visit(node.args[0]))
        return ast.Call(ast.Name(found.name, ast.Load()), self._arguments(node, found), [])

    def _builtin(self, node: ast.Call, name: str) -> ast.expr:
        kind = self.types.visit(node)
        first = self.types.visit(node.args[0])
        args = [self.visit(arg) for arg in node.args]
        if name == "len":
            return args[0] if first == "Nodes" else _call("len", *args)
        return _call(f"{name}_{'word' if kind == 'Word' else 'int'}", *args)

    def _arguments(self, node: ast.Call, found: Signature) -> list[ast.expr]:
        """All arguments in the order of the parameters, the receiver first."""
        given = list(node.args)
        args: list[ast.expr] = []
        if found.receiver in ("Kernel", "mem", "cache"):
            args.append(_K)
            if self.types.plain(node.func):
                given = given[1:]  # _step(k, ...)
        elif found.receiver and isinstance(node.func, ast.Attribute):
            args.append(self.visit(node.func.value))
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        values: dict[str, ast.expr] = {}
        for at, (name, kind, default) in enumerate(found.params):
            value = given[at] if at < len(given) else named.get(name)
            if value is not None:
                actual = self.types.visit(value)
                if actual != kind and not {actual, kind} <= NUMBERS:
                    raise self.refused(node, f"{found.name}({name}: {kind}) is given {actual}")
                values[name] = self.visit(value)
            elif default is None:
                raise self.refused(node, f"{found.name} lacks {name}")
            elif isinstance(default, ast.Name):
                known = found.namespace.get(default.id)
                values[name] = values.get(default.id) or ast.Constant(known)
            else:
                values[name] = default
        return args + list(values.values())

    # -- statements

    def visit_Assign(self, node: ast.Assign) -> ast.AST | list[ast.stmt] | None:
        """A struct is made in its variable."""
        [target] = node.targets if len(node.targets) == 1 else [None]
        if isinstance(target, ast.Name):
            if self.types.locals[target.id] in ("mem", "cache"):
                return None
            if isinstance(node.value, ast.List):
                return self._make_states(target.id, node.value)
            if self._makes(node.value):
                assert isinstance(node.value, ast.Call)
                return self._make(target.id, node.value)
        return self.generic_visit(node)

    def _makes(self, value: ast.expr) -> bool:
        if not isinstance(value, ast.Call) or self.types.visit(value) in NUMBERS:
            return False
        return self.types.called(value).makes

    def _make(self, name: str, value: ast.Call) -> list[ast.stmt]:
        """A local struct is filled."""
        found = self.types.called(value)
        struct = self.types.env.c_types[found.returns].removesuffix("*")
        self.storage[name] = f"cdef {struct} {name}_[1]"
        lines = [_text(f"{name} = {name}_")]
        if found.name == "copy":
            assert isinstance(value.func, ast.Attribute)
            source = ast.unparse(self.visit(value.func.value))
            return [*lines, _text(f"{name}[0] = {source}[0]")]
        args = self._arguments(value, found)
        args.insert(1 if found.receiver else 0, ast.Name(name, ast.Load()))
        return [*lines, ast.Expr(_call(found.name, *args))]

    def _make_states(self, name: str, value: ast.List) -> list[ast.stmt]:
        """A local array of states is filled with copies."""
        self.storage[name] = f"cdef MaState {name}_[{len(value.elts)}]"
        lines = [_text(f"{name} = {name}_")]
        for at, element in enumerate(value.elts):
            if not (isinstance(element, ast.Call) and self.types.called(element).name == "copy"):
                raise self.refused(element, f"a list of {ast.unparse(element)}")
            assert isinstance(element.func, ast.Attribute)
            source = ast.unparse(self.visit(element.func.value))
            lines.append(_text(f"{name}[{at}] = {source}[0]"))
        return lines

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        """The type is declared above."""
        if node.value is None:
            raise self.refused(node, f"{ast.unparse(node)} has no value")
        return ast.Assign([node.target], self.visit(node.value), lineno=node.lineno)

    def visit_For(self, node: ast.For) -> ast.stmt:
        """Only counting loops are known."""
        call = node.iter
        if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "range"):
            raise self.refused(node, f"a loop over {ast.unparse(call)}")
        call.args = [self.visit(arg) for arg in call.args]
        body, orelse = self._all(node.body), self._all(node.orelse)
        return ast.For(node.target, call, body, orelse, lineno=node.lineno)

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        """A function that returns nothing returns 0."""
        if node.value is None:
            return ast.Return(ast.Constant(0))
        wanted = self.types.signature.returns
        several = isinstance(node.value, ast.Tuple)
        values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        kinds = [self.types.visit(value) for value in values]
        for kind, expected in zip_longest(kinds, parts_of(wanted) if several else [wanted]):
            if kind != expected and not {kind, expected} <= NUMBERS:
                raise self.refused(node, f"{', '.join(kinds)} is returned, not {wanted}")
        return ast.Return(self.visit(node.value))


def translate(signature: Signature, env: Environment) -> str:
    """The C function of a Python one. Raises Refused."""
    body = deepcopy(signature.node.body)  # it is rewritten in place
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]  # the docstring
    lines = Body(env, signature).translated(body)
    if signature.returns == "None":
        lines.append("return 0")
    return signature.declaration(env.c_types) + "\n" + indent("\n".join(lines))


def indent(text: str) -> str:
    """The text, four places to the right."""
    return "\n".join("    " + line if line else line for line in text.split("\n"))


_K = ast.Name("k", ast.Load())


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])


def _text(line: str) -> ast.stmt:
    return ast.parse(line).body[0]
