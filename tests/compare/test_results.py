"""Lines of two kernels: the same results, whatever nodes they are in."""

import pytest

import arches
from layout.compare.kernels import compare_kernels
from layout.compare.results import Results
from layout.traces.source import TraceText
from layout.traces.trace import Operation

STORE = Operation(5, "store", (1, 2, 0x3001))
LOAD = Operation(6, "load", (1,))


def line(operation, **values):
    return {"n": operation.n, "op": operation.op, **values}


def results(arch="x86_64"):
    return Results(arches.get(arch))


def kernels(text, versions=("6.12", "7.3"), arch="s390x", **options):
    source = TraceText(text.encode(), "t")
    return compare_kernels(source, versions, arches.get(arch), **options)


def test_allocations_are_no_results():
    one = line(STORE, ret=0, ac=["n1"], fr=[], na=1, nf=0, root="100000000e", flags="4")
    other = line(STORE, ret=0, ac=["ns4"], fr=[2], na=4, nf=1, root="100000030e", flags="4")
    assert results().compare(STORE, one, other) is None


def test_the_first_field_that_differs_is_told():
    found = results().compare(LOAD, line(LOAD, entry="3001"), line(LOAD, entry="0"))
    assert (found.field, found.values, found.refused) == ("entry", ("3001", "0"), None)
    assert str(found) == "line 6 (load 1): entry is 3001 and 0"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("100000000e", "100000010e", True),  # leaves, each handed out
        ("100000000e", "1000000116", False),  # of another type
        ("100000000e", "100000020e", False),  # the other side has but two nodes
        ("3001", "100000000e", False),
    ],
)
def test_addresses_of_nodes_are_nodes(one, other, same):
    both = results()
    both.compare(STORE, line(STORE, ret=0, na=2), line(STORE, ret=0, na=2))
    found = both.compare(LOAD, line(LOAD, entry=one), line(LOAD, entry=other))
    assert (found is None) == same


def test_a_refusal_that_hits_one_side_is_told():
    both = results()
    one = line(STORE, ret=0, ac=["n1", "!nb3", "kb3"], na=4)
    other = line(STORE, ret=0, ac=["ns3"], na=3)
    assert both.compare(STORE, one, other) is None
    found = both.compare(LOAD, line(LOAD, entry="3001"), line(LOAD, entry="0"))
    assert found.refused == 5
    assert "since line 5 refused allocations hit the two otherwise" in str(found)


def test_a_fault_is_held_against_its_kind():
    fault = {"kind": "null", "address": "0", "message": "here"}
    other = {"kind": "null", "address": "8", "message": "there"}
    assert results().compare(LOAD, line(LOAD, fault=fault), line(LOAD, fault=other)) is None
    found = results().compare(LOAD, line(LOAD, fault=fault), line(LOAD, entry="0"))
    assert (found.field, found.values) == ("fault", ("null", "none"))


FILL = "init 0\n" + "".join(f"store {i:x} {i:x} {i * 2 + 1:x}\n" for i in range(0, 200, 2))


def test_kernels_agree_and_spend_otherwise():
    found = kernels(FILL, ("6.12", "7.2", "7.3"), costs=True)
    assert found.parting is None
    assert found.operations == 101
    assert found.costs["6.12"]["requested"] == found.nodes["6.12"] != found.nodes["7.3"]
    assert found.costs["6.12"]["bytes_written"] != found.costs["7.3"]["bytes_written"]


def test_what_mas_store_returns_changed():
    found = kernels(FILL + "mstore 16 81 3\nload 4\n")
    assert (found.equal, found.with_kernel, found.parting.field) == (False, "7.3", "entry")
    assert found.parting.operation.op == "mstore"


def test_what_only_one_kernel_has_is_a_difference():
    found = kernels("init 0\nbulk 5 5 0 2 2 1001\n")
    assert found.parting.values == ("done", "not in this kernel")
    assert kernels("init 0\nexpect_raw 5\nstore 1 2 3\n").parting is None


def test_refusals_that_hit_otherwise_are_no_difference():
    found = kernels(FILL + "fail 2 2\nstore 21 61 0\nfail -\nload 30\n")
    assert found.equal
    assert found.parting is None or found.parting.refused
