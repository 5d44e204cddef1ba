"""The Kaitai Struct file: compiled, its reader reads the kernel's own nodes as ours does."""

from __future__ import annotations

import importlib.util
import json
import lzma
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import arches
from layout.formats.ksy import kaitai
from layout.memory import structs

pytestmark = pytest.mark.toolchain

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FIXTURES = ROOT / "fixtures"
MODULES = ROOT / "build" / "npm" / "node_modules"
HOW = "npm install --prefix build/npm kaitai-struct-compiler js-yaml && pip install '.[toolchain]'"


@pytest.fixture
def readers(missing, tmp_path):
    """The readers that the compiler makes of structs' files: ``readers(profile, names)``."""
    node = shutil.which("node")
    if not node:
        missing("node", "apt install nodejs npm")
    if importlib.util.find_spec("kaitaistruct") is None or not MODULES.exists():
        missing("kaitai-struct-compiler or kaitaistruct", HOW)

    def make(profile, names):
        for name in names:
            (tmp_path / f"{name}.ksy").write_text("\n".join(kaitai(profile, name)) + "\n")
        words = [node, HERE / "compile_ksy.js", "python", tmp_path]
        environment = {**os.environ, "NODE_PATH": str(MODULES)}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return {name: load(tmp_path / f"{name}.py") for name in names}

    return make


def load(path):
    """The reader in a Python file, which is called after the struct."""
    spec = importlib.util.spec_from_file_location(f"made_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, "".join(part.capitalize() for part in path.stem.split("_")))


def golden_nodes(trace, arch):
    """The nodes of all dumps in a transcript, freed ones included, each once."""
    with lzma.open(FIXTURES / f"{trace}.{arch}.jsonl.xz", "rt") as lines:
        transcript = [json.loads(line) for line in lines]
    found = [node for line in transcript for node in line.get("nodes", line.get("mem", []))]
    return sorted({bytes.fromhex(node["hex"]) for node in found})


@pytest.mark.parametrize(
    ("arch", "trace"),
    [
        ("s390x", "golden/08b-alloc-tree-short"),
        ("x86_64", "golden/04b-random-ranges-short"),
        ("m68k", "extra/32bit-08b-alloc-tree-short"),
        ("i386", "extra/32bit-04b-random-ranges-short"),
    ],
)
def test_golden_nodes_read_alike(readers, arch, trace):
    profile = structs.profile(arches.get(arch))
    made = readers(profile, ["maple_node"])["maple_node"]
    nodes = golden_nodes(trace, arch)
    assert len(nodes) > 20
    for raw in nodes:
        node = made.from_bytes(raw)
        for view, name in (("mr64", "maple_range_64"), ("ma64", "maple_arange_64")):
            ours, theirs = profile.parse(name, raw), getattr(node, view)
            assert (theirs.parent, theirs.pivot) == (ours.parent, list(ours.pivot))
        r64, a64 = profile.parse("maple_range_64", raw), profile.parse("maple_arange_64", raw)
        layout = profile.layout("maple_range_64")
        at, end = layout.offset("slot"), layout.offset("meta")
        word = arches.get(arch).word_size
        order = arches.get(arch).byteorder
        assert node.mr64.slot == [
            int.from_bytes(raw[i : i + word], order) for i in range(at, 256, word)
        ]
        assert (node.mr64.meta.end, node.mr64.meta.gap) == (raw[end], raw[end + 1])
        assert node.ma64.gap == list(a64.gap)
        assert (node.ma64.meta.end, node.ma64.meta.gap) == (a64.meta.end, a64.meta.gap)
        assert node.parent == r64.parent == node.ma64.parent
        alloc = profile.parse("maple_alloc", raw)
        assert (node.alloc.request_count, node.alloc.slot) == (
            alloc.request_count,
            list(alloc.slot),
        )
        dead = profile.layout("maple_node")
        place = dead.offset("ma_flags")
        assert node.ma_flags == int.from_bytes(raw[place : place + 4], order)
        assert node.rcu.func == int.from_bytes(raw[2 * word : 3 * word], order)


@pytest.mark.parametrize(
    ("arch", "version", "config"),
    [("s390x", "6.12", "rt,lockdep"), ("m68k", "7.2", "lock-stat"), ("x86_64", "6.18", "smp")],
)
def test_every_struct_compiles_and_reads_as_declared(readers, arch, version, config):
    profile = structs.profile(arches.get(arch), version, config=config)
    word, order = profile.arch.word_size, profile.arch.byteorder
    compared = 0
    for name, made in readers(profile, list(profile.structs)).items():
        layout = profile.layout(name)
        raw = bytes(i * 7 % 251 for i in range(layout.size))
        read = made.from_bytes(raw)
        for member in layout.members:
            pieces = [
                int.from_bytes(raw[at : at + word], order)
                for at in range(member.offset, member.offset + member.size, word)
            ]
            if "." in member.name or "pad" in member.name:
                continue
            if member.type == "unsigned long" or member.type.endswith("*"):
                assert getattr(read, member.name) == pieces[0], (name, member.name)
            elif member.type.startswith("unsigned long [") or "*[" in member.type:
                assert getattr(read, member.name) == pieces, (name, member.name)
            elif member.type == "unsigned char":
                assert getattr(read, member.name) == raw[member.offset], (name, member.name)
            else:
                continue
            compared += 1
    assert compared > 50
