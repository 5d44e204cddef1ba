"""The twin does what the Python classes do, and stands only where they would do the same."""

from __future__ import annotations

import ast
import gc
import json
import os
import random
import subprocess
import sys
import weakref
from collections import Counter
from pathlib import Path

import pytest
from damaged import damaged_trace

import arches
from layout import compiled
from layout.compare.tracking import TrackingMemory
from layout.defects import operations
from layout.defects.onlooker import looking_on
from layout.machine.equip import equip
from layout.machine.machine import Machine
from layout.machine.watch.check import CHECK
from layout.memory.errors import MachineFault
from layout.memory.node import NodeMemory
from layout.memory.slab import GFP_KERNEL, GFP_NOWAIT, NodeCache
from layout.traces.runner import Runner
from layout.traces.source import TraceText
from layout.traces.stream import Stream
from layout.tree.kernel import Kernel
from layout.tree.state import MaState
from layout.tree.versions import KERNELS

FIXTURES = Path(__file__).parents[2] / "fixtures"
ARCHES = ("s390x", "sparc64", "x86_64", "arm")


def plain(name="s390x", **options):
    return Machine(arches.get(name), **options)


def transcript(data, arch, machine=None):
    runner = Runner(machine or plain(arch))
    return b"".join(Stream(runner, TraceText(data)).transcript()), runner.machine.save()


# -- whole traces


@pytest.mark.parametrize("arch", ["s390x", "sparc64"])
@pytest.mark.parametrize(
    "name",
    [
        *(
            "01-root-only",
            "04b-random-ranges-short",
            "06b-null-erase-short",
            "08b-alloc-tree-short",
        ),
        *("07-spanning-stores", "09b-rcu-short", "12-dup-and-destroy", "14-fill-to-16-slots"),
        *("15c-fault-injection-alloc", "17-bulk", "18-cursor-and-mas-store"),
    ],
)
def test_goldens_on_both_legs(on_both, name, arch):
    data = (FIXTURES / "golden" / f"{name}.trace").read_bytes()
    compiled_, python = on_both(lambda: transcript(data, arch))
    assert compiled_ == python


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("extra/32bit-*.trace")), ids=lambda p: p.stem)
def test_goldens_of_32_bits_on_both_legs(on_both, path):
    compiled_, python = on_both(lambda: transcript(path.read_bytes(), "arm"))
    assert compiled_ == python


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("seed", range(8))
def test_damaged_trees_on_both_legs(on_both, arch, seed):
    data = damaged_trace(arch, seed)
    compiled_, python = on_both(lambda: transcript(data, arch))
    assert compiled_ == python


def test_damaged_trees_stop_machines():
    ends = Counter()
    for arch in ARCHES:
        for seed in range(8):
            text, _ = transcript(damaged_trace(arch, seed), arch)
            ends[json.loads(text.splitlines()[-1]).get("fault", {}).get("kind")] += 1
    assert ends.keys() > {None, "unmapped", "null"}
    assert ends[None] < ends.total() / 2


def test_the_poked_pointer_is_a_fault_on_both_legs(on_both):
    build = "init 0\n" + "\n".join(f"store {i * 16:x} {i * 16 + 7:x} 3001" for i in range(20))
    machine = plain()
    transcript(build.encode(), "s390x", machine)
    root = machine.mem.ma_root(machine.tree(0)) & ~0xFF
    pokes = "\n".join(f"poke {root:x} {128 + i:x} e" for i in range(8))
    (text, saved), python = on_both(
        lambda: transcript(f"{build}\n{pokes}\nload 0\nload 1".encode(), "s390x")
    )
    assert (text, saved) == python
    assert text.count(b"\n") == 30
    assert text.endswith(b"}\n")
    assert b'"kind":"unmapped"' in text.splitlines()[-1]


# -- memory and node cache, call by call


def outcome(call, *args):
    """What a call returns, or the fault that it ends in."""
    try:
        return call(*args)
    except MachineFault as stop:
        return stop.kind, stop.address, stop.width, str(stop)


@pytest.mark.parametrize("arch", ARCHES)
def test_memory_call_by_call(on_both, arch):
    def run():
        rng = random.Random(arch)
        machine = plain(arch)
        mem = machine.mem
        nodes = machine.cache.alloc_bulk(GFP_KERNEL, 4)
        end = nodes[-1] + 17 * 256  # behind the last mapped byte
        places = (*nodes, machine.tree_base, machine.tree(1), end, 0, end + 0x10000)
        log = []
        for _ in range(3000):
            at = rng.choice(places) + rng.choice((0, 8, 4, 248, 252, 255, 1, -4, -8))
            at &= mem.arch.ulong_max
            count = rng.choice((1, 3, 16, 40))
            word = rng.randrange(mem.arch.ulong_max + 1)
            call, *args = rng.choice(
                [
                    (mem.read_word, at),
                    (mem.read_words, at, count),
                    (mem.read_u8, at),
                    (mem.read_u32, at),
                    (mem.read, at, count),
                    (mem.write_word, at, word, "a word of ours"),
                    (mem.write_words, at, [word] * count),
                    (mem.write_u8, at, word & 0xFF),
                    (mem.write_u32, at, word & 0xFFFFFFFF),
                    (mem.write, at, word.to_bytes(8, "little")),
                    (mem.copy, rng.choice(nodes) + 16, at, count),
                    (mem.zero, at, count),
                    (mem.zero, rng.choice(nodes), 256),
                    (mem.poison, rng.choice(nodes), word.to_bytes(8, "big")),
                    (lambda at=at: repr(mem.arena_at(at)),),
                    (mem.size,),
                ]
            )
            log.append((getattr(call, "__name__", ""), at, outcome(call, *args)))
        return log, machine.save()

    (log, saved), (python_log, python_saved) = on_both(run)
    assert log == python_log
    assert saved == python_saved
    assert {"null", "unmapped"} <= {got[0] for _, _, got in log if isinstance(got, tuple) and got}


@pytest.mark.parametrize("reuse", [False, True])
def test_cache_call_by_call(on_both, reuse):
    def run():
        rng = random.Random(reuse)
        machine = plain(reuse_nodes=reuse)
        cache = machine.cache
        assert (cache.reuse, cache.allocated, cache.freed) == (reuse, 0, 0)
        taken, log = [0], []
        for _ in range(3000):
            choice = rng.randrange(8)
            gfp = rng.choice((GFP_KERNEL, GFP_NOWAIT))
            if choice < 2:
                log.append(outcome(cache.alloc_one, gfp))
                taken.append(log[-1])
            elif choice == 2:
                got = outcome(cache.alloc_bulk, gfp, rng.randrange(1, 9))
                log.append(got)
                taken += got
            elif choice < 5:
                log.append(outcome(cache.free, rng.choice(taken) + rng.choice((0, 0, 0, 1))))
            elif choice == 5:
                for i, node in enumerate(taken[-3:]):
                    machine.mem.write_word(machine.tree_base + 8 * i, node)
                log.append(outcome(cache.free_bulk, rng.randrange(4), machine.tree_base))
            elif choice == 6 and not rng.randrange(9):
                nowait = rng.random() < 0.5
                cache.fail(rng.randrange(4), rng.choice((None, 1, 3)), nowait_only=nowait)
            elif choice == 7 and not rng.randrange(9):
                cache.fail(None, None, nowait_only=False)
                log.append((cache.calls, cache.frees))
                cache.begin()
            log.append((cache.allocated, cache.freed, cache.free_list(), len(cache.calls)))
        return log, bytes(cache.freed_map), machine.save()

    compiled_, python = on_both(run)
    assert compiled_ == python
    assert "node was freed before" in str(compiled_[0])


@pytest.mark.usefixtures("leg")
def test_nodes_written_to_are_noted():
    machine = Machine(arches.get("s390x"), TrackingMemory)
    kernel, mem = machine.kernel, machine.mem
    before = machine.save()
    mem.take_dirty()
    for i in range(200):
        kernel.mtree_store_range(machine.tree(0), i * 16, i * 16 + 7, 0x3001, GFP_KERNEL)
        after = machine.save()
        dirty = mem.take_dirty()
        changed = {
            machine.node_base + 256 * number
            for number, cell in enumerate(after.nodes)
            if cell != (before.nodes[number] if number < len(before.nodes) else bytes(256))
        }
        assert changed <= dirty
        before = after
    mem.write_u8(machine.node_base + 0x305, 1)
    assert mem.take_dirty() == {machine.node_base + 0x300}
    assert not mem.take_dirty()


@pytest.mark.usefixtures("leg")
def test_reading_across_nodes():
    machine = plain()
    first, second, _ = machine.cache.alloc_bulk(GFP_KERNEL, 3)
    machine.mem.write(first + 250, bytes(range(1, 13)))
    assert machine.mem.read(first + 248, 16) == bytes([0, 0, *range(1, 13), 0, 0])
    assert machine.mem.read_word(first + 252) == 0x030405060708090A
    assert machine.mem.read_u8(second) == 7
    assert machine.mem.read(first, 768).count(b"\x01") == 1


@pytest.mark.usefixtures("leg")
def test_saving_and_restoring():
    machine = plain(reuse_nodes=True)
    build = b"init 1\n" + b"\n".join(b"store %x %x 3001" % (i * 16, i * 16 + 7) for i in range(90))
    more = b"erase 20\nstore 5 300 9001\niter 0 ffff\n"
    transcript(build, "s390x", machine)
    saved = machine.save()
    first = transcript(more, "s390x", machine)
    assert first[1] != saved
    machine.restore(saved)
    assert machine.save() == saved
    assert transcript(more, "s390x", machine) == first


@pytest.mark.usefixtures("leg")
def test_several_machines_at_once():
    parts = [
        b"init 1",
        *(b"store %x %x 3001" % (i * 16, i * 16 + 9) for i in range(40)),
        b"erase 20",
    ]
    apart = {}
    for arch in ARCHES:
        machine = plain(arch)
        apart[arch] = [transcript(part, arch, machine) for part in parts]
    machines = {arch: plain(arch) for arch in ARCHES}
    together = {arch: [] for arch in ARCHES}
    for part in parts:
        for arch, machine in machines.items():
            together[arch].append(transcript(part, arch, machine))
    assert together == apart


@pytest.mark.usefixtures("leg")
def test_a_machine_is_freed():
    machine = plain()
    transcript(b"init 0\nstore 10 20 3001\n", "s390x", machine)
    there = weakref.ref(machine.mem)
    del machine
    gc.collect()
    assert there() is None


# -- states


def test_states_are_alike(on_both):
    def run():
        machine = plain()
        tree = machine.tree(0)
        machine.kernel.mtree_store_range(tree, 0x10, 0x20, 0x3001, GFP_KERNEL)
        mas = machine.kernel.new_state(tree, 0x15)
        told = [repr(mas)]
        copy = mas.copy()
        assert machine.kernel.mas_walk(mas) == 0x3001
        told += [repr(mas), repr(copy)]
        copy.assign(mas)
        copy.index, copy.store_type = 7, 3
        told += [repr(copy), copy.store_type]
        copy.reset()
        copy.assign(MaState(tree, 1, 2, machine.arch.ulong_max))
        return [*told, repr(copy), (mas.index, mas.last, mas.offset, mas.end)]

    compiled_, python = on_both(run)
    assert compiled_ == python


# -- its types


@pytest.mark.usefixtures("extension")
def test_the_stub_tells_what_there_is():
    from layout.compiled import _core

    stub = ast.parse(Path(compiled.__file__).with_name("_core.pyi").read_text())
    for node in stub.body:
        if isinstance(node, ast.ClassDef):
            named = {
                part.target.id if isinstance(part, ast.AnnAssign) else part.name
                for part in node.body
                if isinstance(part, ast.AnnAssign | ast.FunctionDef)
            }
            if node.name == "State":
                named = {*MaState.__dataclass_fields__, "copy", "assign", "reset", "_plain"}
            there = {name for name in vars(getattr(_core, node.name)) if not name.startswith("__")}
            operations = set(vars(Kernel)) | {"new_state"}
            assert there - operations - named == set()
            assert named - there <= {"__init__", "extension"}


@pytest.mark.usefixtures("extension")
def test_each_table_has_its_kernel():
    from layout.compiled import twin

    tables = {table.kernel for table in compiled.TABLES.values()}
    assert {f"{k.__module__}:{k.__name__}" for k in KERNELS.values()} == tables
    for plain_kernel in KERNELS.values():
        stand_in = twin.stand_in_for(plain_kernel)
        assert issubclass(stand_in, plain_kernel)
        assert issubclass(stand_in, stand_in.extension.Core)
        extension = stand_in.extension.__name__.rpartition(".")[2]
        assert compiled.TABLES[extension].kernel.endswith(f":{plain_kernel.__name__}")


# -- where it stands


@pytest.mark.usefixtures("extension")
def test_plain_machines_are_compiled():
    for machine in (plain(), equip("arm"), plain(reuse_nodes=True)):
        assert machine.core
        assert isinstance(machine.mem, NodeMemory)
        assert isinstance(machine.cache, NodeCache)
        assert isinstance(machine.kernel, Kernel)


@pytest.mark.usefixtures("extension")
@pytest.mark.parametrize(
    "options",
    [{"kernels": operations(["R1"])}, {"watch": [CHECK]}],
    ids=["defect", "checker"],
)
def test_defects_and_watches_get_python(options):
    assert not equip("s390x", **options).core


@pytest.mark.usefixtures("extension")
@pytest.mark.parametrize("part", ["memory", "kernel", "cache"])
def test_a_subclass_of_any_part_gets_python(part):
    base = {"memory": NodeMemory, "kernel": Kernel, "cache": NodeCache}[part]
    own = type("Own", (base,), {})
    machine = plain(**{part: own})
    assert not machine.core
    assert type({"memory": machine.mem}.get(part, getattr(machine, part, None))) is own


class Odd(Kernel):
    """An operation of its own, to be noticed."""

    def mtree_load(self, _tree, _index):
        return 0x77


ODD = b'{"n":1,"op":"load","entry":"77"}\n'


def test_a_kernel_set_later_is_the_one_that_runs():
    machine = plain()
    machine.kernel = Odd(machine.mem, machine.cache)
    assert machine.core is None
    assert transcript(b"load 5", "s390x", machine)[0] == ODD


@pytest.mark.usefixtures("extension")
@pytest.mark.parametrize(
    ("part", "name"), [("kernel", "mtree_load"), ("mem", "set_slot"), ("cache", "alloc_one")]
)
def test_what_is_compiled_refuses_to_be_replaced_on_one_object(part, name):
    with pytest.raises(AttributeError, match=rf"^{name} is compiled .* in_python=True$"):
        setattr(getattr(plain(), part), name, lambda *_: 0x77)


def test_a_machine_in_python_lets_single_objects_be_replaced():
    machine = plain(in_python=True)
    assert machine.core is None
    machine.kernel.mtree_load = lambda _tree, _index: 0x77
    assert transcript(b"load 5", "s390x", machine)[0] == ODD
    seen = []
    with looking_on(machine.mem, ["write_word", "set_slot"], lambda *args: seen.append(args)):
        machine.kernel.mtree_store_range(machine.tree(0), 5, 9, 0x3001)
    assert ("set_slot", machine.node_base, 1, 1, 0x3001) in seen


def test_a_machine_of_ones_own_is_told_of_every_operation():
    class Mine(Machine):
        def begin(self, number, name):
            told.append((number, name))
            super().begin(number, name)

    told = []
    data = b"init 0\nload 5\n"
    assert transcript(data, "s390x", Mine(arches.get("s390x"))) == transcript(data, "s390x")
    assert told == [(1, "init"), (2, "load")]


@pytest.mark.usefixtures("extension")
def test_a_replaced_operation_is_called():
    class Own(Kernel):
        def mtree_load(self, tree, index):
            return super().mtree_load(tree, index) + 1

    machine = plain(kernel=Own)
    machine.kernel.mtree_store_range(machine.tree(0), 1, 2, 0x3001, GFP_KERNEL)
    assert machine.kernel.mtree_load(machine.tree(0), 1) == 0x3002


# -- which leg


def ask(**env):
    """The leg of a new process, and whether its machines are compiled."""
    code = (
        "import arches; from layout import compiled; from layout.machine.machine import Machine;"
        "print(compiled.leg(), Machine(arches.get('arm')).core is not None, sep='|')"
    )
    clean = {key: value for key, value in os.environ.items() if key != "MAPLE_LAYOUT_PURE"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | env, capture_output=True, text=True, check=True
    )
    assert not done.stderr
    return done.stdout.strip()


def test_the_environment_asks_for_python():
    assert ask(MAPLE_LAYOUT_PURE="1") == "pure Python: MAPLE_LAYOUT_PURE is set|False"


@pytest.mark.usefixtures("extension")
@pytest.mark.parametrize("env", [{}, {"MAPLE_LAYOUT_PURE": "0"}, {"MAPLE_LAYOUT_PURE": ""}])
def test_without_it_the_extension_runs(env):
    assert ask(**env) == "compiled|True"


@pytest.fixture
def asked_anew():
    """What was found out about the extension is forgotten, before and after."""
    compiled._unusable.cache_clear()
    yield
    compiled._unusable.cache_clear()


@pytest.mark.usefixtures("extension", "asked_anew")
@pytest.mark.checkout
def test_an_extension_of_other_sources_is_not_used(monkeypatch, capsys):
    monkeypatch.setattr(compiled, "digest", lambda: "other")
    assert not plain().core
    assert compiled.leg() == "pure Python: the extension is older than its sources"
    err = capsys.readouterr().err
    assert err.startswith("maple-layout: layout/tree ")
    assert err.count("\n") == 1  # said once


@pytest.mark.usefixtures("extension", "asked_anew")
def test_an_installed_package_compares_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(compiled, "digest", lambda: "other")
    monkeypatch.setattr(compiled, "HERE", tmp_path)  # wheels have no .pyx
    assert compiled.leg() == "compiled"


@pytest.mark.usefixtures("asked_anew")
def test_no_extension(monkeypatch):
    monkeypatch.setattr(compiled, "PURE", False)
    monkeypatch.setitem(sys.modules, "layout.compiled._core", None)
    assert compiled.leg() == "pure Python: the extension was not built"
    assert not plain().core


@pytest.mark.usefixtures("asked_anew")
def test_an_extension_that_is_none(monkeypatch):
    monkeypatch.setattr(compiled, "PURE", False)
    monkeypatch.setitem(sys.modules, "layout.compiled._core", sys)
    assert compiled.leg().startswith("pure Python: the extension does not load: cannot import")
