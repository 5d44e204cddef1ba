import pytest
from machines import THREE

import arches
from layout.images.decode import decode
from layout.machine.machine import Machine
from layout.memory.pointers import LEAF_64
from layout.traces.runner import Runner
from layout.traces.trace import parse

TOP = 2**64 - 1


def run(text, arch="s390x"):
    runner = Runner(Machine(arches.get(arch)))
    lines = []
    for operation in parse(text.split("\n"), TOP):
        lines.append(runner.execute(operation))
        if runner.faulted:
            break
    return runner, lines


def test_poke_changes_one_byte_and_tells_the_old_one():
    runner, lines = run("init 0\nstore 10 20 3001\npoke 1000000000 f8 7")
    assert lines[-1] == {"n": 3, "op": "poke", "was": "02"}
    assert runner.mem.read_u8(0x10000000F8) == 7


def test_poke_outside_memory_is_a_fault():
    runner, lines = run("poke 1000001000 0 1")
    assert runner.faulted
    fault = lines[-1]["fault"]
    assert (fault["kind"], fault["address"]) == ("unmapped", "1000001000")


def test_failed_validate_goes_on():
    text = "init 0\nstore 10 20 3001\npoke 1000000000 8 ff\nvalidate\nload 10\nvalidate"
    runner, lines = run(text, "x86_64")
    assert lines[3]["ok"] is False
    assert lines[3]["printk"].startswith("0000001000000000[1] piv 32 < prev_piv 255\n")
    assert (
        "MAS: tree=0000000fffff0000 enode=000000100000000c (ma_active)Store Type: "
        in lines[3]["printk"]
    )
    assert lines[4]["op"] == "load"
    assert lines[5]["ok"] is False
    assert (runner.failed, runner.faulted) == (True, False)


@pytest.mark.parametrize("arch", THREE)
def test_cycle_ends_in_a_livelock_fault(arch):
    # a child of the root that is the root itself
    build = "init 1\n" + "\n".join(f"store {i * 16:x} {i * 16 + 7:x} 3001" for i in range(20))
    runner, _ = run(build, arch)
    root = runner.mem.ma_root(runner.tree) & ~2
    word = root.to_bytes(8, runner.machine.arch.byteorder)
    pokes = "\n".join(f"poke {root & ~0xFF:x} {80 + i:x} {byte:x}" for i, byte in enumerate(word))
    for operation in ("load 0", "store 0 0 3001", "walk 0", "mtdump", "iter 0 ff"):
        runner, lines = run(f"{build}\n{pokes}\n{operation}", arch)
        assert lines[-1]["fault"]["kind"] in ("livelock", "bug"), operation


@pytest.mark.parametrize("arch", THREE)
@pytest.mark.parametrize(
    ("word", "kind", "address"),
    [
        (0x0E0000000000000C, "unmapped", "e00000000000008"),  # pivot 0 is looked at first
        (0x0E00000000000000, "null", "0"),  # a dense node has no pivots: NULL is followed
        (0xC, "null", "8"),
    ],
)
def test_pointer_into_nowhere_is_a_fault_that_keeps_what_was_written(arch, word, kind, address):
    build = "init 0\n" + "\n".join(f"store {i * 16:x} {i * 16 + 7:x} 3001" for i in range(20))
    runner, _ = run(build, arch)
    root = runner.mem.ma_root(runner.tree) & ~0xFF
    raw = word.to_bytes(8, runner.machine.arch.byteorder)
    pokes = "\n".join(f"poke {root:x} {128 + i:x} {byte:x}" for i, byte in enumerate(raw))
    runner, lines = run(f"{build}\n{pokes}\nload 0", arch)
    assert (lines[-1]["fault"]["kind"], lines[-1]["fault"]["address"]) == (kind, address)
    assert runner.mem.ma_root(runner.tree) & ~0xFF == root


def test_end_beyond_the_node_is_read_on():
    build = "init 0\n" + "\n".join(f"store {i * 16:x} {i * 16 + 7:x} 3001" for i in range(20))
    runner, _ = run(build)
    first, second = decode(runner.mem, runner.tree).nodes[2:4]
    runner, lines = run(f"{build}\npoke {first.address:x} f8 ff\ncset {second.min:x}\ncprev 0")
    assert not any(runner.mem.slot(first.address, LEAF_64, i) for i in range(16, 256))
    # slot 255 and all others behind the node are NULL, so the first that is not is its metadata
    assert lines[-1]["entry"] == "ff00000000000000"
    assert (lines[-1]["offset"], lines[-1]["end"]) == (15, 255)


def test_end_beyond_a_local_struct_is_a_fault():
    _, lines = run("init 0\nstore 10 20 3001\npoke 1000000000 f8 ff\nstore 12 13 3003")
    assert lines[-1]["fault"]["kind"] == "bug"
    assert "beyond the end of a struct" in lines[-1]["fault"]["message"]


def test_too_small_bulk_follows_a_null_pointer():
    _, lines = run("init 0\nbulk 1 100 0 10 8 3000")
    assert lines[-1]["fault"]["kind"] == "null"
    assert lines[-1]["warn"] == 1
    assert lines[-1]["na"] > 0


def test_store_that_gets_some_nodes_but_not_all_is_a_livelock():
    build = "init 0\n" + "\n".join(f"store {i * 16:x} {i * 16 + 7:x} 3001" for i in range(8))
    _, lines = run(f"{build}\nfail 1\nstore 1 2 3001")
    assert lines[-1]["fault"]["kind"] == "livelock"
    assert lines[-1]["ac"][:3] == ["n1", "!nb2", "!kb2"]
    assert len(lines[-1]["ac"]) == 16


def test_backward_range_of_mas_store_warns_and_is_refused():
    _, lines = run("init 0\nmstore 20 10 3001")
    assert lines[-1]["err"] == -22
    assert lines[-1]["printk"] == (
        "WARN at mas_store:0 (1)\n"
        "MAS: tree=0000000fffff0000 enode=0000000000000000 (ma_start) Store Type: "
        "invalid store type\n"
        "[0/0] index=20 last=10\n"
        "     min=0 max=ffffffffffffffff alloc=0000000000000000, depth=0, flags=0\n"
        "Check index & last\n"
        "maple_tree(0000000fffff0000) flags 0, height 0 root 0000000000000000\n"
        "0: 0000000000000000\n"
        "Pass: 0 Run:1\n"
        "Error 20 > 10 0000000000003001\n"
    )


def test_stale_cursor_whose_node_has_no_root_above_is_a_livelock():
    text = """init 2
        cset fffffffffffffe9f ffffffffffffffaa
        cstore 15
        prealloc fffffffffffff91d fffffffffffff9b8 b000
        cstore 1f"""
    _, lines = run(text, "x86_64")
    assert lines[-1]["fault"]["kind"] == "livelock"
    fault = lines[-1]["fault"]
    assert "mas_spanning_rebalance" in fault["message"]
    assert fault["operation"] == "cstore"
    assert fault["state"]["index"] == "fffffffffffffe9f"


def test_gap_search_that_never_ends_is_a_livelock():
    _, lines = run("init 1\nbulk fe fc 0 2 2 1\nbulk 2 2 1f8 fffffffffffffff1 10 1001")
    assert lines[-1]["fault"]["kind"] == "livelock"


def test_copy_of_a_cyclic_tree_is_a_livelock():
    build = "init 0\nbulk 40 40 0 1 1 1"
    runner, _ = run(build)
    root = runner.mem.ma_root(runner.tree) & ~2
    pokes = "\n".join(
        f"poke {root & ~0xFF:x} {128 + i:x} {byte:x}"
        for i, byte in enumerate(root.to_bytes(8, "big"))
    )
    runner, lines = run(f"{build}\n{pokes}\ndup 1")
    assert lines[-1]["fault"]["kind"] == "livelock"
    assert lines[-1]["na"] < 3000


def test_walk_back_on_a_state_that_never_had_a_node_follows_a_null_pointer():
    build = "init 0\n" + "\n".join(f"store {i * 16:x} {i * 16 + 7:x} 3001" for i in range(4))
    _, lines = run(f"{build}\ncset 20\ncnext 10\ncfind_rev 0")
    assert lines[-2]["status"] == "overflow"
    fault = lines[-1]["fault"]
    assert (fault["kind"], fault["operation"]) == ("null", "cfind_rev")
    assert fault["state"]["node"] == "0"
