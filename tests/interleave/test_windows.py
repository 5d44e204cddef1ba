"""Readers beside several lines together: which lines, what is freed meanwhile, what only they show."""

import pytest
from interleave.cases import TOGETHER, operations

import arches
from layout.interleave.programs import named
from layout.interleave.search import Search, Setting
from layout.interleave.stores import FREED, HANDED_OUT, Writer
from layout.traces.trace import parse
from layout.tree.kernel import Kernel
from layout.tree.state import WR_NODE_STORE, WR_SLOT_STORE


def together(name, more=1, arch="s390x", reader="", **options):
    """The result for a line of the cases and ``more`` lines behind it."""
    machine = arches.get(arch)
    wanted = operations(name, machine, more=more)
    readers = (named(reader, machine.ulong_max),) if reader else ()
    setting = Setting(
        machine,
        only=wanted[-1 - more].n,
        beside=more + 1,
        **{"readers": 1, "wanted": readers, **options},
    )
    [result] = [each for each in Search(setting).lines(wanted) if each is not None]
    assert len(result.writing.operations) == more + 1
    return result


SILENT = ("leaf replaced", "exact fit", "leaf split", "rebalance", "erased")


@pytest.mark.parametrize(
    ("version", "arch", "more", "names"),
    [
        ("6.12", "s390x", 1, ("exact fit", "leaf split")),
        ("7.3", "powerpc64", 1, ("leaf replaced", "erased")),
        ("7.3", "x86_64", 2, ("exact fit",)),
    ],
)
def test_every_answer_is_of_a_tree_that_there_was(version, arch, more, names):
    for name in names:
        result = together(name, more, arch, version=version, order="tso")
        assert result.wrong == [], name
        assert result.cut == 0
        assert result.executions > 2 * result.readers or name == "erased"


@pytest.mark.slow
@pytest.mark.parametrize("version", ["6.12", "7.3"])
@pytest.mark.parametrize("arch", ["s390x", "aarch64", "arm"])
def test_every_answer_on_more_machines(arch, version):
    for name in SILENT:
        for more in (1, 2):
            result = together(name, more, arch, version=version, bound=500)
            assert result.wrong == [], (name, more)


@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_a_slot_is_loaded_behind_a_border_that_has_moved_since(version):
    """Pivot and slot of a leaf that is changed in place are of two trees; one line shows nothing."""
    options = {"version": version, "reader": "load 3000"}
    assert together("border moved", 0, **options).wrong == []
    assert together("border moved", 1, **options).wrong == []  # the border moves twice
    [wrong] = together("border moved", 2, **options).wrong
    assert wrong.what == (
        "mtree_load(3000) = 79001, but 3000 held 4001 before, then 99001, and holds 89001 after"
    )


@pytest.mark.parametrize("version", ["6.12", "7.3"])
@pytest.mark.parametrize(
    ("name", "reader", "what"),
    [
        ("border moved up", "prev 3c00", "mas_prev(0) = 99001 over 3a00-2fff"),
        ("border moved down", "next 13ff", "mas_next(ffffffffffffffff) = 99001 over 2000-17ff"),
        ("border moved up", "prev_range 3c00", "mas_prev_range(0) = 99001 over 3a00-2fff"),
        (
            "border moved down",
            "next_range 13ff",
            "mas_next_range(ffffffffffffffff) = 99001 over 2000-17ff",
        ),
    ],
)
def test_a_step_between_borders_that_moved_is_upside_down(version, name, reader, what):
    assert together(name, 0, version=version, reader=reader).wrong == []
    wrong = together(name, 1, version=version, reader=reader).wrong
    assert {each.what for each in wrong} == {f"{what}: the range is upside down"}


class StillBorders(Kernel):
    """The change of docs/found.md: in RCU mode no border moves in a node of the tree."""

    def seam_store_type_in_leaf(self, wr):
        """The way to store; a new node where the border would move."""
        found = super().seam_store_type_in_leaf(wr)
        moves = found == WR_SLOT_STORE and self.mt_in_rcu(wr.mas.tree)
        return WR_NODE_STORE if moves else found


@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_borders_that_stay_show_nothing_wrong(version):
    cases = (
        ("border moved", 0, "load 3000", "weak"),
        ("border moved", 2, "load 3000", "tso"),
        ("border moved up", 1, "prev 3c00", "tso"),
        ("border moved down", 1, "next 13ff", "tso"),
    )
    for name, more, reader, order in cases:
        for kernels in ((), (StillBorders,)):
            options = {"version": version, "reader": reader, "order": order, "kernels": kernels}
            assert bool(together(name, more, **options).wrong) == (not kernels), name


def windows(lines, beside, **options):
    """Which lines were together."""
    machine = arches.get("x86_64")
    reader = named("load 0", machine.ulong_max)
    setting = Setting(machine, beside=beside, readers=1, wanted=(reader,), **options)
    results = Search(setting).lines(list(parse(lines, machine.ulong_max)))
    return [each.writing.lines for each in results if each is not None]


def test_which_lines_are_together():
    stores = [f"store {i} {i} {i + 1}001" for i in range(5)]
    assert windows(["init 2", *stores], 1) == ["2", "3", "4", "5", "6"]
    assert windows(["init 2", *stores], 2) == ["2-3", "3-4", "4-5", "5-6"]
    assert windows(["init 2", *stores], 3) == ["2-4", "3-5", "4-6"]
    assert windows(["init 2", *stores], 8) == ["2-6"]
    assert windows(["init 2", *stores], 2, only=4) == ["4-5"]
    assert windows(["init 2", *stores], 2, only=6) == ["6"]
    # reads, and a line that changes nothing, are no lines of these
    read = ["init 2", stores[0], "load 0", "insert 0 0 9001", stores[1], stores[2]]
    assert windows(read, 2) == ["2-5", "5-6"]
    # another tree, readers of the trace's own and other changes end them
    for other in (["sel 1", "init 2", "sel 0"], ["rcu_lock", "rcu_unlock"], ["rcu off", "rcu on"]):
        lines = ["init 2", *stores[:3], *other, *stores[3:]]
        assert windows(lines, 2) == ["2-3", "3-4", f"{5 + len(other)}-{6 + len(other)}"]
        assert windows(lines, 4) == ["2-4", f"{5 + len(other)}-{6 + len(other)}"]


def test_results_are_those_of_one_line_where_one_is_asked_for():
    machine = arches.get("s390x")
    wanted = operations("leaf replaced", machine)
    *_, alone = Search(Setting(machine, only=wanted[-1].n, readers=1)).lines(wanted)
    *_, last = Search(Setting(machine, only=wanted[-1].n, readers=1, beside=2)).lines(wanted)
    assert alone.writing.lines == last.writing.lines == "10"
    assert (alone.executions, alone.wrong) == (last.executions, last.wrong)


def recorded(name, version):
    """The last line of a case and two more, as their stores."""
    wanted = operations(name, arches.get("s390x"), more=2)
    writer = Writer(arches.get("s390x"), (), version, reuse=True)
    for operation in wanted[:-3]:
        writer.run(operation)
    writing = writer.open()
    for operation in wanted[-3:]:
        writer.add(writing, operation)
    writer.close()
    return writing


@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_what_was_published_is_not_handed_out_again_meanwhile(version):
    """What was never published is: the slab takes the node that was freed last."""
    again = 0
    for name in TOGETHER:
        writing = recorded(name, version)
        last, retired = {}, set()
        for number, store in enumerate(writing.stores):
            node = store.address & -0x100
            if store.function == "mte_set_node_dead":
                retired.add(node)
            elif store.field in (FREED, HANDED_OUT):
                assert node not in retired, (name, number)
                assert store.field == FREED or last[node] == FREED
                last[node] = store.field
                again += store.field == HANDED_OUT
        assert retired.isdisjoint(node for node, field in last.items() if field == FREED)
    assert again >= 5
    result = together("rebalance", 2, version="6.12", reader="load 0")
    assert any(store.field == HANDED_OUT for store in result.writing.stores)


class NoGrace(Kernel):
    """A writer who hands out what it retired without a grace period: not before its next line."""

    def call_rcu(self, node, func):
        """Keep the node for whoever asks next."""
        self.mem.rcu_enqueue(node, func)
        self.cache._free_list.append(node)


@pytest.mark.parametrize("order", ["tso", "weak"])
@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_reuse_without_a_grace_period_is_found_by_two_lines_only(version, order):
    options = {"version": version, "order": order, "reader": "next 0", "kernels": (NoGrace,)}
    assert together("leaf replaced", 0, **options).wrong == []
    assert together("leaf replaced", 1, **options).wrong
    assert together("leaf replaced", 1, **{**options, "kernels": ()}).wrong == []


def test_callbacks_that_run_too_early_are_found(monkeypatch):
    """A read section that holds nothing up: nodes are freed before the readers have ended."""
    plain = together("exact fit", reader="next 2000")
    assert plain.wrong == []
    monkeypatch.setattr("layout.machine.machine.Machine.held_up", lambda _: False)
    wrong = together("exact fit", reader="next 2000").wrong
    assert any(each.what.startswith("freed node: ") for each in wrong)


class Once(Kernel):
    """A reader who looks for dead nodes until the first one that it meets."""

    def ma_dead_node(self, node):
        """Whether a node has been replaced, if the reader was never sent back."""
        found = super().ma_dead_node(node)
        return found and getattr(self.mem, "_restarted_at", -1) < 0


def test_a_reader_who_expects_one_change_is_found_by_two_lines_only():
    options = {"version": "7.3", "reader": "next 0", "kernels": (Once,)}
    assert together("leaf replaced", 0, **options).wrong == []
    wrong = together("leaf replaced", 1, **options).wrong
    assert any("over 1-" in each.what or "upside down" in each.what for each in wrong)


def test_a_later_reader_sees_no_older_tree(monkeypatch):
    """Without the view of those before it one sees the first tree behind the second."""
    options = {"readers": 2, "reader": "load 2000", "bound": 50}
    assert together("exact fit", **options).wrong == []
    run = Search._run

    def unordered(self, tree, reader, state, schedule):
        return run(self, tree, reader, state._replace(view=0), schedule)

    monkeypatch.setattr(Search, "_run", unordered)
    wrong = together("exact fit", **options).wrong
    assert any("but an earlier reader saw" in each.what for each in wrong)


def test_lines_under_one_lock_are_not_ordered_by_it():
    writing = recorded("exact fit", "6.12")
    assert writing.line_of(0) == writing.first
    [*_, second] = writing.starts
    apart = writing.before_each("weak", frozenset())
    assert apart[second] == (1 << second + 1) - 1
    assert writing.before_each("weak", frozenset(), one_lock=True)[second] != apart[second]


def test_states_between_are_those_of_the_trace():
    """Each state that readers may see is the tree that the plain machine has there."""
    machine = arches.get("s390x")
    wanted = operations("span", machine, more=2)
    search = Search(Setting(machine, only=wanted[-3].n, beside=3))
    [window] = search.windows.windows
    for operation in wanted[:-3]:
        window.writer.run(operation)
    writing = window.writer.open()
    expected = []
    for operation in wanted[-3:]:
        expected.append(_ranges(window.writer))
        window.writer.add(writing, operation)
    expected.append(_ranges(window.writer))
    states = search.start(writing)
    found = [[each for each in state.ranges if each.entry] for state in states]
    assert found == expected
    assert len({tuple(map(tuple, each)) for each in expected}) == 4


def _ranges(writer):
    kernel = writer.machine.kernel
    mas = kernel.new_state(writer.runner.tree, 0)
    found = []
    while entry := kernel.mas_find(mas, kernel.ulong_max):
        found.append((mas.index, mas.last, entry))
    return found
