from layout.traces.shrink import numbered, shrink
from layout.traces.trace import parse


def operations(*lines):
    return list(parse(lines, 2**64 - 1))


def test_only_what_is_needed_stays():
    trace = operations("init 0", *(f"store {i:x} {i:x} 3001" for i in range(40)), "load 5")
    asked = []

    def still(candidate):
        asked.append(candidate)
        texts = [str(operation) for operation in candidate]
        return "store 7 7 3001" in texts and "store 1f 1f 3001" in texts

    kept = shrink(trace, still, seconds=60)
    assert [str(operation) for operation in kept] == [
        "store 7 7 3001",
        "store 1f 1f 3001",
        "load 5",
    ]
    assert [operation.n for operation in kept] == [1, 2, 3]
    assert all(
        [o.n for o in candidate] == list(range(1, len(candidate) + 1)) for candidate in asked
    )


def test_a_cursor_keeps_its_cset():
    trace = operations("cset 5", "store 1 2 3001", "cnext ff", "load 1")
    kept = shrink(trace, lambda candidate: any(o.op == "cnext" for o in candidate), seconds=60)
    assert [str(operation) for operation in kept] == ["cset 5", "cnext ff", "load 1"]


def test_without_time_nothing_is_tried():
    trace = operations("init 0", "load 5")
    assert shrink(trace, lambda _: True, seconds=0) == numbered(trace)
