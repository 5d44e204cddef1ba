"""A planted bug is found, shrinks to a few lines, and its trace replays."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import run_state_machine_as_test

import arches
from layout.cli.main import main
from layout.machine.equip import in_front
from layout.machine.machine import Machine
from layout.testing.checked import Trace, WrongResultError, check
from layout.testing.statemachine import MapleTreeMachine
from layout.testing.strategies import traces
from layout.tree.kernel import Kernel
from layout.tree.versions import kernel_of

QUICK = settings(
    max_examples=60,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


class Cuts(Kernel):
    """Takes the last slot of a full leaf for metadata."""

    def ma_data_end(self, node, mt, limit):
        return min(super().ma_data_end(node, mt, limit), 14)


def planted():
    return Machine(arches.get("s390x"), kernel=Cuts)


class WithBug(MapleTreeMachine):
    arch = "s390x"

    def make_machine(self):
        return planted()


def replay(text, tmp_path, capsys):
    """It fails again with the bug, not without; and the command runs it."""
    trace = Trace(text, "s390x")
    with pytest.raises(WrongResultError):
        check(trace, planted())
    check(trace)
    path = tmp_path / "found.trace"
    path.write_text(text)
    assert main(["run", str(path), "--arch", "s390x"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(trace.operations())
    return trace.operations()


def test_a_bug_shrinks_to_a_few_lines(tmp_path, capsys):
    with pytest.raises(WrongResultError) as caught:
        run_state_machine_as_test(WithBug, settings=QUICK)
    notes = "\n".join(caught.value.__notes__)
    steps, text = notes.split("As a trace, for maple-layout run - --arch s390x:\n")
    operations = replay(text.split("\n\n")[0] + "\n", tmp_path, capsys)
    # sixteen slots are in use after eight ranges that do not touch: one fill, or one bulk load
    assert len([line for line in steps.splitlines() if "(" in line]) <= 6
    assert operations[0].op == "init"
    assert len(operations) <= 9


@pytest.mark.long
def test_a_bug_shrinks_in_traces_too(tmp_path, capsys):
    @QUICK
    @given(traces("s390x", only=("fill", "read")))
    def against_the_model(trace):
        check(trace, planted(), every=4)

    with pytest.raises(WrongResultError) as caught:
        against_the_model()
    text = "\n".join(caught.value.__notes__).split('Trace("""\n')[1].split('"""')[0]
    operations = replay(text, tmp_path, capsys)
    assert operations[0].op == "init"
    assert 8 <= len(operations) - 1 <= 17


def test_what_it_does_can_be_read_as_a_trace():
    machine = MapleTreeMachine()
    machine.store(first=0x10, size=0x10, entry=0x3001)
    machine.store_with_little_memory(first=0x14, size=2, entry=5, limit=(0, 1))
    machine.continue_with_a_copy()
    machine.move_a_cursor(at=0, moves=[("cnext", None), ("cprev", 3)])
    machine.trees_are_what_they_should_be()
    assert machine.trace().text.splitlines() == [
        "init 0",
        "store 10 1f 3001",
        "fail 0 1",
        "storenw 14 15 5",
        "fail -",
        "dup 1",
        "destroy",
        "sel 1",
        "cset 0",
        "cnext ffffffffffffffff",
        "cprev 3",
    ]
    assert machine.near(0, 1) == 0x15 + 1


@pytest.mark.parametrize("version", ["7.3"])
def test_later_kernels_pass(version):
    class Later(MapleTreeMachine):
        arch = "s390x"
        kernel = version
        alloc_range = True

    run_state_machine_as_test(Later, settings=settings(QUICK, max_examples=3))


def test_a_bug_in_a_later_kernel_is_told_with_its_version():
    class Cut73(MapleTreeMachine):
        def make_machine(self):
            return Machine(arches.get("s390x"), kernel=in_front(kernel_of("7.3"), [Cuts]))

    once = settings(QUICK, phases=[Phase.generate])
    with pytest.raises(WrongResultError) as caught:
        run_state_machine_as_test(Cut73, settings=once)
    assert "--kernel 7.3:" in "\n".join(caught.value.__notes__)
