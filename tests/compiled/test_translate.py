"""The translator: what it makes of the operations, and what it refuses."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import layout.memory.pointers
import layout.tree
from layout.compiled import HERE, PARTS, TABLES, Table, digest, translate
from layout.compiled.translate import assembly, byhand, signatures
from layout.compiled.translate.bodies import translate as translate_body
from layout.compiled.translate.environment import Environment
from layout.compiled.translate.signatures import Origin, Signature
from layout.memory.node import NodeMemory
from layout.memory.slab import NodeCache
from layout.tree import dup, iterate, walk
from layout.tree.kernel import Kernel
from layout.tree.state import BigNode, MaState, MaTopiary, SubtreeState, WrState

pytestmark = pytest.mark.checkout

LEFT_OUT = {
    "printing": "prints",
    "validation": "checks the tree, off the paths that are to be fast",
    "log": "prints, and raises what ends a run",
    "state": "classes, of which structs are made",
    "peeks": "declarations for the access checker",
    "kernel": "the table of the operations",
    "versions": "the list of these tables",
    "checks": "prints, or checks the tree",
}
"""Modules of layout.tree that are not compiled, and why."""

PYTHON = {
    *("printk", "warn_on", "livelock", "bug", "mt_dump", "mas_dump", "report_failure"),
    *("mt_validate", "seam_store_backwards", "report_index_not_increased"),
    "report_childless",
    *("seam_may_be_small", "seam_says_empty", "seam_reserve_of", "seam_flags_of", "reserved_nodes"),
}
"""Operations that stay in Python, or whose compiled form calls the Python one."""

MADE_BY_HAND = {"new_state", "new_big_node", "new_copy"}

NODE_PYTHON = {"read_node", "leaf_meta_word", "set_pivots", "set_slots", "__init__"}
"""Methods of NodeMemory that no compiled operation calls."""


TABLE = TABLES["_core"]


@pytest.fixture(scope="module")
def text():
    return translate.module(TABLE)


@pytest.fixture(scope="module")
def env():
    """Of 6.12, with all functions that are called."""
    env = Environment(TABLE)
    assert list(assembly.translations(env))
    return env


@pytest.fixture(scope="module")
def wanted(env):
    return env.wanted


def operations(kernel=Kernel):
    """What a kernel lists, or one that it is made from: functions of layout.tree by name."""
    return {
        name: function
        for base in reversed(kernel.__mro__)
        for name, function in vars(base).items()
        if inspect.isfunction(function)
        and function.__module__ != base.__module__
        and function.__module__.startswith("layout.tree")
        and name not in kernel.gone
    }


# -- nothing is forgotten


@pytest.fixture(scope="module")
def all_envs():
    """Of every kernel, with all functions that are called; by the extension's name."""
    found = {name: Environment(table) for name, table in TABLES.items()}
    for env in found.values():
        assert list(assembly.translations(env))
    return found


def test_each_module_is_compiled_or_left_out_for_a_reason(all_envs):
    root = Path(layout.tree.__file__).parents[2]
    modules = {str(path.relative_to(root)) for path in (root / "layout/tree").rglob("*.py")}
    compiled = {
        each.source for env in all_envs.values() for each in env.wanted if each.receiver == "Kernel"
    }
    left_out = {
        path for path in modules if Path(path).stem in LEFT_OUT or path.endswith("__init__.py")
    }
    assert modules == compiled | left_out
    assert not compiled & left_out
    assert {Path(path).stem for path in left_out} == {*LEFT_OUT, "__init__"}


@pytest.mark.parametrize("name", TABLES)
def test_each_operation_is_compiled_or_left_out_on_purpose(all_envs, name):
    env = all_envs[name]
    compiled = {signature.name for signature in env.wanted}
    of_others = {"new_copy"} if name == "_core" else {"new_big_node"}
    assert set(operations(env.kernel)) - compiled == PYTHON | MADE_BY_HAND - of_others


def test_each_accessor_of_nodes_is_compiled_or_left_out_on_purpose(text):
    methods = {name for name, value in vars(NodeMemory).items() if inspect.isfunction(value)}
    there = set(re.findall(r"^cdef .*\bmem_(\w+)\(", text, re.MULTILINE))
    assert methods - there == NODE_PYTHON


def test_names_made_by_hand_exist(text):
    known = {*dir(Kernel), *dir(NodeMemory), *dir(NodeCache), *dir(BigNode)}
    by_hand = re.findall(
        r"def (\w+)\(", byhand.OPERATIONS + byhand.MEMORY + byhand.CACHE + byhand.BIG_NODE
    )
    assert not {*by_hand, *byhand.NOT_CALLED} - known
    declared = set(re.findall(r"\b(\w+)\(", "\n".join(re.findall("^cdef .*", text, re.MULTILINE))))
    for stubs, prefix in (
        *((byhand.OPERATIONS, ""), (byhand.MEMORY, "mem_")),
        *((byhand.CACHE, "cache_"), (byhand.BIG_NODE, "BigNode_")),
    ):
        assert not {prefix + name for name in re.findall(r"def (\w+)\(", stubs)} - declared


# -- the text is whole


def test_each_function_is_there_once(text, env):
    for signature in env.wanted:
        assert text.count(f"\n{signature.declaration(env.c_types)}\n") == 1, signature.name


def test_nothing_is_called_that_is_not_there(text, env):
    bodies = [translate_body(signature, env) for signature in env.wanted]
    called = set(
        re.findall(r"(?<![.\w])(\w+)\(", re.sub(r'"[^"\n]*"|\'[^\'\n]*\'', "", "\n".join(bodies)))
    )
    declared = set(re.findall(r"\b(\w+)\(", "\n".join(re.findall("^cdef .*", text, re.MULTILINE))))
    assert len(called) > 200
    assert called - declared == {"range", "len"}


def test_no_field_is_used_that_the_core_lacks(text):
    core = text.partition("cdef class Core:")[2].partition("    def __cinit__")[0]
    fields = set(re.findall(r"\w+", "\n".join(re.findall("^ +cdef .*", core, re.MULTILINE))))
    assert set(re.findall(r"\bk\.(\w+)", text)) - fields == set()


def test_operations_on_numbers_and_states_are_methods(text):
    assert "\n    def mas_find(self, State mas not None, u64 limit):\n" in text
    assert "\n    def mtree_load(self, u64 tree, u64 index):\n" in text
    assert "    def mas_split(" not in text  # takes a big node


def test_the_text_says_what_it_was_made_from(text):
    assert text.rstrip().endswith(f'SOURCES = "{digest()}"')


def test_each_part_has_its_place():
    of_tables = {name for table in TABLES.values() for name in table.parts}
    assert {path.name for path in (HERE / "parts").iterdir()} == {*PARTS, *of_tables}
    made = dict.fromkeys(("ONE", "TWO"), "x")
    assert assembly.filled("a\n    #: ONE\n#: TWO\nb", made) == "a\n    x\nx\nb"
    with pytest.raises(translate.Refused, match="no place for ONE"):
        assembly.filled("#: TWO", made)
    for text in ("#: ONE\n#: TWO\n#: TWO", "#: THREE"):
        with pytest.raises(translate.Refused, match="nothing is made for"):
            assembly.filled(text, made)


# -- states are declared once


@pytest.mark.parametrize("python", [MaState, WrState, BigNode, SubtreeState, MaTopiary])
def test_a_struct_has_the_fields_of_its_class(text, python):
    struct = text.partition(f"cdef struct {python.__name__}:\n")[2].partition("\n\n")[0]
    assert re.findall(r"(\w+)$", struct, re.MULTILINE) == [
        field.name for field in dataclasses.fields(python)
    ]


def test_a_state_begins_as_in_python(text):
    made = text.partition("cdef inline int make_MaState(")[2].partition("return 0")[0]
    mas = MaState(0, 0, 0, 0)
    given = {"tree", "index", "last", "max"}
    for name in MaState.__dataclass_fields__:
        first = getattr(mas, name)
        line = f"new.{name} = {name if name in given else first}\n"
        assert (line in made) == (name in given or first != 0)


def test_the_parts_name_no_field_that_only_states_have():
    # what fills, copies and shows states is made from their fields
    parts = "\n".join((HERE / "parts" / name).read_text() for name in PARTS)
    for name in ("store_type", "offset_end", "end_piv", "orig_l", "b_end = 0 #"):
        assert name not in parts


# -- every kernel's table


@pytest.mark.parametrize("name", TABLES)
def test_every_kernel_is_translated(name):
    text = translate.module(TABLES[name])
    has = {
        operation: f"cdef int {operation}(Core k" in text
        for operation in ("mas_wr_split", "mas_split", "mas_destroy_rebalance", "mas_empty_nodes")
    }
    old = name == "_core"
    assert has == {
        "mas_wr_split": not old,
        "mas_split": old,
        "mas_destroy_rebalance": old,
        "mas_empty_nodes": not old,
    }
    assert ("cdef struct MapleCopy:" in text) == (not old)
    assert ("mas_nomem_nofail(Core k" in text) == (name == "_core73")


# -- another kernel's table

VERSION = """
from __future__ import annotations

from dataclasses import dataclass

from layout.memory.pointers import Word
from layout.tree import alloc, walk
from layout.tree.kernel import Kernel
from layout.tree.state import MA_START, MaState

_MAX_STEPS = 7


@dataclass(slots=True, eq=False, repr=False)
class NewState(MaState):
    bundle: Word = 0
    requested: int = 3


@dataclass(slots=True, eq=False)
class Copy:
    start: Word
    count: int = 0


def mas_start(k: Kernel, mas: NewState) -> Word:
    mas.requested = _MAX_STEPS
    mas.bundle = _no_node(mas)
    piece = Copy(mas.index)
    return piece.start + walk.mas_start(k, mas)


def _no_node(mas: NewState) -> Word:
    return mas.bundle


class NewKernel(Kernel):
    mas_start = mas_start
"""


@pytest.fixture
def version(tmp_path, monkeypatch):
    """A kernel with other states and another mas_start; its table."""
    (tmp_path / "a_version.py").write_text(VERSION)
    monkeypatch.syspath_prepend(tmp_path)
    signatures._tree_of.cache_clear()
    yield Table("a_version:NewKernel", ("layout.tree.state", "a_version"))
    sys.modules.pop("a_version", None)
    signatures._tree_of.cache_clear()


def test_another_table_is_translated_with_its_own_operations_and_states(version, text):
    other = translate.module(version)
    assert "    i64 store_type\n    u64 bundle\n    i64 requested\n" in other
    assert "    new.requested = 3\n" in other
    assert "    def requested(self):\n" in other
    assert "from a_version import NewState as Plain" in other
    assert "cdef struct Copy:\n    u64 start\n    i64 count\n" in other
    [body] = re.findall(r"^cdef u64 mas_start\(.*\n((?:    .*\n?)+)", other, re.MULTILINE)
    assert body.splitlines() == [
        "    cdef Copy* piece",
        "    cdef Copy piece_[1]",
        "    mas.requested = 7",
        "    mas.bundle = _no_node(mas)",
        "    piece = piece_",
        "    make_Copy(piece, mas.index)",
        "    return piece.start + walk_mas_start(k, mas)",
    ]
    assert " iterate__no_node(" in other  # another module's function of that name
    # everybody else calls the new one, and the old one stays what it was
    assert (
        "mas_start(k, mas)" in other.partition("cdef u64 mas_state_walk(")[2].partition("\n\n")[0]
    )
    old = text.partition("\ncdef u64 mas_start(")[2].partition("\n\n")[0]
    assert other.partition("\ncdef u64 walk_mas_start(")[2].partition("\n\n")[0] == old
    assert translate.module(TABLE) == text


def test_constants_are_those_of_the_functions_own_module(text):
    steps = iterate._MAX_STEPS, dup._MAX_STEPS
    assert len(set(steps)) == 2
    for name, count in zip(("mas_next_slot", "_copy_below"), steps, strict=True):
        body = text.partition(f" {name}(Core k")[2].partition("\n\n\n")[0]
        assert str(count) in body, name


def test_an_operation_in_a_class_is_refused(version, tmp_path):
    with (tmp_path / "a_version.py").open("a") as file:
        file.write("\n    def mas_walk(self, mas):\n        return 0\n")
    place = len(VERSION.splitlines()) + 2
    with pytest.raises(translate.Refused) as caught:
        translate.module(version)
    assert str(caught.value) == (
        f"a_version.py:{place}: mas_walk: operations are functions that the class lists"
    )


def test_a_field_of_an_unknown_type_is_refused(version, tmp_path):
    path = tmp_path / "a_version.py"
    path.write_text(path.read_text().replace("bundle: Word", "bundle: float"))
    with pytest.raises(
        translate.Refused, match=r"^a_version\.py: NewState\.bundle has the type float$"
    ):
        translate.module(version)


def test_two_functions_of_one_name_are_refused(version, tmp_path):
    with (tmp_path / "a_version.py").open("a") as file:
        file.write("    _no_node = lone\n    a_version__no_node = lonely\n")
        for name in ("lone", "lonely"):
            file.write(f"\n\ndef {name}(k: Kernel) -> Word:\n    return 1\n")
    text = (tmp_path / "a_version.py").read_text()
    head, kernel, rest = text.partition("class NewKernel")
    body, more, functions = rest.partition("\n\n\ndef lone(")
    (tmp_path / "a_version.py").write_text(head + more + functions + "\n\n" + kernel + body)
    with pytest.raises(
        translate.Refused, match=r"a_version\.py: there are two functions a_version__no_node"
    ):
        translate.module(version)


def command(before=""):
    """``python -m layout.compiled.translate``, after something was done."""
    run = "import runpy; runpy.run_module('layout.compiled.translate', run_name='__main__')"
    code = f"{before}\n{run}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_command_prints_the_text(text):
    done = command()
    assert (done.stdout, done.stderr) == (text + "\n", "")


def test_the_command_tells_in_a_line_what_is_refused():
    done = command("from layout.compiled.translate import byhand\nbyhand.MODULES = frozenset()")
    assert done.returncode == 1
    assert re.fullmatch(r"layout/tree/\w+\.py:\d+: \w+: .*\n", done.stderr)


# -- one function


def translated(text):
    """The translation of a function that may call all others."""
    [node] = ast.parse(text).body
    signature = Signature(
        node, origin=Origin(vars(walk) | vars(layout.memory.pointers), "tree/new.py")
    )
    return translate_body(signature, Environment(TABLE))


def test_a_function_of_the_kernel():
    assert translated(
        "def mas_new(k: Kernel, mas: MaState, count: int = 1) -> Word:\n"
        '    """What it does."""\n'
        "    mem = k.mem\n"
        "    found = k.new_state(mas.tree, mas.index)\n"
        "    for offset in range(count):\n"
        "        if mem.slot(mas.node, LEAF_64, offset) == 0:\n"
        "            return k.mas_walk(found)\n"
        "    return mas.node\n"
    ) == (
        "cdef u64 mas_new(Core k, MaState* mas, i64 count) except? 0xDEAD0BAD0BAD0BAD:\n"
        "    cdef MaState* found\n"
        "    cdef i64 offset\n"
        "    cdef MaState found_[1]\n"
        "    found = found_\n"
        "    new_state(k, found, mas.tree, mas.index, mas.index)\n"
        "    for offset in range(count):\n"
        "        if mem_slot(k, mas.node, 1, offset) == 0:\n"
        "            return mas_walk(k, found)\n"
        "    return mas.node"
    )


def test_indexes_into_local_words_are_checked():
    body = translated("def f(k: Kernel, i: int) -> Word:\n    w = k.new_words()\n    return w[i]\n")
    assert "w.w[word_index(w, i)]" in body


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("return mas.index + other", "2: f: unknown name other"),
        ("x = other\n    return x", "2: f: unknown name other"),
        ("return sorted(mas)", "2: f: unknown function sorted"),
        ("return k.mas_walks(mas)", "2: f: Kernel has no operation mas_walks"),
        ("return k.colour", "2: f: Kernel has no colour"),
        ("return mas.colour", "2: f: MaState has no colour"),
        ("return k.mem.colour(0)", "2: f: mem has no operation colour"),
        (
            "k.mas_walk(mas)\n    return count < mas.index",
            "3: f: a sign is lost in count < mas.index",
        ),
        ("return mas.index > -1", "2: f: a sign is lost in mas.index > -1"),
        ("for x in words:\n        pass\n    return 0", "2: f: a loop over words"),
        ("for x in mas.node:\n        pass\n    return 0", "2: f: a loop over mas.node"),
        ("x = [w for w in words]\n    return x[0]", "2: f: ListComp is not known"),
        ("x = {}\n    return 0", "2: f: Dict is not known"),
        ("x = 1.5\n    return 0", "2: f: 1.5 is not known"),
        ("x = 1\n    x = 'one'\n    return x", "3: f: values of types ['int', 'str']"),
        ("x, y = mas.index\n    return x", "2: f: Word cannot be unpacked"),
        ("return k.mas_walk(mas.index)", "2: f: mas_walk(mas: MaState) is given Word"),
        ("k.mas_set(mas)\n    return 0", "2: f: mas_set lacks index"),
        ("return k.mas_walk(mas.copy())", "2: f: mas.copy() may only be assigned to a variable"),
        ("return k.new_words()[0]", "2: f: new_words() may only be assigned to a variable"),
        ("return count[0]", "2: f: subscript of int"),
        ("return words + words", "2: f: arithmetic on {'list[int]'}"),
        ("x = k.mas_walk, count\n    return 0", "2: f: Tuple is not known"),
        ("x: int\n    return 0", "2: f: x: int has no value"),
        ("x = [count]\n    return 0", "2: f: a list of count"),
        ("return words[0](1)", "2: f: a call of an expression"),
        ("return words", "2: f: list[int] is returned, not Word"),
        ("return count, count", "2: f: int, int is returned, not Word"),
        ("return words.pop()", "2: f: list[int] has no operation pop"),
        ("return (count)(1)", "2: f: unknown function count"),
        (
            "try:\n        return 1\n    except IndexError:\n        return 2",
            "2: f: Try is not known",
        ),
        ("with k:\n        return 1", "2: f: With is not known"),
        ("if count:\n        raise IndexError\n    return 0", "3: f: Raise is not known"),
        ("def inner(): pass\n    return 0", "2: f: FunctionDef is not known"),
        ("import os\n    return 0", "2: f: Import is not known"),
    ],
)
def test_refused_with_its_place(body, why):
    head = "def f(k: Kernel, mas: MaState, words: list[int], count: int) -> Word:\n    "
    with pytest.raises(translate.Refused) as caught:
        translated(head + body)
    assert str(caught.value) == f"tree/new.py:{why}"


@pytest.mark.parametrize(
    ("parameter", "why"),
    [("x", "x has the type (none)"), ("x: float", "x has the type float")],
)
def test_parameters_of_unknown_types_are_refused(parameter, why):
    with pytest.raises(translate.Refused) as caught:
        translated(f"def f(k: Kernel, {parameter}) -> int:\n    return 1\n")
    assert str(caught.value) == f"tree/new.py:1: f: {why}"
