"""The examples of the reference: one for every operation, and each does what it is about."""

import json

from layout.traces import reference
from layout.traces.examples import EXAMPLES
from layout.traces.operations import OPERATIONS


def test_every_operation_has_an_example_that_ends_with_it_or_shows_it():
    assert set(EXAMPLES) == set(OPERATIONS)
    shown_by = {"fail": "store", "failnw": "storenw"}
    for name, text in EXAMPLES.items():
        assert text.splitlines()[-1].split()[0] == shown_by.get(name, name)
        assert any(line.split()[0] == name for line in text.splitlines())


def test_results_are_those_of_the_kernels_operations():
    found = {name: json.loads(reference.result(name)) for name in EXAMPLES}
    for name, line in found.items():
        assert set(line) <= {*OPERATIONS[line["op"]].keys}, name
        assert "fault" not in line, name
        assert "error" not in line, name
    assert found["load"]["entry"] == found["erase"]["entry"] == "1001"
    assert found["insert"]["ret"] == -17
    assert (found["fail"]["ret"], found["fail"]["ac"][0][0]) == (-12, "!")
    assert (found["failnw"]["ret"], found["failnw"]["ac"]) == (0, ["!n1", "n1"]), "tried again"
    assert (found["alloc_range"]["start"], found["alloc_rrange"]["start"]) == ("0", "f8")
    assert found["alloc_cyclic"]["start"] == "40"
    assert found["iter"]["ranges"] == [["10", "1f", "1001"], ["30", "3f", "2001"]]
    assert found["poke"]["was"] == "0f"
