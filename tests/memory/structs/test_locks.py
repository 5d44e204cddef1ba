"""Configurations against what compilers make of the kernel's own lock headers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import arches
from layout.memory import structs
from layout.memory.errors import UsageError
from layout.memory.structs.locks import Config, parse_config

LOCKS = json.loads(
    (Path(__file__).parents[3] / "fixtures" / "layouts" / "locks-6.12.json").read_text()
)
CASES = [(arch, config) for arch, configs in LOCKS.items() for config in configs]


def test_every_machine_and_option_is_compared():
    assert set(LOCKS) == set(arches.names())
    assert set(structs.OPTIONS) <= set(LOCKS["hppa"])
    assert "smp" not in LOCKS["m68k"]


@pytest.mark.parametrize(("arch", "config"), CASES)
def test_trees_lie_as_compilers_lay_them_out(arch, config):
    tree = structs.profile(arches.get(arch), config=config).layout("maple_tree")
    places = {name: tree.offset(name) for name in ("ma_flags", "ma_root")}
    assert {**places, "size": tree.size} == LOCKS[arch][config]


def test_the_lock_is_as_long_as_its_struct():
    profile = structs.profile(arches.get("hppa"), config="lockdep")
    assert profile.lock_size == profile.layout("spinlock").size == 48
    assert profile.layout("spinlock").member("__padding").type == "u8 [28]"
    assert profile.layout("raw_spinlock").offset("dep_map") == 28


def test_an_external_lock_is_a_pointer_only_with_lockdep():
    def external(version, config):
        tree = structs.profile(arches.get("arm"), version, config=config).layout("maple_tree")
        return {m.name: (m.size, m.type) for m in tree.members}.get("ma_external_lock")

    assert external("6.12", "smp") == (0, "lockdep_map_p")
    assert external("6.12", "lockdep") == (4, "lockdep_map_p")
    assert external("6.18", "smp") is None
    assert external("6.18", "lockdep") == (4, "struct lockdep_map *")


def test_options_imply_others():
    assert parse_config("lock-stat", arches.get("arm")) == Config(
        debug=True, lockdep=True, lock_stat=True
    )
    assert parse_config("up, debug-spinlock", arches.get("arm")) == Config(smp=False, debug=True)
    assert parse_config("lockdep", arches.get("m68k")).smp is False


@pytest.mark.parametrize(
    ("text", "arch", "why"),
    [
        ("smp,up", "arm", r"one processor \(up\) or for several \(smp\)"),
        ("smp", "m68k", "m68k has no SMP kernels"),
        ("preempt", "arm", "no configuration 'preempt': choose among smp, up, debug-spinlock"),
        ("", "arm", "no configuration ''"),
    ],
)
def test_options_that_do_not_exist(text, arch, why):
    with pytest.raises(UsageError, match=why):
        structs.profile(arches.get(arch), config=text)
