"""--tree with the address of a node: one line that names the tree, from every verb."""

from __future__ import annotations

from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[2] / "fixtures"
CORE = FIXTURES / "captures" / "x86_64-6.12.117.core.xz"
TREE, ROOT, LEAF = "ffff88800405ac40", "ffff8880053fe500", "ffff8880053fe700"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (CORE, ()),
        (FIXTURES / "paste" / "crash-rd.txt", ("--arch", "x86_64")),
    ],
)
@pytest.mark.parametrize("verb", ["decode", "dump", "validate", "export", "draw", "explore"])
def test_every_verb(run, tmp_path, verb, source, words):
    more = {"export": ("--format", "gdb", "-o", tmp_path / "f"), "explore": ("-o", tmp_path / "f")}
    command = (verb, source, *words, *more.get(verb, ()), "--tree")
    says = f"not a tree; its tree is at {TREE}: give --tree {TREE}\n"
    line = f"maple-layout: {source}: {ROOT} is a root node, {says}"
    assert run(*command, ROOT) == (2, "", line)
    line = f"maple-layout: {source}: {LEAF}c points to {LEAF}, a leaf, {says}"
    assert run(*command, f"{LEAF[:-1]}c") == (2, "", line.replace(f"{LEAF}c", f"{LEAF[:-2]}0c"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("x86_64-6.12.117.elf.xz", "52eb700"),  # the physical address
        ("x86_64-6.12.117.elf.xz", "ffff8a36852eb700"),
        ("x86_64-6.12.117.elf-paging.xz", "ffff8a36852eb700"),
    ],
)
def test_physical_addresses(run, name, given):
    code, out, err = run("decode", FIXTURES / "memory" / name, "--tree", given)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.endswith(
        "ffff8a36852eb700 is a root node, not a tree; its tree is at ffff8a368405b1c0: give "
        "--tree ffff8a368405b1c0\n"
    )


def test_flat_memory_and_what_only_flags_tell(run):
    path = FIXTURES / "memory" / "s390x-6.12.95.raw.xz"
    code, out, err = run("validate", path, "--arch", "s390x", "--tree", "26e4e00")
    assert (code, out) == (2, "")
    assert err.endswith(
        "26e4e00 is a root node, not a tree; its tree is at 428f00: give --tree 428f00\n"
    )
    lone = FIXTURES / "paste" / "hexdump-one-node.txt"
    code, _, err = run("decode", lone, "--arch", "x86_64", "--base", LEAF, "--tree", LEAF)
    assert code == 0
    assert err.endswith(
        f"{LEAF} may be no struct maple_tree, or a damaged one: its ma_flags ffff8880 "
        "have bits that no tree has (ffff8080)\n"
    )


def test_a_misaligned_address_is_no_tree(run):
    code, out, err = run("decode", CORE, "--tree", "ffff88800405ac44")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "ffff88800405ac44 is misaligned: give its address as --tree" in err


def test_a_trace_and_its_nodes(run, tmp_path):
    path = tmp_path / "t"
    path.write_text("init 0\nstore 10 20 3001\nstore 30 40 3003\n")
    says = f"maple-layout: {path}: 1000000000 is a root node, not a tree; its tree is at fffff0000"
    code, out, err = run("decode", path, "--tree", "1000000000")
    assert (code, out) == (2, "")
    assert err.startswith(says)
