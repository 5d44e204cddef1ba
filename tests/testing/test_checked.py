import lzma
from pathlib import Path

import pytest

import arches
from layout.machine.machine import Machine
from layout.memory.errors import UsageError
from layout.testing.checked import Trace, WrongResultError, check
from layout.testing.machines import DEFAULT
from layout.tree.kernel import Kernel

FIXTURES = Path(__file__).parents[2] / "fixtures"
GOLDEN = ("03-descending-alloc", "06b-null-erase-short", "08b-alloc-tree-short", "08c-alloc-tree-rcu",
          "09b-rcu-short", "10b-insert-collisions-alloc", "11b-prealloc-alloc-rcu",
          "12-dup-and-destroy", "15b-fault-injection-alloc-rcu")  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_the_model_agrees_with_what_the_kernel_does(name):
    """These traces have transcripts of the kernel's own code, which the runner gives."""
    [path] = (FIXTURES / "golden").glob(f"{name}.trace*")
    data = path.read_bytes()
    text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode()
    trace = Trace(text, "s390x")
    assert len(check(trace, every=10)) == len(trace.operations())


TOP = {"s390x": "f" * 16, "arm": "f" * 8}


@pytest.mark.parametrize("arch", TOP)
def test_a_reverse_search_to_the_top_that_misses_the_first_slot(arch):
    """Kernel: -EBUSY where the room lies in the root's first slot, and there alone."""
    top, used = TOP[arch], TOP[arch][:-1] + "b"
    search = f"empty_area_rev 0 {top} 9\nalloc_rrange 2001 9 0 {top}\n"
    below = f"empty_area_rev 0 {top[:-1]}e 9\n"
    text = f"init 1\nstore {used} {used} 1001\n"
    lines = check(Trace(text + search + below, arch))
    assert [line["ret"] for line in lines[2:]] == [-16, -16, 0]
    # with a second gap that is large enough, the search finds it
    second = f"store {top[:-2]}00 {top[:-2]}0f 1001\n"
    assert [line["ret"] for line in check(Trace(text + second + search, arch))[3:]] == [0, 0]


class NeverFinds(Kernel):
    """Says that there is no room, whatever there is."""

    def mas_empty_area_rev(self, *_):
        return -16


@pytest.mark.parametrize(("low", "top"), [("0", "fffe"), ("40", "f" * 16)])
def test_other_searches_that_miss_a_run_are_wrong(low, top):
    machine = Machine(arches.get("s390x"), kernel=NeverFinds)
    with pytest.raises(WrongResultError, match="ret"):
        check(Trace(f"{SOME}empty_area_rev {low} {top} 9", "s390x"), machine)


FILL = "".join(f"store {i:x} {i:x} {i << 1 | 1:x}\n" for i in range(15))
SOME = "init 1\nstore 10 1f 3001\nstore 30 3f 3003\n"


class Wrong(Kernel):
    """Answers wrongly where it is asked to."""

    def mtree_load(self, tree, index):
        return super().mtree_load(tree, index + 1)

    def mtree_erase(self, tree, index):
        return super().mtree_erase(tree, index) and 1

    def mtree_store_range(self, tree, index, last, entry, *gfp):
        return super().mtree_store_range(tree, index, last - (last == 0x77), entry, *gfp)

    def mt_find(self, tree, index, limit):
        entry, index = super().mt_find(tree, index, limit)
        return entry ^ 2, index

    def mas_next(self, mas, limit):
        super().mas_next(mas, limit)
        return super().mas_next(mas, limit)

    def mas_find_rev(self, mas, low):
        entry = super().mas_find_rev(mas, low)
        mas.last += mas.index == 0x30
        return entry

    def mas_empty_area(self, mas, low, high, size):
        return super().mas_empty_area(mas, low + 1, high, size)

    def mas_pause(self, _mas):
        self.warn_on("a test warns")
        self.mem.read_word(8)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("load 1f", "line 4 (load 1f): entry is 0, it should be 3001"),
        ("erase 10", "line 4 (erase 10): entry is 1, it should be 3001"),
        ("store 70 77 5", "line 4 (store 70 77 5): tree 0 has 5 at 70-76, it should be 5 at 70-77"),
        ("find 11 ff", "line 4 (find 11 ff): entry is 3003, it should be 3001"),
        ("cset 0\ncnext ff", "line 5 (cnext ff): entry is 3003, it should be 3001"),
        ("cset ff\ncfind_rev 0", "line 5 (cfind_rev 0): 3003 is found at 30-40, where it is not"),
        ("empty_area 0 ff 4", "line 4 (empty_area 0 ff 4): index is 1, it should be 0"),
        ("alloc_range 5 4 0 f", "line 4 (alloc_range 5 4 0 f): start is 1, it should be 0"),
        ("cset 0\ncpause", "line 5 (cpause): the machine stops: "),
    ],
)
def test_wrong_results_are_found_where_they_are(lines, why):
    class Reads(Wrong):  # the model's own looks at trees are not to be wrong
        def new_state(self, tree, index=0, last=None):
            return super().new_state(tree, index, last)

    if not lines.startswith(("cset ff", "store 70")):
        Reads.mas_find_rev = Kernel.mas_find_rev
    with pytest.raises(WrongResultError) as caught:
        check(Trace(SOME + lines, "s390x"), Machine(arches.get("s390x"), kernel=Reads), every=1000)
    assert str(caught.value).startswith(why)
    check(Trace(SOME + lines, "s390x"))


class Loses(Kernel):
    """Loses what it should free."""

    def mt_destroy(self, tree):
        self.mem.set_ma_root(tree, 0)


def test_an_erase_that_was_refused_leaves_a_reserved_entry():
    lines = "".join(f"store {i:x}0 {i:x}7 1001\n" for i in range(1, 6))
    text = f"init 2\n{lines}insert 0 0 406\nfail 0\nerase 0\nfail -\nwalk 0\n"
    assert [line.get("entry") for line in check(Trace(text, "s390x"))][-3::2] == ["406", "406"]


def test_lost_nodes_are_found():
    with pytest.raises(WrongResultError, match="1 nodes are allocated, the trees have 0"):
        check(Trace(SOME + "destroy\n"), Machine(arches.get("x86_64"), kernel=Loses))


class Cuts(Kernel):
    """Takes the last slot of a full leaf for metadata."""

    def ma_data_end(self, node, mt, limit):
        return min(super().ma_data_end(node, mt, limit), 14)


@pytest.mark.parametrize("arch", DEFAULT)
def test_trees_that_only_one_reader_gets_wrong(arch):
    text = f"init 0\n{FILL}"
    check(Trace(text, arch))
    with pytest.raises(WrongResultError, match=r"line 16 .store e e 1d.: tree 0 has 1d at e-f+"):
        check(Trace(text, arch), Machine(arches.get(arch), kernel=Cuts))


def test_reservations_and_refusals():
    check(Trace("init 1\nstore 0 f 406\nload 5\nfind 0 ff\nnext 0 ff\nerase 5\nstore 5 4 1\nstore 1 2 6\n"
                "insert 0 9 1\ninsert 5 5 1\nalloc_range 1 0 0 ff\nalloc_range 1 20 0 f\nalloc_range 6 1 0 f\n"))  # fmt: skip


def test_damage_cannot_be_modelled():
    with pytest.raises(UsageError, match="poke"):
        check(Trace("init 0\npoke 1000000000 8 77\n"))


def test_a_trace_prints_as_python_that_makes_it():
    trace = Trace("init 0\nstore 1 2 3\n", "m68k")
    assert repr(trace) == 'Trace("""\ninit 0\nstore 1 2 3\n""", "m68k")'
    assert eval(repr(trace)).operations() == [
        type(o)(o.n + 1, o.op, o.args) for o in trace.operations()
    ]
