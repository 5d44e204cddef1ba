r"""Translates the tree's operations into one Cython module. Runs when the package is built.

The bodies of ``layout/tree/*.py`` and of the accessors in ``layout/memory/node.py`` stay, but for
types: a function becomes a C function, a ``Word`` an unsigned 64-bit number, an ``int``
a signed one, and the states become C structs on the stack. ``k.f(x)`` is a direct call of
``f(k, x)``, for the twin is used only where no operation is replaced. What cannot be translated
is refused with its place, so a change of the operations that goes too far shows at once, also
where there is no compiler.

>>> print(translate_function("def mte_to_node(enode: Word) -> Word:\n    return enode & ~255"))
cdef inline u64 mte_to_node(u64 enode) noexcept:
    return enode & ~255
"""

from __future__ import annotations

import ast
import importlib
from typing import TYPE_CHECKING, NoReturn

from layout.compiled import HERE, PACKAGE, PARTS, digest

if TYPE_CHECKING:
    from pathlib import Path

MODULES = (
    *("flags", "parents", "walk", "iterate", "find", "alloc", "gaps", "search", "destroy"),
    *("bignode", "replace", "spanning", "split", "root", "write_walk", "write", "store"),
    *("bulk", "mtree", "dup"),
)
"""Modules of ``layout.tree`` that are compiled; dumps and checks stay in Python."""

BY_HAND = frozenset(
    {"new_state", "new_big_node", "seam_store_backwards", "check_pivots", "pivots", "slots"}
    | {
        "load",
        "store",
        "set_alloc_slots",
        "set_pivots",
        "set_slots",
        "read_node",
        "leaf_meta_word",
        "__init__",
    }
    | {"describe_enode", "describe_parent", "describe_entry"}
)
"""Functions that ``parts.pyx`` has, or that nobody compiled calls."""

C_TYPES = {
    "Word": "u64",
    "int": "i64",
    "bool": "bint",
    "str": "str",
    "MaState": "MaState*",
    "WrState": "WrState*",
    "BigNode": "BigNode*",
    "SubtreeState": "SubtreeState*",
    "MaTopiary": "MaTopiary*",
    "list[int]": "Words*",
    "states": "MaState*",
    "Pivots": "u64",
    "Nodes": "i64",
    "queue": "list",
}
ERRORS = {"None": "-1", "bool": "-1", "int": "? -0x7EAD0BAD", "Word": "? 0xDEAD0BAD0BAD0BAD"}
"""What a C function returns that raises, by what its Python function returns."""

STRUCTS = {
    "MaState": dict.fromkeys(("tree", "index", "last", "node", "min", "max", "alloc"), "Word")
    | dict.fromkeys(("status", "depth", "offset", "mas_flags", "end", "store_type"), "int"),
    "WrState": {"mas": "MaState"}
    | dict.fromkeys(("node", "r_min", "r_max", "end_piv", "entry", "content"), "Word")
    | dict.fromkeys(("mt", "offset_end"), "int"),
    "BigNode": {"words": "list[int]"}
    | dict.fromkeys(("b_end", "mt", "pivot0", "slot0", "gap0"), "int"),
    "SubtreeState": {"bn": "BigNode"}
    | dict.fromkeys(("orig_l", "orig_r", "l", "m", "r"), "MaState"),
    "MaTopiary": dict.fromkeys(("head", "tail"), "Word"),
    "Kernel": {"mem": "mem", "cache": "cache", "rcu_queue": "queue", "ulong_max": "Word"}
    | dict.fromkeys(("node_slots", "alloc_slots", "tests", "warnings", "splits"), "int")
    | dict.fromkeys(("mt_slots", "mt_pivots", "mt_min_slots", "slot0"), "table"),
    "mem": dict.fromkeys(("word_size", "node_words", "alloc_size", "gap_offset"), "int")
    | dict.fromkeys(("alloc_slot_offset", "leaf_slots"), "int")
    | dict.fromkeys(("slot_offset", "meta_offset"), "table"),
}
"""What the structs hold, by the names of the Python classes."""

_PRIMITIVES = """
def read_word(self, address: Word, doing: str) -> Word: ...
def write_word(self, address: Word, value: Word, doing: str) -> None: ...
def read_u8(self, address: Word, doing: str) -> int: ...
def write_u8(self, address: Word, value: int, doing: str) -> None: ...
def read_u32(self, address: Word, doing: str) -> int: ...
def write_u32(self, address: Word, value: int, doing: str) -> None: ...
def copy(self, target: Word, source: Word, width: int, doing: str) -> None: ...
def zero(self, address: Word, count: int) -> None: ...
def check_pivots(self, node: Word, mt: int) -> None: ...
def pivots(self, node: Word, mt: int, count: int) -> Pivots: ...
def slots(self, node: Word, mt: int, count: int) -> Pivots: ...
def load(self, words: list[int], at: int, address: Word, count: int, doing: str) -> None: ...
def store(self, address: Word, words: list[int], at: int, count: int, doing: str) -> None: ...
def set_alloc_slots(self, node: Word, first: int, nodes: Nodes) -> None: ...
"""
_CACHE = """
def alloc_one(self, gfp: int) -> Word: ...
def alloc_bulk(self, gfp: int, count: int) -> Nodes: ...
def free(self, node: Word) -> None: ...
def free_bulk(self, count: int, address: Word) -> None: ...
"""
_KERNEL = """
def warn_on(k) -> None: ...
def livelock(k, doing: str, address: Word = 0) -> None: ...
def bug(k, doing: str, address: Word = 0) -> None: ...
def seam_store_backwards(k, mas: MaState, entry: Word) -> None: ...
def report_index_not_increased(k, tree: Word, before: Word, after: Word) -> None: ...
"""


STATEMENTS = (
    *(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.If, ast.While, ast.For),
    *(ast.Break, ast.Continue, ast.Pass, ast.Return),
)
"""What functions may be made of."""


class Refused(Exception):  # noqa: N818 - what the translator says to a change it cannot follow
    """A construct that the translator does not know."""


class Signature:
    """A function's parameters as (name, type, default) and its return type."""

    def __init__(self, node: ast.FunctionDef, prefix: str = "") -> None:
        self.node = node
        self.name = prefix + node.name
        args = [*node.args.args, *node.args.kwonlyargs]
        given = [None] * (len(node.args.args) - len(node.args.defaults)) + node.args.defaults
        defaults = [*given, *node.args.kw_defaults]
        self.takes_kernel = bool(args) and args[0].arg in ("k", "self")
        rest = list(zip(args, defaults, strict=True))[self.takes_kernel :]
        self.params = [
            (arg.arg, ast.unparse(arg.annotation) if arg.annotation else "", default)
            for arg, default in rest
        ]
        self.returns = ast.unparse(node.returns) if node.returns else "None"
        if self.returns == "NoReturn":
            self.returns = "None"

    @property
    def c_return(self) -> str:
        """The C type that comes back."""
        if self.returns.startswith("tuple["):
            inner = self.returns.removeprefix("tuple[").removesuffix("]").split(", ")
            return "(" + ", ".join(C_TYPES[name] for name in inner) + ")"
        return "int" if self.returns == "None" else C_TYPES[self.returns]

    @property
    def declaration(self) -> str:
        """``cdef TYPE NAME(...) except ...:``."""
        params = ["Core k"] if self.takes_kernel else []
        params += [f"{C_TYPES[kind]} {name}" for name, kind, _ in self.params]
        if not self.takes_kernel and not self.name.startswith("_"):  # bits of a word
            return f"cdef inline {self.c_return} {self.name}({', '.join(params)}) noexcept:"
        error = ERRORS.get(self.returns, "*")
        inline = "inline " if self.name.startswith("mem_") else ""
        head = f"cdef {inline}{self.c_return} {self.name}({', '.join(params)})"
        return f"{head} except {error}:".replace("except ? ", "except? ")


def signatures(text: str, prefix: str = "") -> dict[str, Signature]:
    """The functions of a module's or class's text, by name."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = Signature(node, prefix)
    return found


class Environment:
    """All that a function's body may refer to."""

    def __init__(self) -> None:
        self.functions: dict[str, Signature] = {}
        self.mem: dict[str, Signature] = signatures(_PRIMITIVES, "mem_")
        self.cache: dict[str, Signature] = signatures(_CACHE, "cache_")
        self.constants: dict[str, int] = {}


def _word(node: ast.expr) -> str:
    return ast.unparse(node)


class Body(ast.NodeTransformer):
    """Rewrites one function's body; afterwards ``locals`` holds the types of its variables."""

    def __init__(self, env: Environment, signature: Signature, source: str) -> None:
        self.env = env
        self.signature = signature
        self.source = source
        self.locals: dict[str, str] = {name: kind for name, kind, _ in signature.params}
        self.params = set(self.locals)
        self.storage: dict[str, str] = {}
        """Local structs: what declares them."""

    def refuse(self, node: ast.AST, why: str) -> NoReturn:
        """Say what cannot be translated, and where."""
        place = f"{self.source}:{getattr(node, 'lineno', 0)}"
        raise Refused(f"{place}: {self.signature.name}: {why}")

    # -- types

    def type_of(self, node: ast.expr) -> str:
        """The type of an expression that was not rewritten yet."""
        env = self.env
        if isinstance(node, ast.Constant):
            if isinstance(node.value, bool):
                return "bool"
            if isinstance(node.value, int):
                return "int"
            if not isinstance(node.value, str):
                self.refuse(node, f"{node.value!r} is not known")
            return "str"
        if isinstance(node, ast.JoinedStr):
            return "str"
        if isinstance(node, ast.Name):
            if node.id in ("k", "self"):
                return "Kernel" if node.id == "k" else "mem"
            if node.id in self.locals:
                return self.locals[node.id]
            if node.id in env.constants:
                return "int"
            self.refuse(node, f"unknown name {node.id}")
        if isinstance(node, ast.Attribute):
            owner = self.type_of(node.value)
            fields = STRUCTS.get(owner, {})
            if node.attr in fields:
                return fields[node.attr]
            if owner == "mem" and node.attr.startswith("_"):
                return "int"
            self.refuse(node, f"{owner} has no {node.attr}")
        if isinstance(node, ast.Subscript):
            owner = self.type_of(node.value)
            kinds = {"table": "int", "Pivots": "Word", "list[int]": "Word", "Nodes": "Word"}
            kinds |= {"states": "MaState", "queue": "pair"}
            if owner not in kinds:
                self.refuse(node, f"subscript of {owner}")
            return kinds[owner]
        if isinstance(node, ast.Call):
            return self.type_of_call(node)
        if isinstance(node, ast.BinOp):
            kinds2 = {self.type_of(node.left), self.type_of(node.right)}
            if not kinds2 <= {"Word", "int", "bool"}:
                self.refuse(node, f"arithmetic on {kinds2}")
            return "Word" if "Word" in kinds2 else "int"
        if isinstance(node, ast.UnaryOp):
            return "bool" if isinstance(node.op, ast.Not) else self.type_of(node.operand)
        if isinstance(node, ast.Compare):
            return "bool"
        if isinstance(node, ast.BoolOp):
            return self.join(node, [self.type_of(value) for value in node.values])
        if isinstance(node, ast.IfExp):
            return self.join(node, [self.type_of(node.body), self.type_of(node.orelse)])
        if isinstance(node, ast.List):
            return "states"
        if isinstance(node, ast.Tuple):
            return "tuple"
        self.refuse(node, f"{type(node).__name__} is not known")

    def type_of_call(self, node: ast.Call) -> str:
        """What a call returns."""
        found = self.called(node)
        if isinstance(found, Signature):
            return found.returns
        return found

    def called(self, node: ast.Call) -> Signature | str:
        """The function that is called, or the type that a special form gives."""
        func = node.func
        if isinstance(func, ast.Name):
            if func.id in ("max", "min"):
                return self.join(node, [self.type_of(arg) for arg in node.args])
            if func.id == "len":
                return "int"
            if func.id in ("WrState", "SubtreeState", "MaTopiary"):
                return func.id
            if func.id in self.env.functions:
                return self.env.functions[func.id]
            self.refuse(node, f"unknown function {func.id}")
        if isinstance(func, ast.Attribute):
            owner = self.type_of(func.value)
            if owner == "Kernel":
                if func.attr in ("new_state", "new_big_node", "new_words"):
                    kinds = {"new_state": "MaState", "new_big_node": "BigNode"}
                    return kinds.get(func.attr, "list[int]")
                if func.attr in self.env.functions:
                    return self.env.functions[func.attr]
            if owner == "mem" and func.attr in self.env.mem:
                return self.env.mem[func.attr]
            if owner == "cache" and func.attr in self.env.cache:
                return self.env.cache[func.attr]
            if owner == "MaState" and func.attr in ("copy", "assign", "reset"):
                return "MaState" if func.attr == "copy" else "None"
            if owner == "BigNode" and func.attr in ("move", "clear"):
                return "None"
            if owner == "queue" and func.attr in ("append", "clear"):
                return "None"
            self.refuse(node, f"{owner} has no operation {func.attr}")
        self.refuse(node, "a call of an expression")

    def join(self, node: ast.AST, kinds: list[str]) -> str:
        """The one type of several values."""
        seen = set(kinds)
        if len(seen) == 1:
            return kinds[0]
        if seen <= {"Word", "int", "bool"}:
            return "Word" if "Word" in seen else "int"
        self.refuse(node, f"values of types {sorted(seen)}")

    # -- locals

    def check(self) -> None:
        """Refuse parameters and statements that are not known."""
        for name, kind, _ in self.signature.params:
            if kind not in C_TYPES:
                self.refuse(self.signature.node, f"{name} has the type {kind or '(none)'}")
        for statement in self.signature.node.body:
            for node in ast.walk(statement):
                if isinstance(node, ast.stmt) and not isinstance(node, STATEMENTS):
                    self.refuse(node, f"{type(node).__name__} is not known")

    def learn(self, body: list[ast.stmt]) -> None:
        """Find the types of all local variables."""
        for last in (False,) * 4 + (True,):  # types flow from one variable to the next
            for statement in body:
                for node in ast.walk(statement):
                    try:
                        self._learn_from(node)
                    except Refused:
                        if last:
                            raise

    def _learn_from(self, node: ast.AST) -> None:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            self.locals[node.target.id] = ast.unparse(node.annotation)
        elif isinstance(node, ast.For) and isinstance(node.target, ast.Name):
            self.locals.setdefault(node.target.id, "int")
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self._bind(target, self.type_of(node.value))
                elif isinstance(target, ast.Tuple):
                    kinds = self._parts(node.value)
                    for part, kind in zip(target.elts, kinds, strict=True):
                        if isinstance(part, ast.Name):
                            self._bind(part, kind)

    def _parts(self, value: ast.expr) -> list[str]:
        if isinstance(value, ast.Tuple):
            return [self.type_of(part) for part in value.elts]
        kind = self.type_of(value)
        if kind == "pair":
            return ["Word", "int"]
        if not kind.startswith("tuple["):
            self.refuse(value, f"{kind} cannot be unpacked")
        return kind.removeprefix("tuple[").removesuffix("]").split(", ")

    def _bind(self, target: ast.Name, kind: str) -> None:
        if kind in ("mem", "cache"):
            self.locals[target.id] = kind
            return
        old = self.locals.get(target.id, kind)
        self.locals[target.id] = self.join(target, [old, kind])

    def declarations(self) -> list[str]:
        """C declarations of the locals."""
        lines = []
        for name, kind in self.locals.items():
            if name in self.params or kind in ("mem", "cache"):
                continue
            lines.append(f"cdef {C_TYPES[kind]} {name}")
        return lines + list(self.storage.values())

    # -- rewriting expressions

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A constant becomes its value."""
        if node.id in self.locals or node.id in ("k", "self"):
            return ast.Name("k" if node.id == "self" else node.id, node.ctx)
        if node.id in self.env.constants:
            return ast.Constant(self.env.constants[node.id])
        self.refuse(node, f"unknown name {node.id}")

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Fields of the memory are fields of the core."""
        kind = self.type_of(node)
        owner = self.type_of(node.value)
        if kind in ("mem", "cache"):
            return ast.Name("k", ast.Load())
        if owner == "mem":
            return ast.Attribute(
                ast.Name("k", ast.Load()), "mem_" + node.attr.lstrip("_"), node.ctx
            )
        if kind == "list[int]":
            return _call("words_of", self.visit(node.value))
        return ast.Attribute(self.visit(node.value), node.attr, node.ctx)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Every index is checked."""
        kind = self.type_of(node.value)
        index = self.visit(node.slice)
        value = self.visit(node.value)
        if kind == "table":
            assert isinstance(value, ast.Attribute)
            length = 16 if value.attr == "mt_pivots" else 4
            checked = _call("index_of", index, ast.Constant(length))
            return ast.Subscript(value, checked, node.ctx)
        if kind == "Pivots":
            return _call("pivot_at", ast.Name("k", ast.Load()), value, index)
        if kind == "list[int]":
            words = ast.Attribute(value, "w", ast.Load())
            return ast.Subscript(words, _call("word_index", value, index), node.ctx)
        if kind == "Nodes":
            return _call("taken_at", ast.Name("k", ast.Load()), index)
        if kind == "states":
            return _call("state_at", value, index)
        return ast.Subscript(value, index, node.ctx)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Signed and unsigned numbers are compared only where the sign is known."""
        sides = [node.left, *node.comparators]
        if not isinstance(node.ops[0], ast.In | ast.NotIn):
            kinds = {self.type_of(side) for side in sides}
            if kinds == {"Word", "int"}:
                for side in sides:
                    if self.type_of(side) == "int" and not self._not_negative(side):
                        self.refuse(node, f"a sign is lost in {ast.unparse(node)}")
        return self.generic_visit(node)  # type: ignore[return-value]

    def _not_negative(self, node: ast.expr) -> bool:
        if isinstance(node, ast.BinOp):
            return self._not_negative(node.left) and self._not_negative(node.right)
        if isinstance(node, ast.Constant):
            return isinstance(node.value, int) and node.value >= 0
        return isinstance(node, ast.Name) and self.env.constants.get(node.id, -1) >= 0

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Calls go straight to the function."""
        found = self.called(node)
        func = node.func
        k = ast.Name("k", ast.Load())
        if isinstance(found, Signature):
            return self._direct(node, found)
        if isinstance(func, ast.Name):
            args: list[ast.expr] = [self.visit(arg) for arg in node.args]
            if func.id in ("max", "min"):
                suffix = "word" if found == "Word" else "int"
                return _call(f"{func.id}_{suffix}", *args)
            if func.id == "len" and self.type_of(node.args[0]) == "Nodes":
                return args[0]
            if func.id == "len":
                return _call("len", *args)
            self.refuse(node, f"{func.id}() may only be assigned to a variable")
        assert isinstance(func, ast.Attribute)
        owner = self.type_of(func.value)
        args = [self.visit(arg) for arg in node.args]
        if owner == "queue":
            return ast.Call(ast.Attribute(self.visit(func.value), func.attr, ast.Load()), args, [])
        if owner in ("MaState", "BigNode") and func.attr != "copy":
            prefix = "state" if owner == "MaState" else "big"
            return _call(f"{prefix}_{func.attr}", self.visit(func.value), *args)
        if owner == "Kernel":
            self.refuse(node, f"{func.attr}() may only be assigned to a variable")
        del k
        self.refuse(node, f"{ast.unparse(node)} may only be assigned to a variable")

    def _direct(self, node: ast.Call, found: Signature) -> ast.expr:
        args: list[ast.expr] = [ast.Name("k", ast.Load())] if found.takes_kernel else []
        given = list(node.args)
        if isinstance(node.func, ast.Name) and found.takes_kernel:
            given = given[1:]  # _step(k, ...)
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        for at, (name, kind, default) in enumerate(found.params):
            value = given[at] if at < len(given) else named.get(name, default)
            if value is None:
                self.refuse(node, f"{found.name} lacks {name}")
            if at < len(given) or name in named:
                actual = self.type_of(value)
                if actual != kind and not {actual, kind} <= {"Word", "int", "bool"}:
                    self.refuse(node, f"{found.name}({name}: {kind}) is given {actual}")
                args.append(self.visit(value))
            else:
                args.append(_constant(value, self.env.constants))
        return ast.Call(ast.Name(found.name, ast.Load()), args, [])

    # -- rewriting statements

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | list[ast.stmt] | None:
        """A struct is made in its variable."""
        value = node.value
        if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if self.locals.get(name) in ("mem", "cache"):
                return None
            made = self._make(name, value)
            if made is not None:
                return made
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        """The type is declared above."""
        assert node.value is not None
        return ast.Assign([node.target], self.visit(node.value), lineno=node.lineno)

    def _make(self, name: str, value: ast.expr) -> list[ast.stmt] | None:
        """Statements that fill a local struct, if the value is one."""
        if isinstance(value, ast.List):
            self.storage[name] = f"cdef MaState {name}_[{len(value.elts)}]"
            lines = [_text(f"{name} = {name}_")]
            for at, element in enumerate(value.elts):
                assert isinstance(element, ast.Call)
                assert isinstance(element.func, ast.Attribute)
                source = ast.unparse(self.visit(element.func.value))
                lines.append(_text(f"{name}[{at}] = {source}[0]"))
            return lines
        if not isinstance(value, ast.Call):
            return None
        found = self.called(value)
        if isinstance(found, Signature) or found not in STRUCTS | {"list[int]": {}}:
            return None
        args = [ast.unparse(self.visit(arg)) for arg in value.args]
        func = value.func
        struct = "Words" if found == "list[int]" else found
        self.storage[name] = f"cdef {struct} {name}_"
        lines = [_text(f"{name} = address_of({name}_)")]
        if isinstance(func, ast.Attribute) and func.attr == "copy":
            source = ast.unparse(self.visit(func.value))
            return [*lines, _text(f"{name}[0] = {source}[0]")]
        made = {"MaState": "new_state", "WrState": "new_write", "BigNode": "new_big_node"}
        made |= {
            "SubtreeState": "new_subtree",
            "MaTopiary": "new_topiary",
            "list[int]": "new_words",
        }
        if found == "MaState" and len(args) < 3:
            args = [args[0], args[1] if len(args) > 1 else "0", args[1] if len(args) > 1 else "0"]
        return [*lines, _text(f"{made[found]}({', '.join(['k', name, *args])})")]

    def visit_For(self, node: ast.For) -> ast.stmt:
        """Only counting loops are known."""
        call = node.iter
        if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "range"):
            self.refuse(node, f"a loop over {ast.unparse(call)}")
        call.args = [self.visit(arg) for arg in call.args]
        return ast.For(
            node.target,
            call,
            self._visit_all(node.body),
            self._visit_all(node.orelse),
            lineno=node.lineno,
        )

    def _visit_all(self, body: list[ast.stmt]) -> list[ast.stmt]:
        done: list[ast.stmt] = []
        for statement in body:
            new = self.visit(statement)
            done += [] if new is None else new if isinstance(new, list) else [new]
        return done

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        """A function that returns nothing returns 0."""
        if node.value is None:
            return ast.Return(ast.Constant(0))
        return ast.Return(self.visit(node.value))


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])


def _text(line: str) -> ast.stmt:
    return ast.parse(line).body[0]


def _constant(node: ast.expr, constants: dict[str, int]) -> ast.expr:
    if isinstance(node, ast.Name):
        return ast.Constant(constants[node.id])
    return node


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        return body[1:]
    return body


def _translate(signature: Signature, env: Environment, source: str) -> str:
    body = _without_docstring(signature.node.body)
    rewriter = Body(env, signature, source)
    rewriter.check()
    rewriter.learn(body)
    lines = []
    for statement in body:
        done = rewriter.visit(statement)
        if done is None:
            continue
        for part in done if isinstance(done, list) else [done]:
            text = ast.unparse(ast.fix_missing_locations(part))
            # what has an address is written as C has it
            lines.append(text.replace("address_of(", "&("))
    if signature.returns == "None":
        lines.append("return 0")
    inner = "\n".join([*rewriter.declarations(), *lines])
    return signature.declaration + "\n" + _indent(inner)


def _indent(text: str) -> str:
    return "\n".join("    " + line for line in text.split("\n"))


def translate_function(text: str) -> str:
    """One function's text that refers to nothing else, translated. Raises Refused."""
    [signature] = signatures(text).values()
    return _translate(signature, Environment(), "text")


def environment() -> tuple[Environment, list[tuple[Signature, str]]]:
    """All that is compiled: what bodies may refer to, and the functions with their files."""
    env = Environment()
    env.functions |= signatures(_KERNEL)
    wanted: list[tuple[Signature, str]] = []

    def take(module: str, path: Path, *, only_words: bool = False) -> None:
        namespace = vars(importlib.import_module(module))
        env.constants |= {name: value for name, value in namespace.items() if type(value) is int}
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef) or node.name in BY_HAND:
                continue
            signature = Signature(node)
            if only_words and not all(kind in C_TYPES for _, kind, _ in signature.params):
                continue
            if node.name in env.functions:
                raise Refused(f"{path}: there are two functions {node.name}")
            env.functions[node.name] = signature
            wanted.append((signature, f"{path.parent.name}/{path.name}"))

    for module in ("pointers",):
        take(f"layout.memory.{module}", PACKAGE / "memory" / f"{module}.py", only_words=True)
    for module in ("layout.memory.slab", "layout.memory.node", "layout.tree.state"):
        namespace = vars(importlib.import_module(module))
        env.constants |= {name: value for name, value in namespace.items() if type(value) is int}
    tree = ast.parse((PACKAGE / "memory" / "node.py").read_text())
    [memory] = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "NodeMemory"]
    for node in memory.body:
        if isinstance(node, ast.FunctionDef) and node.name not in BY_HAND:
            env.mem[node.name] = Signature(node, "mem_")
            wanted.append((env.mem[node.name], "layout/memory/node.py"))
    for module in MODULES:
        take(f"layout.tree.{module}", PACKAGE / "tree" / f"{module}.py")
    return env, wanted


def wrapper(signature: Signature) -> str:
    """The method by which Python calls a compiled operation."""
    params, args = [], []
    keyword_only = {arg.arg for arg in signature.node.args.kwonlyargs}
    for name, kind, default in signature.params:
        text = f"State {name} not None" if kind == "MaState" else f"{C_TYPES[kind]} {name}"
        if name in keyword_only and "*" not in params:
            params.append("*")
        if default is not None:
            text += f"={ast.unparse(default)}"
        params.append(text)
        args.append(f"&{name}.s" if kind == "MaState" else name)
    call = f"{signature.name}({', '.join(['self', *args])})"
    head = f"def {signature.name}({', '.join(['self', *params])}):"
    return f"{head}\n    {call if signature.returns == 'None' else 'return ' + call}"


def _public(signature: Signature) -> bool:
    simple = {"Word", "int", "bool", "MaState"}
    return (
        signature.takes_kernel
        and not signature.name.startswith(("_", "mem_"))
        and all(kind in simple for _, kind, _ in signature.params)
    )


def module() -> str:
    """The text of the whole Cython module. Raises Refused."""
    env, wanted = environment()
    parts, *others = ((HERE / name).read_text() for name in PARTS)
    functions, faces, forward = [], [], []
    for signature, source in wanted:
        functions.append(f"# {source}\n{_translate(signature, env, source)}")
        forward.append(signature.declaration.removesuffix(":"))
        if _public(signature):
            text = wrapper(signature)
            for name, value in env.constants.items():
                text = text.replace(f"={name}", f"={value}")
            faces.append(text)
    head, core = parts.split("# OPERATIONS AS METHODS\n")
    joined = "\n\n".join(_indent(face) for face in faces)
    sources = f'SOURCES = "{digest()}"'
    return "\n\n\n".join([head + joined, core, *functions, *others, sources]) + "\n"


if __name__ == "__main__":
    print(module())
