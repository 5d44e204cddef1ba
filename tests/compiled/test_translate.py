"""The translator: what it makes of the operations, and what it refuses."""

from __future__ import annotations

import inspect
import pkgutil
import re

import pytest

import layout.tree
from layout.compiled import translate
from layout.memory.node import NodeMemory
from layout.tree.kernel import Kernel

pytestmark = pytest.mark.checkout

LEFT_OUT = {
    "dump": "prints",
    "validate": "checks the tree, off the paths that are to be fast",
    "log": "prints, and raises what ends a run",
    "state": "classes; parts.pyx has their structs",
    "peeks": "declarations for the access checker",
    "kernel": "the table of the operations",
}
"""Modules of layout.tree that are not compiled, and why."""

PYTHON = {
    *("printk", "warn_on", "livelock", "bug", "mt_dump", "mas_dump", "report_failure"),
    *("mt_validate", "seam_store_backwards", "report_index_not_increased"),
}
"""Operations that stay in Python, or whose compiled form calls the Python one."""

MADE_BY_HAND = {"new_state", "new_big_node"}

NODE_PYTHON = {"read_node", "leaf_meta_word", "set_pivots", "set_slots", "__init__"}
"""Methods of NodeMemory that no compiled operation calls."""


@pytest.fixture(scope="module")
def text():
    return translate.module()


@pytest.fixture(scope="module")
def wanted():
    return translate.environment()[1]


def operations():
    """What Kernel lists: functions of layout.tree by name."""
    return {
        name: function
        for name, function in vars(Kernel).items()
        if inspect.isfunction(function) and function.__module__ != Kernel.__module__
    }


# -- nothing is forgotten


def test_each_module_is_compiled_or_left_out_for_a_reason():
    modules = {module.name for module in pkgutil.iter_modules(layout.tree.__path__)}
    assert modules == {*translate.MODULES, *LEFT_OUT}


def test_each_operation_is_compiled_or_left_out_on_purpose(wanted):
    compiled = {signature.name for signature, _ in wanted}
    assert set(operations()) - compiled == PYTHON | MADE_BY_HAND


def test_each_accessor_of_nodes_is_compiled_or_left_out_on_purpose(text):
    methods = {name for name, value in vars(NodeMemory).items() if inspect.isfunction(value)}
    there = set(re.findall(r"^cdef .*\bmem_(\w+)\(", text, re.MULTILINE))
    assert methods - there == NODE_PYTHON


def test_names_made_by_hand_exist():
    known = {*operations(), *vars(NodeMemory), *vars(layout.memory.pointers)}
    assert not translate.BY_HAND - known


# -- the text is whole


def test_each_function_is_there_once(text, wanted):
    for signature, _ in wanted:
        assert text.count(f"\n{signature.declaration}\n") == 1, signature.name


def test_nothing_is_called_that_is_not_there(text, wanted):
    env, _ = translate.environment()
    bodies = [translate._translate(signature, env, source) for signature, source in wanted]
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
    assert text.endswith(f'SOURCES = "{translate.digest()}"\n')


def test_two_functions_of_one_name_are_refused(monkeypatch):
    monkeypatch.setattr(translate, "MODULES", (*translate.MODULES, "walk"))
    with pytest.raises(
        translate.Refused, match=r"tree/walk\.py: there are two functions mas_start"
    ):
        translate.environment()


# -- one function


def translated(text):
    """The translation of a function that may call all others."""
    environment, _ = translate.environment()
    [signature] = translate.signatures(text).values()
    environment.functions[signature.name] = signature
    return translate._translate(signature, environment, "tree/new.py")


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
        "    cdef MaState found_\n"
        "    found = &(found_)\n"
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
