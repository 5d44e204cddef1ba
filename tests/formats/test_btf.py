"""Reading BTF: of test objects, of the kernel that runs, and of files that are damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from layout.formats.btf import is_btf, read_btf
from layout.formats.found import FoundEnum, FoundMember
from layout.memory.errors import InputError

PROOF = Path(__file__).parents[2] / "fixtures" / "proof"
PROBE = (PROOF / "probe-s390x.btf").read_bytes()


def member(info, struct_name, name):
    [found] = info.structs[struct_name]
    return next(m for m in found.members if m.name == name)


@pytest.mark.parametrize(("arch", "order"), [("s390x", "big"), ("x86_64", "little")])
def test_a_struct_with_everything(arch, order):
    info = read_btf((PROOF / f"probe-{arch}.btf").read_bytes(), "f")
    assert (info.byteorder, info.word_size) == (order, 8)
    [probe] = info.structs["probe"]
    assert probe.size == 88
    assert list(probe.members) == [
        FoundMember("a", 0, 8, "long unsigned int"),
        FoundMember("b", 8, 3, "triple"),
        FoundMember("c", 8, 1, "u8"),
        FoundMember("d", 12, 4, "unsigned int"),
        FoundMember("grid", 16, 24, "struct inner [6]"),  # BTF knows one dimension
        FoundMember("e", 40, 4, "enum color"),
        FoundMember("f1", 44, 4, "unsigned int", (352, 3)),
        FoundMember("f2", 44, 4, "unsigned int", (355, 7)),
        FoundMember("call", 48, 8, "void * (*)(struct probe *, int)"),
        FoundMember("p", 56, 8, "volatile const char *"),
        FoundMember("points", 64, 16, "struct [2]"),
        FoundMember("points[0].x", 64, 4, "int"),
        FoundMember("points[0].y", 68, 4, "int"),
        FoundMember("either", 80, 8, "union"),
        FoundMember("either.first", 80, 8, "struct inner *"),
        FoundMember("either.second", 80, 8, "struct nowhere *"),
    ]
    assert info.enums["color"] == [FoundEnum(4, {"red": 0, "green": 5, "dark": -1})]


def test_32_bit():
    info = read_btf((PROOF / "maple-arm.btf").read_bytes(), "f")
    assert info.word_size == 4
    assert member(info, "maple_range_64", "slot").size == 128
    assert member(info, "rcu_head", "func").type == "void (*)(struct rcu_head *)"


def test_only_what_is_asked_for():
    info = read_btf(PROBE, "f", ["inner"])
    assert (list(info.structs), list(info.enums)) == (["inner"], [])


def test_magic():
    assert is_btf(PROBE)
    assert not is_btf(b"\x7fELF")


def types(*words: int, strings: bytes = b"\0a\0", order: str = "<") -> bytes:
    body = struct.pack(f"{order}{len(words)}I", *words)
    return (
        struct.pack(f"{order}HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(strings))
        + body
        + strings
    )


def kind(number: int, count: int = 0, *, flag: bool = False) -> int:
    return flag << 31 | number << 24 | count


def test_newer_kinds_are_read_over():
    # float, type tag on a pointer's target, declaration tag, a 64-bit enum, a variable, a section
    data = types(
        *(1, kind(16), 4),
        *(1, kind(18), 0),
        *(0, kind(2), 2),
        *(1, kind(17), 3, 0),
        *(1, kind(19, 1), 8, 1, 7, 1),
        *(1, kind(14), 3, 1),
        *(1, kind(15, 1), 8, 6, 0, 8),
        *(1, kind(4, 1), 8, 1, 3, 0),
    )
    info = read_btf(data, "f")
    assert info.enums["a"] == [FoundEnum(8, {"a": 1 << 32 | 7})]
    [found] = info.structs["a"]
    assert found.members == (FoundMember("a", 0, 8, "void *"),)


@pytest.mark.parametrize(
    "data",
    [
        PROBE[:20],
        PROBE[:200],
        PROBE[:2] + b"\2" + PROBE[3:],
        types(1, kind(27), 0),
        types(1, kind(4, 1), 8, 1, 99, 0),  # a member of a type that is not there
        types(500, kind(1), 4, 32),  # a name beyond the strings
        types(0, kind(8), 1, 1, kind(4, 1), 4, 1, 1, 0),  # a typedef of itself
        types(0, kind(4, 1), 4, 0, 1, 0, 1, kind(4, 1), 4, 0, 1, 0),  # a struct in itself
    ],
)
def test_damage(data):
    with pytest.raises(InputError, match="f: the BTF is cut short or damaged"):
        read_btf(data, "f")


def test_types_that_refer_to_others_twice_end():
    """40 of them, each with the next one in two places: 2**40 ways lead to the last."""
    functions = [word for i in range(3, 43) for word in (0, kind(13, 2), 2, 0, i + 1, 0, i + 1)]
    data = types(
        *(1, kind(4, 1), 8, 1, 3, 0),
        *(0, kind(2), 0),
        *functions,
        *(0, kind(2), 0),
    )
    with pytest.raises(InputError, match="types without end"):
        read_btf(data, "f")


def test_unnamed_structs_with_others_twice_end():
    nested = [word for i in range(2, 42) for word in (0, kind(4, 2), 8, 0, i + 1, 0, 0, i + 1, 0)]
    data = types(*(1, kind(4, 1), 8, 0, 2, 0), *nested, *(0, kind(4), 8))
    with pytest.raises(InputError, match="types without end"):
        read_btf(data, "f")
