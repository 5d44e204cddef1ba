"""maple-layout struct: layouts as text and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from machines import THREE

LAYOUTS = Path(__file__).parents[2] / "fixtures" / "layouts"
PROOF = Path(__file__).parents[2] / "fixtures" / "proof"


@pytest.mark.parametrize("version", ["6.1", "6.12"])
@pytest.mark.parametrize("arch", THREE)
def test_json(run, version, arch):
    known = json.loads((LAYOUTS / f"layouts-{version}.json").read_text())[arch]
    _, listed, _ = run("struct", "--list", "--json", "--kernel", version, "--arch", arch)
    names = set(json.loads(listed)) - {"list_head", "rb_node", "vm_area_struct"}
    assert names == set(known) - {"tables", "byteorder"}
    for name in names:
        code, out, err = run("struct", name, "--json", "--kernel", version, "--arch", arch)
        assert (code, err) == (0, "")
        assert json.loads(out) == known[name]


def test_all_at_once(run):
    known = json.loads((LAYOUTS / "layouts-6.12.json").read_text())["m68k"]
    code, out, _ = run("struct", "--format", "json", "--arch", "m68k")
    assert (code, json.loads(out)) == (
        0,
        {name: layout for name, layout in known.items() if name not in {"tables", "byteorder"}},
    )
    code, out, _ = run("struct", "--format", "c")
    assert (code, out.count("_Static_assert(sizeof(struct "), out.count("sizeof(enum ")) == (
        0,
        13,
        3,
    )
    assert run("struct", "ma_state", "--format", "pahole") == run("struct", "ma_state")
    assert run("struct", "ma_state", "--format", "json") == run("struct", "ma_state", "--json")
    assert run("struct", "ma_state", "--format", "ksy")[1].startswith("# Made by maple-layout")


def test_defaults_are_x86_64_and_6_12(run):
    assert run("struct", "ma_state") == run(
        "struct", "ma_state", "--arch", "x86_64", "--kernel", "6.12.117", "--lock-size", "4"
    )
    assert "/* size: 72, members: 13 */" in run("struct", "ma_state")[1]
    assert "/* size: 64, members: 10 */" in run("struct", "ma_state", "--kernel", "6.1")[1]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        (("maple_nod",), "maple_node"),
        (("struct", "vm_area_struc"), "vm_area_struct"),
        (("enum", "maple_typ"), "maple_type"),
        (("struct", "maple_type"), "maple_type"),
    ],
)
def test_a_name_that_is_nearly_right(run, name, meant):
    code, out, err = run("struct", *name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"did you mean {meant}? or choose one of maple_metadata, " in err
    assert " vm_area_struct, " in err
    assert "did you mean" not in run("struct", "zzz")[2]


def test_every_listed_name_is_shown(run):
    listed = run("struct", "--list")[1].splitlines()
    assert "vm_area_struct" in listed
    for name in listed:
        code, out, err = run("struct", name)
        assert (code, err) == (0, "")
        assert f"{name.split()[-1]} {{" in out


def test_names_in_any_form(run):
    assert run("struct", "struct", "maple_node") == run("struct", "struct maple_node")
    assert run("struct", "maple_node") == run("struct", "struct maple_node")
    assert run("struct", "enum", "maple_type")[1].startswith("enum maple_type {\n")


def test_lock_size(run):
    _, out, _ = run("struct", "maple_tree", "--lock-size", "0", "--arch", "sparc64")
    assert "ma_flags;                        /*     0     4 */" in out


def test_config(run):
    _, out, _ = run("struct", "maple_tree", "--config", "lockdep", "--arch", "arm")
    assert "ma_flags;                        /*    36     4 */" in out
    code, out, _ = run("struct", "spinlock", "--config", "rt", "--json")
    assert (code, json.loads(out)["size"]) == (0, 32)


def test_versions(run):
    assert "/* size: 88, members: 15 */" in run("struct", "ma_state", "--kernel", "6.18.44")[1]
    out = run("struct", "maple_copy", "--kernel", "7.2")[1].splitlines()
    assert out[1:6] == [
        "        struct {",
        "                struct maple_node *     node;                    /*     0     8 */",
        "                unsigned long           max;                     /*     8     8 */",
        "                enum maple_type         mt;                      /*    16     4 */",
        "        } dst[3];                                                /*     0    72 */",
    ]


def test_check_agrees(run):
    code, out, err = run("struct", "maple_node", "--check", f"{PROOF}/maple-sparc64.o.xz")
    assert (code, out, err) == (0, "maple_node: equal, 256 bytes, 12 members\n", "")
    code, out, err = run("struct", "--check", f"{PROOF}/maple-hppa.o.xz")
    assert (code, out.count("equal"), err) == (0, 16, "")
    code, out, _ = run("struct", "--check", f"{PROOF}/maple-arm.btf", "--arch", "arm", "--json")
    told = json.loads(out)
    assert (code, told["equal"], len(told["structs"])) == (0, True, 16)


def test_check_differs(run):
    words = ("struct", "maple_tree", "--check", f"{PROOF}/maple-m68k.o.xz", "--kernel", "6.1")
    code, out, err = run(*words)
    assert code == 1
    assert out.splitlines() == [
        "maple_tree: differs",
        f"              m68k 6.1 (4-byte lock)       {PROOF}/maple-m68k.o.xz (DWARF)",
        "    ma_root   at 4, 4 bytes, void *        at 8, 4 bytes, void *",
        "    ma_flags  at 8, 4 bytes, unsigned int  at 4, 4 bytes, unsigned int",
    ]
    assert err == f"maple-layout: {PROOF}/maple-m68k.o.xz (DWARF) agrees with --kernel 6.12\n"
    code, out, _ = run(*words, "--json")
    assert code == 1
    assert json.loads(out)["structs"] == [
        {
            "name": "maple_tree",
            "equal": False,
            "missing": None,
            "differences": [
                {
                    "what": name,
                    "left": {"name": name, "offset": a, "size": 4, "type": kind, "bits": None},
                    "right": {"name": name, "offset": b, "size": 4, "type": kind, "bits": None},
                }
                for name, kind, a, b in (
                    ("ma_root", "void *", 4, 8),
                    ("ma_flags", "unsigned int", 8, 4),
                )
            ],
        }
    ]


def test_check_of_what_a_file_has_not(run):
    probe = f"{PROOF}/probe-x86_64-dwarf5.o.xz"
    code, out, _ = run("struct", "ma_state", "--check", probe)
    assert (code, out) == (1, f"ma_state: not in {probe} (DWARF)\n")
    code, out, _ = run("struct", "--check", probe)
    assert (code, out.count("not in")) == (1, 16)
    obj = f"{PROOF}/maple-arm.o.xz"
    code, out, err = run("struct", "--check", obj, "--config", "smp")
    assert (code, out.count("equal")) == (0, 16)
    assert err == f"maple-layout: not in {obj} (DWARF): raw_spinlock, spinlock\n"


def test_diff(run):
    code, out, err = run("struct", "maple_tree", "--diff", "@6.1")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "maple_tree: differs",
        "              x86_64 6.12 (4-byte lock)    x86_64 6.1 (4-byte lock)",
        "    size      16                           24",
        "    ma_flags  at 4, 4 bytes, unsigned int  at 16, 4 bytes, unsigned int",
    ]
    code, out, err = run("struct", "maple_node", "--diff", "s390x@6.1+up")
    assert (code, out) == (0, "maple_node: equal, 256 bytes, 12 members\n")
    assert "little and big endian machines store the same words differently" in err
    code, out, _ = run("struct", "maple_tree", "--diff", "+up", "--config", "debug-spinlock")
    assert (code, "at 24, 4 bytes" in out, "at 0, 4 bytes" in out) == (1, True, True)
    code, out, _ = run("struct", "--diff", "@7.2", "--json", "--config", "smp")
    told = {one["name"]: one["missing"] for one in json.loads(out)["structs"]}
    assert (told["maple_alloc"], told["maple_copy"], told["ma_state"]) == ("right", "left", None)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--check", "/nowhere"], "/nowhere: No such file or directory"),
        (["--check", str(LAYOUTS / "locks-6.12.json")], "neither BTF nor ELF: give /sys/kernel"),
        (["nothing", "--check", f"{PROOF}/maple-arm.btf"], "no struct 'nothing' in 6.12"),
        (["--diff", "vax"], "unknown architecture 'vax'"),
        (["--diff", "@4.4"], "kernel version '4.4' is not known"),
        (["--diff", "+nothing"], "no configuration 'nothing': choose among smp, up"),
        (["--diff", "@"], "--diff '@': give ARCH, @VERSION or +OPTIONS"),
        (["--diff", ""], "--diff '': give ARCH, @VERSION or +OPTIONS"),
        (["ma_state", "--config", "x"], "'x' is none of smp"),
        (["ma_state", "--config", "up", "--lock-size", "4"], "not allowed with argument"),
        (["--diff", "arm", "--check", "f"], "not allowed with argument"),
        (["--format", "ksy"], "struct needs the NAME of one: maple_metadata, "),
        (["maple_type", "--format", "ksy"], "enum maple_type has no layout of its own"),
        (["ma_state", "--format", "xml"], "'xml' is none of"),
        (["ma_state", "--diff", "arm", "--format", "c"], "--format is for layouts, not for"),
        (["ma_state", "--format", "c", "--json"], "--json is --format json: leave out one"),
        ([], "struct needs the NAME of one: maple_metadata, "),
        (["vm_area"], "no struct 'vm_area' in 6.12: "),
        (["store_type", "--kernel", "6.1"], "no struct 'store_type' in 6.1"),
        (["ma_state", "--kernel", "4.4"], "kernel version '4.4' is not known: choose one of 6.1, "),
        (["ma_state", "--arch", "vax"], "unknown architecture 'vax': choose one of aarch64, "),
    ],
)
def test_wrong_usage(run, words, text):
    code, out, err = run("struct", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert text in err
