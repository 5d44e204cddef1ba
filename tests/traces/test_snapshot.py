import pytest

import arches
from layout.images.decode import decode
from layout.memory.errors import InputError, TraceError, UsageError
from layout.traces.snapshot import snapshot
from layout.traces.source import TraceText

TRACE = b"""init 0
store 10 1f 3001
sel 1
init 1
store 20 2f 4001
store 30 3f 5001
"""


def look(data=TRACE, **options):
    return snapshot(TraceText(data, "t"), arch=arches.get("s390x"), **options)


def ranges(image):
    return decode(image.memory, image.tree).ranges


def test_the_current_tree_at_the_end():
    image = look()
    assert ranges(image) == [(0x20, 0x2F, 0x4001), (0x30, 0x3F, 0x5001)]
    assert (image.kind, image.source, image.notes) == ("trace", "t", [])


@pytest.mark.parametrize(
    ("at", "tree", "found"),
    [
        (2, None, [(0x10, 0x1F, 0x3001)]),
        (5, None, [(0x20, 0x2F, 0x4001)]),
        (5, "0", [(0x10, 0x1F, 0x3001)]),
        (None, "fffff0000", [(0x10, 0x1F, 0x3001)]),
        (None, "0xfffff0040", [(0x20, 0x2F, 0x4001), (0x30, 0x3F, 0x5001)]),
        (None, "7", []),
        (0, None, []),
    ],
)
def test_after_a_line_and_of_a_tree(at, tree, found):
    assert ranges(look(at=at, tree=tree)) == found


def test_a_fault_ends_the_run_and_is_noted():
    image = look(TRACE + b"poke 0 0 1\nstore 1 2 3001\n")
    assert len(ranges(image)) == 2
    assert image.notes == [
        "the run ends at line 7 with a fault: Unable to handle kernel pointer dereference in "
        "virtual kernel address space\nFailing address: 0000000000000000 TEID: 0000000000000803 "
        "(the byte to poke)"
    ]


def test_errors_name_the_source():
    with pytest.raises(TraceError, match=r"^t, line 7: unknown operation"):
        look(TRACE + b"xyzzy\n")
    with pytest.raises(TraceError, match=r"^t, line 2: not text"):
        look(b"init 0\nload \xff\n")
    with pytest.raises(UsageError, match="--at 99: t has only 7 lines"):
        look(at=99)
    with pytest.raises(UsageError, match="'zz' is neither a tree's number"):
        look(tree="zz")
    with pytest.raises(InputError, match="a struct maple_tree at 123456 is not in"):
        look(tree="123456")
