"""Readers beside writes: what correct code shows, and what it does not."""

import pytest
from interleave.cases import operations

import arches
from layout import defects
from layout.interleave.programs import named
from layout.interleave.search import Search, Setting
from layout.interleave.story import _store
from layout.traces.trace import Operation, parse

SILENT = ("single entry", "leaf replaced", "exact fit", "leaf split", "rebalance", "erased")
QUICK = {"x86_64": SILENT, "s390x": SILENT[:2], "sparc64": SILENT[2:3], "arm": SILENT[1:2]}


def last_line(name, arch="x86_64", flags=2, **options):
    machine = arches.get(arch)
    wanted = operations(name, machine, flags)
    search = Search(Setting(machine, only=wanted[-1].n, **options))
    *_, result = search.lines(wanted)
    return result


@pytest.mark.parametrize("version", ["6.12", "7.3"])
@pytest.mark.parametrize("arch", QUICK)
def test_every_answer_is_of_the_old_or_the_new_tree(arch, version):
    for name in QUICK[arch]:
        result = last_line(name, arch, version=version, readers=1)
        assert result.wrong == [], name
        assert result.executions > result.readers or name == "single entry"
        assert result.cut == 0


@pytest.mark.slow
@pytest.mark.parametrize("version", ["6.12", "7.3"])
@pytest.mark.parametrize("arch", arches.names())
def test_every_answer_on_every_machine(arch, version):
    for name in SILENT:
        for flags in (2, 3):
            assert last_line(name, arch, flags, version=version, readers=3).wrong == [], name


def test_three_readers_and_gaps():
    result = last_line("leaf replaced", "aarch64", flags=3, readers=3)
    assert result.wrong == []
    assert (
        result.executions > 5 * last_line("leaf replaced", "aarch64", flags=3, readers=1).executions
    )


@pytest.mark.parametrize("version", ["6.12", "7.3"])
@pytest.mark.parametrize("arch", ["s390x", "arm"])
def test_a_moved_border_needs_the_order_of_stores(arch, version):
    """mas_wr_slot_store(): nothing orders the pivot behind the slot."""
    assert last_line("border moved", arch, version=version, order="tso").wrong == []
    wrong = last_line("border moved", arch, version=version, order="weak").wrong
    reader = next(each for each in wrong if each.reader == "walk 2000")
    assert reader.what.endswith("but 3000-37ff held 4001 before and holds 99001 after")
    assert [(load.name, load.visible, load.hidden) for load in reader.loads] == [
        ("pivot[2]", (2,), ()),
        ("slot[2]", (), (1,)),
    ]


@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_a_reverse_search_returns_the_first_node(version):
    wrong = last_line("first node", "s390x", version=version).wrong
    assert any("mas_find_rev" in each.what and "100000000e" in each.what for each in wrong)


@pytest.mark.parametrize("name", ["emptied", "destroyed"])
@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_a_reader_in_a_tree_that_becomes_empty_follows_null(name, version):
    found = {each.what.partition(":")[0] for each in last_line(name, version=version).wrong}
    assert found == {"null"}


def test_parents_are_wrong_until_they_are_mended():
    """6.12 puts a subtree in place before its parent words are right."""
    wrong = last_line("span", version="6.12", readers=1, enough=1).wrong
    assert {each.what for each in wrong} == {
        "WARN: mas_prev_slot: the node before is beyond the limit"
    }
    assert last_line("span", version="7.3", readers=1).wrong == []


def test_a_search_passes_over_an_entry_that_was_always_there():
    lines = ["init 2", "store 1000 1fff 1001", "store 3000 3fff 3001", "store 0 1fff 99001"]
    machine = arches.get("x86_64")
    wanted = list(parse(lines, machine.ulong_max))
    reader = named("find 0 4000", machine.ulong_max)
    *_, result = Search(Setting(machine, only=4, wanted=(reader,))).lines(wanted)
    assert {each.what for each in result.wrong} == {
        "mas_find(4000) = 3001 over 3000-3fff passes over 1000-1fff, "
        "but 1000-1fff held 1001 before and holds 99001 after"
    }


def test_ranges_hold_what_a_tree_held():
    """Steps over all ranges tell what is empty; a range of both trees is told apart."""
    lines = ["init 2", *(f"store {i}000 {i}7ff {i}001" for i in range(1, 6)), "store 3400 47ff 0"]
    machine = arches.get("s390x")
    wanted = list(parse(lines, machine.ulong_max))
    readers = (named("next_range 2000", machine.ulong_max), named("prev_range 5000", 2**64 - 1))
    *_, result = Search(Setting(machine, only=7, wanted=readers, readers=1)).lines(wanted)
    assert result.wrong == []
    assert result.executions > len(readers)


@pytest.mark.parametrize("arch", ["x86_64", "s390x", "sparc64"])
def test_a_reader_without_the_test_for_dead_nodes_is_found(arch):
    reader = named("next 0", 2**64 - 1)
    kernels = tuple(defects.operations(["D7"]))
    options = {"arch": arch, "readers": 1, "wanted": (reader,)}
    wrong = last_line("leaf replaced", kernels=kernels, **options).wrong
    assert any("over 1-" in each.what and "but 1-fff held 1001 all" in each.what for each in wrong)
    assert last_line("leaf replaced", **options).wrong == []


@pytest.mark.parametrize("arch", ["x86_64", "s390x"])
def test_an_append_under_readers_is_found(arch):
    """A reader in the leaf never sees the entry that came after its last one."""
    machine = arches.get(arch)
    lines = operations("leaf replaced", machine)[:-1]
    number = len(lines) + 1
    lines.append(Operation(number, "store", (0x100000, machine.ulong_max, 0x99001)))
    found = {}
    for name in ("plain", "D6"):
        kernels = tuple(defects.operations([name])) if name != "plain" else ()
        setting = Setting(machine, kernels, only=number, fresh=True, readers=1)
        *_, result = Search(setting).lines(lines)
        found[name] = [each.what for each in result.wrong]
    assert found["plain"] == []
    assert any(what.endswith("99001 since before it began") for what in found["D6"])


BARRIERS = {
    "mas_put_in_tree": ("leaf replaced", "walk 2400"),
    "mte_set_node_dead": ("leaf replaced", "next 0"),
    "ma_dead_node": ("leaf replaced", "next 0"),
    "mas_root_expand": ("first node", "load 1000"),
    "mas_wr_store_entry": ("exact fit", "load 2000"),
    "mas_new_root": ("root replaced", "load 2000"),
    "mas_store_root": ("single entry", "load 0"),
    "mas_root": ("single entry", "load 0"),
}


@pytest.mark.parametrize("barrier", BARRIERS)
def test_a_barrier_is_needed_where_stores_are_not_in_order(barrier):
    name, words = BARRIERS[barrier]

    def wrong(**options):
        reader = named(words, 2**64 - 1)
        return last_line(name, readers=1, enough=1, wanted=(reader,), **options).wrong

    assert wrong(arch="aarch64") == []
    assert wrong(arch="aarch64", without=frozenset({barrier}))
    assert wrong(arch="s390x", without=frozenset({barrier})) == []


def test_dependencies_are_kept_by_the_test_for_dead_nodes():
    """rcu_dereference() orders what the smp_rmb() behind it orders too."""
    for out in ({"mas_root", "mt_slot"}, {"mte_dead_node"}):
        assert last_line("leaf split", "aarch64", readers=1, without=frozenset(out)).wrong == []
    both = frozenset({"mas_root", "mt_slot", "mte_dead_node", "ma_dead_node"})
    assert last_line("leaf split", "aarch64", readers=1, without=both, enough=1).wrong


def results(lines, **options):
    machine = arches.get("x86_64")
    wanted = list(parse(lines, machine.ulong_max))
    return list(Search(Setting(machine, **options)).lines(wanted))


def test_which_lines_are_looked_at():
    lines = ["init 0", "store 0 5 1001", "rcu off", "store 3 9 3001"]
    assert results(lines, readers=1) == [None] * 4
    found = results(lines, readers=1, rcu=True)
    assert [each is not None for each in found] == [False, True, False, True]
    lines = ["init 2", "store 0 5 1001", "rcu_lock", "store 3 9 3001", "rcu_unlock", "load 3"]
    found = results(lines, readers=1)
    assert [each is not None for each in found] == [False, True, False, False, False, False]
    found = results([*lines, "store 5 6 0"], readers=1, only=7)
    assert [each is not None for each in found] == [*[False] * 6, True]


def test_a_search_ends_at_its_bound_and_says_so():
    found = last_line("exact fit", readers=1)
    bound = last_line("exact fit", readers=1, bound=1)
    assert (found.cut, bound.executions) == (0, bound.readers)
    assert 0 < bound.cut < bound.readers  # the others have no choice


def test_a_story_names_the_barriers():
    wanted = operations("leaf replaced", arches.get("aarch64"))
    *_, result = Search(Setting(arches.get("aarch64"), only=wanted[-1].n)).lines(wanted)
    told = [
        " ".join(_store(result.writing, n, "little")) for n in range(len(result.writing.stores))
    ]
    assert [text for text in told if "smp_store_release" in text or "rcu_assign" in text]
    [behind] = [text for text in told if "after the" in text]
    assert behind.endswith("after the smp_wmb of mte_set_node_dead")
