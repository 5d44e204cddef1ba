"""The table of barriers is that of the kernel's source."""

import re

import pytest

from layout.ckernel.source import open_source
from layout.interleave.barriers import BARRIERS, KINDS, UNPUBLISHED, barriers_of, order_of, without
from layout.memory.errors import MapleLayoutError, UsageError

WORDS = {
    "rcu_assign_pointer": "rcu_assign_pointer",
    "smp_wmb": "smp_wmb",
    "smp_rmb": "smp_rmb",
    "rcu_dereference_check": "rcu_dereference",
    "rcu_dereference": "rcu_dereference",
}
WHAT = {"mt_dump": "dereference"}


def barriers_in(code):
    """The functions of C code that have barriers, with their kinds."""
    code = re.sub(r"/\*.*?\*/", lambda text: "\n" * text[0].count("\n"), code, flags=re.DOTALL)
    found, function, last = set(), "", ""
    for line in code.splitlines():
        if line.startswith("{"):
            function = last
        if line[:1].isalpha() or line.startswith("_"):
            name = re.findall(r"(\w+)\(", line)
            last = name[0] if name else ""
        for word, kind in WORDS.items():
            if re.search(rf"\b{word}\(", line):
                found.add((function, kind))
    return found


@pytest.mark.kernel
@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_each_barrier_of_the_source_is_named(version):
    try:
        code = open_source(deb=f"linux-source-{version}").code.read_text()
    except MapleLayoutError as error:
        pytest.skip(str(error))
    ours = {(each.function, each.kind) for each in barriers_of(version)}
    assert barriers_in(code) == ours | {
        (name, f"rcu_{WHAT.get(name, 'assign_pointer')}")
        for name in UNPUBLISHED
        if f"{name}(" in code
    }


def test_names_and_kinds():
    assert without(["smp_rmb"]) == {"ma_dead_node", "mte_dead_node"}
    assert without(["mas_root", "mt_slot"]) == without(["rcu_dereference"])
    assert {each.kind for each in BARRIERS.values()} == set(KINDS)
    with pytest.raises(UsageError, match="no barrier 'smp_mb': choose one of mas_put_in_tree"):
        without(["smp_mb"])
    assert [order_of(arch) for arch in ("x86_64", "s390x", "sparc64")] == ["tso"] * 3
    assert [order_of(arch) for arch in ("aarch64", "powerpc64", "arm", "riscv64")] == ["weak"] * 4
