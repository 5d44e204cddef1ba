"""What --until says, and the shortest trace."""

import pytest

import arches
from layout import defects
from layout.bisect.conditions import Setting
from layout.bisect.forms import FORMS
from layout.bisect.search import condition, shortest
from layout.memory.errors import UsageError
from layout.traces.trace import parse

S390X = Setting(arches.get("s390x"), defects.operations(["R1"]))


def no_build():
    raise AssertionError


def lines(text):
    return list(parse(text.splitlines(), 2**64 - 1))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("invalid", "Invalid"),
        (" report ", "Reported"),
        ("report metadata read as slot", "Reported"),
        ("fault", "Faulted"),
        ("entry 1000", "Entry"),
        ("entry 0x1000=2A0001", "Entry"),
        ("byte 1000000100+248 = 0e", "Byte"),
        ("byte 1000000108=0", "Byte"),
        ("machines x86_64, s390x", "MachinesDiffer"),
    ],
)
def test_conditions(text, name):
    assert type(condition(text, S390X, no_build)).__name__ == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "inval",
        "entry",
        "entry x",
        "entry 1 = ",
        "byte 5",
        "byte 5+x = 1",
        "byte 5 = 123",
        "invalid 3",
        "machines",
    ],
)
def test_what_is_no_condition(text):
    with pytest.raises(UsageError, match=r"is no condition: give one of invalid, report"):
        condition(text, S390X, no_build)


def test_numbers_have_to_fit_into_the_machine():
    with pytest.raises(UsageError, match="does not fit into 32 bits"):
        condition("entry 100000000", Setting(arches.get("i386")), no_build)


def test_every_form_has_a_name_that_is_understood():
    assert {form.split()[0] for form in FORMS} == {
        *("invalid", "report", "fault", "entry", "byte", "machines", "kernel")
    }


def test_the_shortest_trace_shows_the_same_at_its_end():
    noise = "".join(f"load {i:x}\nsel 1\nstore {i:x} {i:x} 9001\nsel 0\n" for i in range(6))
    trace = defects.get("R1").trace.replace("cset", f"{noise}cset") + f"\n{noise}"
    wanted = condition("machines x86_64,s390x", S390X, no_build)
    found = wanted.first(lines(trace))
    kept = shortest(wanted, lines(trace), found, seconds=60)
    expected = [line for line in defects.get("R1").trace.splitlines() if line != "init 0"]
    assert [str(each) for each in kept] == expected
    again = wanted.first(kept)
    assert (again.operation, again.kind) == (kept[-1], found.kind)
