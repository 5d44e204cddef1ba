"""The plugin as users run it: under strict options, alone and with xdist."""

import re

import pytest

import layout.testing.comparison
import layout.testing.failure  # noqa: F401 - imported once, not again in each run below

STRICT = ("-W", "error", "--strict-markers", "--strict-config", "-p", "no:cacheprovider")
ROUND = """
def test_round(maple_tree):
    maple_tree.store(0x1000, 0x1FFF, 0xABC000)
    assert maple_tree.load(0x1800) == 0xABC000
"""
BROKEN = """
def test_broken(maple_tree):
    maple_tree.store(0x10, 0x1F, 0x3001)
    assert maple_tree.load(0x20)
"""


def run(pytester, *args):
    # hypothesis would be imported anew each time
    return pytester.runpytest_inprocess(*STRICT, "-p", "no:hypothesispytest", *args)


def test_three_machines_unless_asked(pytester):
    pytester.makepyfile(ROUND)
    result = run(pytester, "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "maple-layout: *, on x86_64,s390x,sparc64",
            "*::test_round?x86_64? *",
            "*?s390x? *",
            "*?sparc64? *",
        ]
    )


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ("s390x,sparc64", ["s390x", "sparc64"]),
        ("ppc64el", ["powerpc64le"]),
        ("32bit", ["arm", "hppa", "i386", "m68k", "mips"]),
        ("s390x,le", ["s390x", "aarch64", "arm", "i386", "powerpc64le", "riscv64", "x86_64"]),
    ],
)
def test_machines_asked_for(pytester, asked, ids):
    pytester.makepyfile(ROUND)
    result = run(pytester, f"--maple-arch={asked}", "--collect-only", "-q")
    listed = [line for line in result.outlines if "::" in line]
    assert [line.split("[")[1].rstrip("]") for line in listed] == ids
    run(pytester, f"--maple-arch={asked}").assert_outcomes(passed=len(ids))


def test_an_unknown_machine_is_a_usage_error(pytester):
    result = run(pytester, "--maple-arch=s390x,vax")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*--maple-arch: no machine and no group is called 'vax'*be, le*s390x*"]
    )


def test_marker(pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.maple_arch("hppa", "amd64")
        def test_two(maple_arch):
            assert maple_arch in ("hppa", "x86_64")

        @pytest.mark.maple_arch("be,32bit")
        class TestBig:
            @pytest.mark.maple_arch("s390x")
            def test_one(self, maple_machine):
                assert maple_machine.arch.name == "s390x"

            def test_group(self, maple_machine):
                arch = maple_machine.arch
                assert arch.byteorder == "big" or arch.word_size == 4
        """
    )
    run(pytester).assert_outcomes(passed=2 + 1 + 8)
    result = run(pytester, "--maple-arch=s390x,m68k", "-rs")
    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*: for hppa, x86_64, not for s390x, m68k"])


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ('"vax"', "no machine and no group is called 'vax'*"),
        ("", "give it names*"),
        ("8", "give it names*"),
    ],
)
def test_wrong_markers_stop_the_run(pytester, args, why):
    pytester.makepyfile(
        f"import pytest\n@pytest.mark.maple_arch({args})\ndef test_it(maple_tree): pass\n"
    )
    result = run(pytester)
    assert result.ret != 0
    assert "INTERNALERROR" not in result.stdout.str()
    result.stdout.fnmatch_lines([f"*marker maple_arch: {why}"])


def test_marker_is_registered(pytester):
    run(pytester, "--markers").stdout.fnmatch_lines(["@pytest.mark.maple_arch(?names): *"])


def test_fixtures_can_be_overridden(pytester):
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(params=["m68k", "riscv64"])
        def maple_arch(request):
            return request.param

        @pytest.fixture
        def maple_tree(make_maple_tree):
            return make_maple_tree(alloc_range=True)
        """
    )
    pytester.makepyfile(
        """
        import pytest

        def test_it(maple_tree, maple_arch):
            assert maple_tree.machine.arch.name == maple_arch in ("m68k", "riscv64")
            assert maple_tree.find_empty_area(3).last == 2

        @pytest.mark.parametrize("maple_arch", ["arm64"])
        def test_direct(maple_machine):
            assert maple_machine.arch.name == "aarch64"

        class TestOwn:
            @pytest.fixture
            def maple_arch(self):
                return "s390x"

            def test_it(self, maple_machine):
                assert maple_machine.arch.name == "s390x"
        """
    )
    run(pytester).assert_outcomes(passed=4)


def test_asking_for_a_machine_too_late(pytester):
    pytester.makepyfile("def test_it(request):\n    request.getfixturevalue('maple_tree')\n")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*maple_arch has no value here*among its arguments*"])


def test_a_failure_shows_the_tree(pytester):
    pytester.makepyfile(BROKEN)
    result = run(pytester, "--maple-arch=s390x")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- maple tree fffff0000 on s390x -*",
            "root 100000000e, flags 4 (height 1), 1 nodes, 1 ranges",
            "leaf_64 node 1000000000, depth 0, 0-ffffffffffffffff",
            ">*24  ff ff ff ff ff ff ff ff  pivot?2?  slot 2 is for 20-ffffffffffffffff",
            ">*144  00 00 00 00 00 00 00 00  slot?2?   NULL",
            "*- maple tree on s390x: to reproduce -*",
            "store 10 1f 3001",
            "load 20",
            r"printf 'init 0\nstore 10 1f 3001\nload 20\n' | maple-layout run - --arch s390x",
        ],
        consecutive=False,
    )


def test_in_whole_where_asked(pytester):
    pytester.makepyfile(BROKEN)
    result = run(pytester, "--maple-arch=s390x", "--maple-full")
    result.stdout.fnmatch_lines(
        [
            "*- maple tree fffff0000 on s390x: fields -*",
            "*16  00 00 00 00 00 00 00 1f  pivot?1?   slot 1 is for 10-1f",
            "*- maple tree fffff0000 on s390x: mt_dump -*",
            "maple_tree(0000000fffff0000) flags 4, height 1 root 000000100000000e",
        ]
    )


MANY = """
def test_many(maple_tree):
    for i in range(40):
        maple_tree.store(i << 12, (i << 12) + 0xFFF, 0xABC000 + (i << 8))
    assert maple_tree.load(0x7800) == 0xABC500
"""


def test_numbers_in_hex_and_where_the_tree_has_them(pytester):
    pytester.makepyfile(MANY)
    result = run(pytester, "--maple-arch=s390x")
    result.stdout.fnmatch_lines(
        [
            "E *11257600 == 11257088",
            "E *0xabc700 == 0xabc500",
            "E *0xabc700 is the entry of 0x7000-0x7fff, slot?7? of leaf 1000000800",
            "E *0xabc500 is the entry of 0x5000-0x5fff, slot?5? of leaf 1000000800",
        ]
    )


def test_small_numbers_and_truth_stay_as_they_are(pytester):
    pytester.makepyfile("def test_it(maple_tree):\n    assert 3 == len(list(maple_tree))\n")
    run(pytester, "--maple-arch=s390x").stdout.no_fnmatch_line("*0x3*")


@pytest.mark.long
def test_machines_that_fail_alike_are_told_together(pytester):
    pytester.makepyfile(
        MANY
        + """
def test_unlike(maple_tree):
    assert maple_tree.machine.arch.byteorder == "middle"
"""
    )
    for parallel in ((), ("-n", "2")):
        result = pytester.runpytest_subprocess(*STRICT, *parallel)
        result.assert_outcomes(failed=6)
        text = result.stdout.str()
        assert text.count("pivot[7]  slot 7 is for 7000-7fff") == 1
        assert text.count("| base64 -d | maple-layout run - --arch") == 1
        assert len(re.findall(r"^fails on \w+ as on \w+: assert 11257600", text, re.MULTILINE)) == 2
        for order in ("little", "big"):  # two machines fail with big
            assert len(re.findall(f"^E .*'{order}' == 'middle'", text, re.MULTILINE)) == 1
    text = run(pytester, "--maple-full").stdout.str()
    assert "fails on" not in text
    assert text.count("| base64 -d | maple-layout run - --arch") == 3


def test_one_screen_a_machine(pytester):
    pytester.makepyfile(MANY)
    lines = run(pytester, "--maple-arch=sparc64", "--tb=short").outlines
    start = next(i for i, line in enumerate(lines) if line.startswith("____"))
    end = next(i for i, line in enumerate(lines) if "short test summary" in line)
    rows = sum(max(1, -(-len(line) // 80)) for line in lines[start:end])
    assert rows <= 40, rows


def test_a_defect_is_in_the_command(pytester):
    pytester.makepyfile(
        """
        import pytest
        from layout.defects import operations
        from layout.machine.equip import equip

        class Mine(operations(["R3b"])[0]):
            pass

        @pytest.fixture
        def maple_machine():
            return equip("s390x", kernels=[Mine, *operations(["R1"])])

        def test_it(make_maple_tree):
            tree = make_maple_tree()
            tree.store(0x1000, 0x1FFF, 0x3001)
            assert 0
        """
    )
    run(pytester).stdout.fnmatch_lines(
        [
            r"printf *| maple-layout run - --arch s390x --defect R1 --defect R3b",
            "# The test's kernel is changed by Mine; the command's is not.",
        ]
    )


def test_what_was_done_behind_the_traces_back(pytester):
    pytester.makepyfile(
        """
        def test_it(maple_tree):
            maple_tree.store(0x1000, 0x1FFF, 0x3001)
            maple_tree.kernel.mtree_store_range(maple_tree.address, 5, 5, 0x4001)
            assert 0
        """
    )
    run(pytester, "--maple-arch=s390x").stdout.fnmatch_lines(["# This does not give the same*"])


def test_what_passes_or_is_expected_to_fail_shows_nothing(pytester):
    pytester.makepyfile(f"import pytest\n@pytest.mark.xfail{BROKEN}{ROUND}")
    result = run(pytester, "-rA", "--maple-arch=s390x")
    result.assert_outcomes(passed=1, xfailed=1)
    result.stdout.no_fnmatch_line("*maple tree fff*")


def test_trees_of_plain_machines_are_shown_too(pytester):
    pytester.makepyfile(
        """
        def test_it(maple_machine):
            maple_machine.kernel.mtree_store_range(maple_machine.tree(3), 1, 2, 0x3001)
            assert 0
        """
    )
    result = run(pytester, "--maple-arch=m68k")
    result.stdout.fnmatch_lines(["*maple tree fff00c0 on m68k -*"])
    result.stdout.no_fnmatch_line("*to reproduce*")


def test_failures_in_fixtures_are_shown(pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def filled(maple_tree):
            maple_tree.store(1, 2, 0x3001)
            raise RuntimeError

        def test_it(maple_tree, filled): pass
        """
    )
    result = run(pytester, "--maple-arch=s390x")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([r"printf 'init 0\nstore 1 2 3001\n' | *"])


COMPARED = """
def test_trees(make_maple_tree):
    a, b = make_maple_tree(), make_maple_tree()
    a.store(0x10, 0x1F, 0x3001)
    b.store(0x10, 0x2F, 0x3001)
    assert a == b

def test_nodes(maple_tree):
    maple_tree.store(0x10, 0x1F, 0x3001)
    before = maple_tree.nodes()
    maple_tree.store(0x10, 0x1F, 0x4001)
    assert maple_tree.nodes()[0] == before[0]

def test_lists(maple_tree):
    maple_tree.store(0x10, 0x1F, 0x3001)
    before = maple_tree.nodes()
    for i in range(20):
        maple_tree.store(i, i, 0x4001)
    assert maple_tree.nodes() == before

def test_anything_else(maple_tree):
    assert maple_tree == 5
"""


def test_differences_between_trees_and_nodes(pytester):
    pytester.makepyfile(COMPARED)
    result = run(pytester, "--maple-arch=s390x")
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        [
            "E * <MapleTree fffff0000 on s390x, height 1> == <MapleTree fffff0040 on s390x, height 1>",
            "E *pivot?1? of 1000000000, byte 16: left has 1f, right has 2f",
            "E *!  16  * 1f  * 2f  pivot?1? *slot 1 is for 10-1f | slot 1 is for 10-2f",
            "E *(-vv shows all fields)",
            "E * <Node 1000000000 on s390x, 0-f*> == <Node *",
            "E *slot?1? of 1000000000, byte 136: left has 4001, right has 3001",
            "E *, at index 0",
            "E *type: left has range_64, right has leaf_64",
            "E *assert <MapleTree * == 5",
        ]
    )
    result.stdout.no_fnmatch_line("E *parent*")
    run(pytester, "--maple-arch=s390x", "-vv").stdout.fnmatch_lines(
        ["E *  128  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  slot?0?    NULL"]
    )


@pytest.mark.long
def test_with_xdist(pytester):
    pytester.makepyfile(ROUND + BROKEN)
    result = pytester.runpytest_subprocess(*STRICT, "-n", "2", "--maple-arch=s390x,m68k")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines([r"printf 'init 0\nstore 10 1f 3001\nload 20\n' | *"])


def test_nothing_heavy_is_loaded_before_a_fixture_is_used(pytester):
    pytester.makepyfile(
        """
        import sys

        HEAVY = {"construct", "elftools", "rich", "hypothesis", "layout.tree", "layout.machine.machine",
                 "layout.mapletree", "layout.memory.structs", "layout.memory.memory", "layout.traces"}

        def test_before():
            assert "layout.testing.plugin" in sys.modules
            assert not HEAVY & sys.modules.keys()

        def test_with_a_tree(maple_tree):
            assert {"construct", "layout.mapletree"} <= sys.modules.keys()

        def test_failing_without_a_tree():
            assert [1] == [2]
        """
    )
    result = pytester.runpytest_subprocess(*STRICT, "--maple-arch=s390x", "-p", "no:randomly")
    result.assert_outcomes(passed=2, failed=1)
    result = pytester.runpytest_subprocess(*STRICT, "-k", "not with_a_tree")
    result.assert_outcomes(passed=1, failed=1, deselected=3)


def test_the_plugin_can_be_left_out(pytester):
    pytester.makepyfile(ROUND)
    result = run(pytester, "-p", "no:maple_layout")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'maple_tree' not found*"])


VERSION = """
def test_version(maple_tree, maple_kernel):
    assert maple_tree.kernel.version == maple_kernel
    print("runs", maple_kernel)

def test_broken(maple_tree):
    maple_tree.store(1, 2, 0x3001)
    assert maple_tree.load(3)
"""


def test_kernels_asked_for(pytester):
    pytester.makepyfile(VERSION)
    result = run(pytester, "--maple-arch=s390x", "--maple-kernel=7.3.4", "-v", "-rP")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "maple-layout: *, on s390x, kernel 7.3",
            "*test_version?s390x? PASSED*",
            "printf 'init 0*maple-layout run - --arch s390x --kernel 7.3",
            "runs 7.3",
        ]
    )
    assert "is changed by" not in result.stdout.str()


def test_several_kernels(pytester):
    pytester.makepyfile(VERSION)
    result = run(pytester, "--maple-arch=s390x,arm", "--maple-kernel=6.12,7.3", "-k", "version")
    result.assert_outcomes(passed=4)


def test_an_unknown_kernel_is_a_usage_error(pytester):
    result = run(pytester, "--maple-kernel=6.18")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'6.18' are not known: choose one of 6.12, 7.2, 7.3"])
