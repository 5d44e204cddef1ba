import json
import lzma
import re
from pathlib import Path

import pytest

from layout import compiled
from layout.traces import reference
from layout.traces.language import ARGUMENTS, KEYS, RESULTS, Group
from layout.traces.operations import BACKWARD, FORWARD, OPERATIONS
from layout.tree.kernel import Kernel

FIXTURES = Path(__file__).parents[2] / "fixtures"
GOLDENS = sorted((FIXTURES / "golden").glob("*.s390x.jsonl.xz"))
IN_C = {"mt_init_flags", "mtree_destroy", "mas_init", "mas_reset", "mas_for_each"}
"""Macros and inline functions that Python has as methods of other names, or as loops."""


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: path.name.split(".")[0])
def test_the_kernels_own_transcripts_have_the_declared_keys(golden):
    with lzma.open(golden, "rt") as lines:
        for text in lines:
            line = json.loads(text)
            if "livelock" in line:
                break
            declared = OPERATIONS[line["op"]]
            assert set(line) <= set(declared.keys), text
            always = {
                "n",
                "op",
                *declared.returns[:1],
                *(("ac", "flags") if declared.changes else ()),
            }
            assert always <= set(line), text


def test_every_declared_function_is_the_kernels():
    called = {op.callee for op in OPERATIONS.values() if op.calls}
    assert {name for name in called - IN_C if not hasattr(Kernel, name)} == set()


def test_calls_name_the_arguments():
    for op in OPERATIONS.values():
        words = {word.lstrip("&") for word in op.call_arguments}
        names = {argument.name for argument in op.arguments}
        assert words <= names | {"tree", "cursor", "mas", "entry", "start"} | set(
            re.findall("GFP_[A-Z]+|mt_dump_hex", op.calls)
        )
        assert op.help.endswith(".")


def test_what_is_declared_is_used():
    assert {a.name for op in OPERATIONS.values() for a in op.arguments} == set(ARGUMENTS)
    assert {key for op in OPERATIONS.values() for key in op.keys} == set(KEYS)
    assert {op.group for op in OPERATIONS.values()} == set(Group)


def test_the_page_is_as_declared():
    page = (Path(__file__).parents[2] / "docs" / "trace-language.md").read_text()
    assert page == reference.page()


def test_groups():
    assert FORWARD == ("cnext", "cnext_range", "cfind", "cfind_range")
    assert BACKWARD == ("cprev", "cprev_range", "cfind_rev", "cfind_range_rev")
    assert {name for name, op in OPERATIONS.items() if op.moves_cursor} == {
        *FORWARD, *BACKWARD, "cwalk", "cpause", "creset", "cstore", "cerase"
    }  # fmt: skip
    assert {name for name, op in OPERATIONS.items() if op.shows_memory} == {
        "dump", "memdump", "mtdump", "treemem", "prealloc_raw", "expect_raw", "poke"
    }  # fmt: skip
    assert {"ret", "entry", "ranges", "fault"} <= RESULTS
    assert not {"node", "offset", "ac", "nodes", "hex"} & RESULTS


@pytest.mark.checkout
def test_compiled_lines_take_the_declared_arguments():
    text = (Path(compiled.__file__).parent / "parts" / "lines.pyx").read_text()
    known = re.findall(r'\(b"(\w+)", (\d), [A-Z_]+\)', text)
    assert len(known) > 10
    for name, count in known:
        assert len(OPERATIONS[name].arguments) == OPERATIONS[name].required == int(count)
