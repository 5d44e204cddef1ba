"""A trace as a function for the kernel's own test file: calls, and checks of what they return.

The function takes an empty tree, as those of lib/test_maple_tree.c do, and leaves an empty one. It
checks the results of the emulator, and that mt_validate() finds no error. If this is not enough, it
checks all ranges after each operation that changes a tree. It does not contain operations that only
read memory, or that need failing allocations.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from layout.images.decode import decode
from layout.machine.machine import Machine
from layout.memory.errors import TraceError
from layout.memory.pointers import MT_FLAGS_HEIGHT_MASK
from layout.memory.structs import DEFAULT_VERSION
from layout.traces.language import Kind
from layout.traces.runner import Runner
from layout.traces.trace import Operation
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from arches import Arch
    from layout.traces.language import Argument
    from layout.traces.session import Line

_REFUSED = {
    "fail": "needs an allocator that refuses",
    "failnw": "needs an allocator that refuses",
    "poke": "damages memory",
    "rcu_lock": "holds a read section open, in which stores may not sleep",
    "rcu_unlock": "ends a read section",
}
_VARIABLES = {"I": "index", "NEXT": "next"}
"""Arguments that the kernel changes: the key of the result, which is the variable's name."""

_WIDTH = 100

MOST_BACKWARDS = 8
"""Ranges that are looked at from the end of a tree."""


@dataclass(slots=True)
class TestCase:
    """The function's name and text, and the trace lines that it omits."""

    name: str
    text: str
    left_out: list[int]


def function_name(source: str) -> str:
    """A C name for the test of a trace file."""
    stem = source.replace("\\", "/").rpartition("/")[2].removesuffix(".xz").removesuffix(".trace")
    name = re.sub(r"\W+", "_", stem).strip("_").lower()
    return f"check_trace_{name or 'case'}"


def write_test(
    operations: Iterable[Operation],
    arch: Arch,
    name: str,
    *,
    closely: bool = False,
    version: str = DEFAULT_VERSION,
) -> TestCase:
    """The test function of a trace; ``closely`` looks at the tree after each change.

    ``version`` is the kernel whose results are checked. Raises TraceError for a line that can't be
    in it.
    """
    writer = _Writer(arch, version)
    for operation in operations:
        writer.add(operation)
        if closely and operation.declared.changes:
            writer.look_closely()
    writer.validate()
    return TestCase(name, writer.function(name), writer.left_out)


@dataclass(slots=True)
class _Writer:
    """Runs the trace and writes C beside it. ``wide`` tells that a number needs 64 bits."""

    arch: Arch
    version: str
    lines: list[str] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)
    trees: set[int] = field(default_factory=lambda: {0})
    current: int = 0
    cursor_tree: int = 0
    with_cursor: bool = False
    wide: bool = False
    runner: Runner = field(init=False)

    def __post_init__(self) -> None:
        self.runner = Runner(Machine(self.arch, kernel=kernel_of(self.version)))

    def add(self, operation: Operation) -> None:
        """Carry an operation out and write it down."""
        if operation.op in _REFUSED:
            reason = f"{operation.op} {_REFUSED[operation.op]}: take it out for a kernel test"
            raise TraceError(operation.n, reason)
        line = self.runner.execute(operation)
        if "fault" in line:
            reason = f"{operation.op} ends in a fault, a kernel test would crash: end before it"
            raise TraceError(operation.n, reason)
        if "error" in line:
            reason = f"Linux {self.version} has no {operation.declared.callee}: take it out"
            raise TraceError(operation.n, reason)
        if operation.declared.shows_memory:  # and changes nothing that stays
            self.left_out.append(operation.n)
            return
        write: Callable[[Operation, Line], None] = getattr(self, f"_{operation.op}", None) or (
            self._cursor_step if operation.declared.moves_cursor else self._call
        )
        write(operation, line)

    def function(self, name: str) -> str:
        """The whole function."""
        others = sorted(self.trees - {0})
        whose = f"the results are those of Linux {self.version} on {self.arch.name}"
        head = [f"/* Replays a trace: {whose}. */"]
        head += [f"static noinline void __init {name}(struct maple_tree *mt)", "{"]
        if others:
            head.append(f"\tstruct maple_tree {', '.join(f'tree{k}' for k in others)};")
        if self.with_cursor:
            head.append("\tMA_STATE(cursor, mt, 0, 0);")
        if len(head) > 3:
            head.append("")
        head += [f"\tmt_init_flags(&tree{k}, 0);" for k in others]
        tail = [f"\tmtree_destroy({self.tree(k)});" for k in [0, *others]]
        text = "\n".join([*head, *self.lines, *tail, "}"]) + "\n"
        return f"#if defined(CONFIG_64BIT)\n{text}#endif\n" if self.wide else text

    # -- looking at trees

    def validate(self) -> None:
        """Let the kernel's own check look at all trees that it finds sound here."""
        for number in sorted(self.trees):
            if self._sound(number):
                self.put(f"mt_validate({self.tree(number)});")

    def look_closely(self) -> None:
        """Check the current tree's ranges in both directions, and let the kernel validate it."""
        if not self._sound(self.current):
            return
        self.put(f"mt_validate({self.tree()});")
        top = self.arch.ulong_max
        ranges = decode(self.runner.mem, self.runner.tree).ranges
        found = {"ranges": [[f"{number:x}" for number in each] for each in ranges]}
        self._iter(Operation(0, "iter", (0, top)), found)
        self._backwards(found["ranges"])

    def _sound(self, number: int) -> bool:
        machine = self.runner.machine
        tree = machine.tree(number)
        valid = bool(self.runner.kernel.mt_validate(tree))
        self.runner.kernel.log.clear()
        return valid

    def _backwards(self, ranges: list[list[str]]) -> None:
        """The entries and where they lie, from the last to the first."""
        self._state("ULONG_MAX", "ULONG_MAX")
        with self._locked():
            for first, last, entry in reversed(ranges[-MOST_BACKWARDS:]):
                self.check("mas_find_rev(&mas, 0)", self.pointer(entry), depth=2)
                self._place({"index": first, "last": last})

    # -- pieces of C

    def tree(self, number: int | None = None) -> str:
        """The expression for a tree."""
        number = self.current if number is None else number
        self.trees.add(number)
        return f"&tree{number}" if number else "mt"

    def number(self, value: int | str) -> str:
        """A number as C has it."""
        value = int(value, 16) if isinstance(value, str) else value
        if value == self.arch.ulong_max:
            return "ULONG_MAX"
        self.wide = self.wide or value > 0xFFFFFFFF
        return str(value) if value < 10 else f"0x{value:x}UL"

    def pointer(self, value: int | str) -> str:
        """An entry as C has it."""
        value = int(value, 16) if isinstance(value, str) else value
        return f"(void *){self.number(value)}" if value else "NULL"

    def put(self, text: str, *, depth: int = 1) -> None:
        """Append a statement, broken at its commas if it is too long."""
        indent = "\t" * depth
        while len(text) + 8 * depth > _WIDTH:
            at = text.rfind(", ", 0, _WIDTH - 8 * depth)
            if at < 0:
                break
            self.lines.append(indent + text[: at + 1])
            text = text[at + 2 :]
            indent = "\t" * (depth + 2)
        self.lines.append(indent + text)

    def check(self, got: str, wanted: str, *, depth: int = 1) -> None:
        """Append a check that two expressions are equal."""
        self.put(f"MT_BUG_ON({self.tree()}, {got} != {wanted});", depth=depth)

    def block(self, *declarations: str) -> None:
        """Open a block with variables of its own."""
        self.put("{")
        for declaration in declarations:
            self.put(declaration, depth=2)
        self.lines.append("")

    # -- operations that are one call

    def _call(self, operation: Operation, line: Line) -> None:
        """The call that is declared, in a block with the variables that it returns results in."""
        declared = operation.declared
        given = dict(zip(declared.arguments, operation.args, strict=True))
        by_name = {argument.name: self._value(argument, n) for argument, n in given.items()}
        words: list[str] = []
        opened: list[str] = []
        values: list[str] = []
        for word in declared.call_arguments:
            if word.startswith("&"):
                name = _VARIABLES.get(word[1:], word[1:])
                opened.append(name)
                values.append(f"{name} = {by_name.get(word[1:], '0')}")
                words.append(f"&{name}")
            else:
                words.append(self.tree() if word == "tree" else by_name.get(word, word))
        depth = 1
        if opened:
            self.block(f"unsigned long {', '.join(values)};")
            depth = 2
        call = f"{declared.callee}({', '.join(words)})"
        if "ret" in line:
            self.check(call, str(line["ret"]), depth=depth)
        else:
            self.check(call, self.pointer(line["entry"]), depth=depth)
        if line.get("ret", 0) >= 0:
            for name in opened:
                self.check(name, self.number(line[name]), depth=depth)
        if opened:
            self.put("}")

    def _value(self, argument: Argument, value: int) -> str:
        return self.pointer(value) if argument.kind is Kind.ENTRY else self.number(value)

    # -- trees

    def _init(self, operation: Operation, _line: Line) -> None:
        self.put(f"mtree_destroy({self.tree()});")
        self.put(f"mt_init_flags({self.tree()}, 0x{operation.args[0]:x});")

    def _sel(self, operation: Operation, _line: Line) -> None:
        self.current = operation.args[0]

    def _destroy(self, _operation: Operation, _line: Line) -> None:
        self.put(f"mtree_destroy({self.tree()});")

    def _rcu(self, operation: Operation, _line: Line) -> None:
        name = "mt_set_in_rcu" if operation.args[0] else "mt_clear_in_rcu"
        self.put(f"{name}({self.tree()});")

    def _dup(self, operation: Operation, line: Line) -> None:
        copy = self.tree(operation.args[0])
        if copy != self.tree():
            self.put(f"mtree_destroy({copy});")
        flags = self.runner.mem.ma_flags(self.runner.tree) & ~MT_FLAGS_HEIGHT_MASK
        self.put(f"mt_init_flags({copy}, 0x{flags:x});")
        self._dup_noinit(operation, line)

    def _dup_noinit(self, operation: Operation, line: Line) -> None:
        copy = self.tree(operation.args[0])
        self.check(f"mtree_dup({self.tree()}, {copy}, GFP_KERNEL)", str(line["ret"]))

    def _validate(self, _operation: Operation, _line: Line) -> None:
        self.put(f"mt_validate({self.tree()});")

    # -- the advanced API, with a state of its own

    def _state(self, first: str, last: str) -> None:
        self.block(f"MA_STATE(mas, {self.tree()}, {first}, {last});")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Statements under the tree's lock, at the end of a block."""
        self.put(f"mtree_lock({self.tree()});", depth=2)
        yield
        self.put(f"mtree_unlock({self.tree()});", depth=2)
        self.put("}")

    def _place(self, line: Line, state: str = "mas", depth: int = 2) -> None:
        self.check(f"{state}.index", self.number(line["index"]), depth=depth)
        self.check(f"{state}.last", self.number(line["last"]), depth=depth)

    def _walk(self, operation: Operation, line: Line) -> None:
        index = self.number(operation.args[0])
        self._state(index, index)
        with self._locked():
            self.check("mas_walk(&mas)", self.pointer(line["entry"]), depth=2)
            self._place(line)

    def _empty_area(self, operation: Operation, line: Line) -> None:
        words = ", ".join(self.number(value) for value in operation.args)
        self._state("0", "0")
        with self._locked():
            self.check(f"mas_{operation.op}(&mas, {words})", str(line["ret"]), depth=2)
            if not line["ret"]:
                self._place(line)

    _empty_area_rev = _empty_area

    def _mstore(self, operation: Operation, line: Line) -> None:
        first, last, entry = operation.args
        self._state(self.number(first), self.number(last))
        store = f"mas_store(&mas, {self.pointer(entry)})"
        with self._locked():
            if line["err"]:
                self.put(f"{store};", depth=2)
                self.put(f"MT_BUG_ON({self.tree()}, !mas_is_err(&mas));", depth=2)
            else:
                self.check(store, self.pointer(line["entry"]), depth=2)
            self.put("mas_destroy(&mas);", depth=2)

    def _prealloc(self, operation: Operation, line: Line) -> None:
        first, last, entry = operation.args
        self._state(self.number(first), self.number(last))
        stored = self.pointer(entry)
        with self._locked():
            call = f"mas_preallocate(&mas, {stored}, GFP_KERNEL)"
            self.check(call, str(line["ret"]), depth=2)
            if not line["ret"]:
                self.put(f"mas_store_prealloc(&mas, {stored});", depth=2)

    def _bulk(self, operation: Operation, line: Line) -> None:
        expected, count, first, step, length, value = map(self.number, operation.args)
        stored = count if "err_at" not in line else self.number(line["err_at"])
        self.block(f"MA_STATE(mas, {self.tree()}, 0, 0);", "unsigned long i;")
        with self._locked():
            self.check(f"mas_expected_entries(&mas, {expected})", str(line["ret"]), depth=2)
            self.put(f"for (i = 0; i < {stored}; i++) {{", depth=2)
            self.put(f"mas.index = {first} + i * {step};", depth=3)
            self.put(f"mas.last = mas.index + {length} - 1;", depth=3)
            self.put(f"mas_store(&mas, (void *)({value} + i * 0x1000UL));", depth=3)
            self.put("}", depth=2)
            self.put("mas_destroy(&mas);", depth=2)

    def _iter(self, operation: Operation, line: Line) -> None:
        low, high = map(self.number, operation.args)
        ranges = line["ranges"]
        table = [f"\t{{ {', '.join(map(self.number, found))} }}," for found in ranges]
        if ranges:
            table = ["static const unsigned long ranges[][3] = {", *table, "};"]
        state = f"MA_STATE(mas, {self.tree()}, {low}, {low});"
        self.block(*table, state, "unsigned long i = 0;", "void *entry;")
        with self._locked():
            self.put(f"mas_for_each(&mas, entry, {high}) {{", depth=2)
            self.put(f"MT_BUG_ON({self.tree()}, i >= {len(ranges)});", depth=3)
            for place, got in enumerate(("mas.index", "mas.last", "(unsigned long)entry")):
                if ranges:
                    self.check(got, f"ranges[i][{place}]", depth=3)
            self.put("i++;", depth=3)
            self.put("}", depth=2)
            self.check("i", str(len(ranges)), depth=2)

    # -- the cursor

    def _cset(self, operation: Operation, _line: Line) -> None:
        first, last = operation.args[0], operation.args[-1]
        self.with_cursor = True
        self.cursor_tree = self.current
        self.put(f"cursor.tree = {self.tree()};")
        self.put(f"mas_set_range(&cursor, {self.number(first)}, {self.number(last)});")

    def _creset(self, _operation: Operation, _line: Line) -> None:
        self.put("mas_reset(&cursor);")

    def _cursor_step(self, operation: Operation, line: Line) -> None:
        """One call with the cursor, under the lock of its tree."""
        tree, declared = self.tree(self.cursor_tree), operation.declared
        values = map(self._value, declared.arguments, operation.args)
        words = ["&cursor", *values, *declared.call_arguments[1 + len(operation.args) :]]
        call = f"{declared.callee}({', '.join(words)})"
        self.put(f"mtree_lock({tree});")
        if "ret" in line:
            self.check(call, str(line["ret"]))
        elif "entry" in line:
            self.check(call, self.pointer(line["entry"]))
        else:
            self.put(f"{call};")
        self._place(line, "cursor", 1)
        self.put(f"mtree_unlock({tree});")
