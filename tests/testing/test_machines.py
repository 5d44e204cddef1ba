import pytest

import arches
from layout.memory.errors import UsageError
from layout.testing.machines import DEFAULT, find, select


def test_groups_and_aliases():
    assert select("all") == arches.names()
    assert select("be") == ("hppa", "m68k", "mips", "powerpc64", "s390x", "sparc64")
    assert select("32bit") == ("arm", "hppa", "i386", "m68k", "mips")
    assert set(select("be,le")) == set(select("32bit", "64bit")) == set(arches.names())
    assert select("S390X, parisc,s390x") == ("s390x", "hppa")
    assert select(*DEFAULT) == DEFAULT


@pytest.mark.parametrize("text", ["vax", "s390x,,x86_64", ""])
def test_unknown_names_are_told_with_those_that_exist(text):
    with pytest.raises(UsageError, match=r"no machine and no group is called '.*be, le,.*s390x"):
        select(text)


def test_a_name_of_several_machines():
    with pytest.raises(UsageError, match="'x86' may be x86_64 or i386: give one of these names"):
        select("s390x,x86")


def test_a_machine_or_its_name():
    assert find("amd64") is find(arches.get("x86_64")) is arches.get("x86_64")
