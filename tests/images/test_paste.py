"""Text of memory: what every tool prints of one tree reads back as that tree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import arches
from layout.images.decode import decode
from layout.images.kinds import kind_of
from layout.images.paste import read_paste
from layout.images.treestruct import Known
from layout.memory.errors import InputError, UsageError
from layout.show.dump import text as dump_text
from layout.show.mtdump import mt_dump_text
from layout.show.text import plain
from layout.traces.inputs import load

FIXTURES = Path(__file__).parents[2] / "fixtures"
CAPTURES = FIXTURES / "captures"
PASTE = FIXTURES / "paste"
TREE = 0xFFFF88800405AC40
LEAF = 0xFFFF8880053FE700


def read(data, arch=None, tree=None, base=None, kernel=None):
    machine = arches.get(arch) if arch else None
    return read_paste(data, "f", tree=tree, arch=machine, known=Known(kernel), base=base)


@pytest.fixture(scope="module")
def medium():
    image = load(str(CAPTURES / "x86_64-6.12.117-medium.json"))
    return decode(image.memory, image.tree).ranges


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gdb-gx", "gdb x"),
        ("gdb-wx", "gdb x"),
        ("gdb-bx", "gdb x"),
        ("crash-rd", "crash rd"),
        ("xxd", "xxd"),
        ("drgn-structs", "a struct of drgn"),
        ("drgn-nodes", "a struct of drgn"),
        ("drgn-read", "drgn's prog.read()"),
        ("syslog", "mt_dump text"),
    ],
)
def test_what_tools_print(name, kind, medium):
    data = (PASTE / f"{name}.txt").read_bytes()
    assert kind_of(data) == "paste"
    image = read(data, "x86_64", TREE)
    found = decode(image.memory, image.tree)
    assert (found.ranges, found.problems) == (medium, [])
    assert image.notes[0] == f"taken for {kind}"
    with pytest.raises(
        UsageError, match=r"does not say of which machine: give --arch A \(nodes of x86_64 lie at"
    ):
        read(data)


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.json*")), ids=lambda path: path.name)
@pytest.mark.parametrize("fields", [False, True])
def test_our_own_dumps(path, fields):
    """A dump says all that the tree needs, its machine and address too."""
    image = load(str(path))
    found = decode(image.memory, image.tree)
    lines = dump_text(image.memory, image.tree, found.nodes, fields=fields)
    data = "".join(f"{plain(line)}\n" for line in lines).encode()
    again = read(data)
    assert again.arch is image.arch
    back = decode(again.memory, again.tree)
    assert (again.tree, back.root, back.flags, back.ranges) == (
        image.tree,
        found.root,
        found.flags,
        found.ranges,
    )


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.json*")), ids=lambda path: path.name)
def test_mt_dump_text(path):
    image = load(str(path))
    printed = mt_dump_text(image)
    logged = "".join(f"[   12.345678][  T123] {line}\n" for line in printed.splitlines())
    again = read(logged.encode(), image.arch.name)
    assert decode(again.memory, again.tree).ranges == decode(image.memory, image.tree).ranges
    assert mt_dump_text(again) == printed


def test_hexdump_of_a_file_needs_its_address():
    """One leaf alone: its place is given, its struct and parent are missing and told."""
    data = (PASTE / "hexdump-one-node.txt").read_bytes()
    whole = bytearray(256)
    capture = json.loads((CAPTURES / "x86_64-6.12.117-medium.json").read_text())
    node = next(item for item in capture["nodes"] if int(item["addr"], 16) == LEAF)
    whole[:] = bytes.fromhex(node["hex"])
    with pytest.raises(UsageError, match=r"f shows 1 whole nodes, but no root .*give --base ADDR"):
        read(data, "x86_64")
    # the same leaf as the root of a tree of its own
    whole[:8] = (TREE | 1).to_bytes(8, "little")
    dumped = subprocess.run(
        ["hexdump", "-C"], input=bytes(whole), capture_output=True, check=True
    ).stdout
    with pytest.raises(UsageError, match=r"bytes start at address 0, .*give .* as --base ADDR"):
        read(dumped, "x86_64")
    image = read(dumped, "x86_64", base=LEAF)
    assert image.tree == TREE
    assert image.notes[1] == (
        f"no struct maple_tree at {TREE:x}: made up from its root node {LEAF:x}, taken for "
        "leaf_64; flags 4 are a guess"
    )
    assert len(decode(image.memory, image.tree).ranges) == 7


def test_lines_that_repeat():
    data = b"00001000  01 20 00 00 00 00 00 00  ff 00 00 00 00 00 00 00  |.|\n"
    data += b"00001010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |.|\n*\n00001100\n"
    image = read(data, "x86_64")
    assert image.memory.read(0x1000, 256) == bytes.fromhex("0120000000000000ff").ljust(256, b"\0")
    too_much = b"00000000  00 00\n*\nffffffff  00\n"
    with pytest.raises(InputError, match=r"^f: line 3: lines of \* stand for more than 64 MiB"):
        read(too_much, "x86_64")


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"maple_tree(00000000abcd1234) flags D, height 1 root 00000000abcd120e\n"
         b"0-ffffffffffffffff: node 00000000abcd1201 depth 0 type 1 parent 1 contents: 0 0 0\n",
         InputError, r"^f, line 2: node abcd1201 .* was hashed .*no_hash_pointers"),
        (b"0-ffffffffffffffff: node 00000000abcd1200 depth 0 type 1 parent 1 contents: 0 0 0\n",
         InputError, r"^f, line 1: a node of x86_64 has 16 slots and 15 pivots, this line has 3 of"),
        (b"0-ffffffffffffffff: node 00000000abcd1200 depth 0 type 7 parent 1 contents: 0 0 0\n",
         InputError, r"^f, line 1: a node of type 7"),
        (b">>> prog.read(0x1000, 16)\nb'\\x00\\x01\n", InputError, r"^f: line 2: a bytes literal that breaks"),
        (b"*(struct maple_tree *)0x1000 = {\n\t.ma_flags = (unsigned int)3,\n}\n",
         InputError, r"without ma_root or ma_flags"),
        (b"*(struct maple_range_64 *)0x1000 = {\n\t.parent = (void *)0x3,\n}\n",
         InputError, r"without parent, pivot and slot"),
    ],
)  # fmt: skip
def test_text_that_is_wrong(data, error, says):
    with pytest.raises(error, match=says):
        read(data, "x86_64")


def test_several_trees_in_one_text():
    lines = []
    for tree, node in ((0x3000, 0x1000), (0x4000, 0x2000)):
        words = [tree | 1, 9, (1 << 64) - 1, *[0] * 13, 0x5001, *[0] * 14, 1]
        lines += [f"{node + 8 * i:016x}:  {words[i]:016x}" for i in range(32)]
    data = "\n".join(lines).encode()
    with pytest.raises(UsageError, match=r"several trees, at 3000, 4000: choose one by --tree"):
        read(data, "x86_64")
    image = read(data, "x86_64", tree=0x4000)
    assert decode(image.memory, image.tree).ranges == [(0, 9, 0x5001)]


def test_the_command_reads_stdin():
    command = Path(sys.executable).parent / "maple-layout"
    data = (PASTE / "gdb-gx.txt").read_bytes()
    done = subprocess.run(
        [command, "decode", "-", "--arch", "x86_64"], input=data, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith(b"# x86_64 tree ffff88800405ac40, flags 30b")


AROUND = {
    "indented": lambda lines: "".join(f"    {line}\n" for line in lines),
    "quoted": lambda lines: "".join(f"> {line}\n" for line in lines),
    "tabs and CRLF": lambda lines: "".join(f"\t{line}\r\n" for line in lines),
    "in a mail": lambda lines: "\ufeffHello,\n```\n" + "\n\n".join(lines) + "\n```\nBye\n",
    "far down": lambda lines: "a line of a log\n" * 5000 + "\n".join(lines),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize(
    "name", ["gdb-gx", "gdb-wx", "gdb-bx", "crash-rd", "xxd", "drgn-structs", "drgn-read", "syslog"]
)
def test_what_people_put_around_it(name, around, medium, tmp_path):
    lines = (PASTE / f"{name}.txt").read_text().splitlines()
    path = tmp_path / "mail.txt"
    path.write_text(AROUND[around](lines), newline="")
    image = load(str(path), arch=arches.get("x86_64"), tree=f"{TREE:x}")
    found = decode(image.memory, image.tree)
    assert (found.ranges, found.problems) == (medium, [])


@pytest.mark.parametrize(
    "before",
    [
        "[  123.456789][  T123] ",
        "kern  :info  : [  123.456789] ",
        "[Sat Nov 21 18:00:00 2026] ",
        "[Nov21 18:00] ",
        "[  +0.000012] ",
        "Nov 21 18:00:00.123456 host kernel: ",
        "2026-11-21T18:00:00,123456+00:00 ",
        "[   12.345678] host kernel: ",
        "Sat 2026-11-21 18:00:00 UTC host kernel: ",
        "6,1234,123456789,-;",
    ],
)
def test_what_logs_put_before_mt_dump(before):
    image = load(str(CAPTURES / "s390x-6.12.95-medium.json"))
    data = "".join(before + line + "\n" for line in mt_dump_text(image).splitlines()).encode()
    back = read(data, "s390x")
    found = decode(back.memory, back.tree)
    assert found.ranges == decode(image.memory, image.tree).ranges
    assert found.complete


def of_node(command):
    """What a command prints of the bytes of a node, and these."""
    image = load(str(CAPTURES / "x86_64-6.12.117-sleep.json"))
    node = decode(image.memory, image.tree).nodes[0].address
    raw = image.memory.read(node, 256)
    done = subprocess.run(command, input=bytes(0x200) + raw, capture_output=True, check=True)
    return done.stdout, raw, node


@pytest.mark.parametrize(
    "command", [["od", "-v", "-t", "x1"], ["od", "-A", "x", "-t", "x1z"], ["od", "-t", "x1"]]
)
def test_od_prints_octal_addresses(command):
    data, raw, node = of_node(command)
    image = read(data, "x86_64", base=node - 0x200)
    assert image.memory.read(node, 256) == raw


@pytest.mark.parametrize("width", [4, 8])
def test_xxd_e_prints_little_endian_numbers(width):
    image = load(str(CAPTURES / "s390x-6.12.95-sleep.json"))
    node = decode(image.memory, image.tree).nodes[0].address
    raw = image.memory.read(node, 256)
    lines = []
    for at in range(0, 256, 16):
        row = raw[at : at + 16]
        groups = " ".join(row[i : i + width][::-1].hex() for i in range(0, 16, width))
        shown = "".join(chr(c) if 32 <= c < 127 else "." for c in row)
        lines.append(f"{node + at:08x}: {groups}  {shown}\n")
    assert read("".join(lines).encode(), "s390x").memory.read(node, 256) == raw


@pytest.mark.parametrize("command", [["od"], ["od", "-x"], ["od", "-A", "x", "-t", "x8"]])
def test_groups_without_a_byte_order_are_refused(command, tmp_path):
    path = tmp_path / "od.txt"
    path.write_bytes(of_node(command)[0])
    with pytest.raises(InputError, match=r"groups of unknown byte order|starts with no operation"):
        load(str(path), arch=arches.get("x86_64"), tree="1000")


def test_nodes_where_a_machine_has_none():
    data, raw, node = of_node(["od", "-t", "x1"])
    image = read(data, "x86_64")
    assert image.memory.read(0x200, 256) == raw
    assert image.notes[-1] == (
        "nodes of x86_64 do not lie at 0: give --base ADDR if that is a physical address or a "
        "place in a file, or another --arch"
    )
    with pytest.raises(UsageError, match="as s390x has it: add its lines, give another --arch"):
        read(data, "s390x")
    assert read(data, "x86_64", base=node - 0x200).notes[-1].startswith("no struct maple_tree")
