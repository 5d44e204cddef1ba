"""Raw memory and the JSON beside it: every way in which they can be wrong has its own line."""

from __future__ import annotations

import json

import pytest

from layout.formats.export import export
from layout.images.decode import decode
from layout.images.image import Image
from layout.mapletree import MapleTree
from layout.memory.errors import InputError, UsageError
from layout.traces.inputs import load


@pytest.fixture
def raw(tmp_path):
    """A raw export of an s390x tree; the function changes its JSON and gives its path."""
    tree = MapleTree("s390x")
    tree.store(5, 7, 0x1001)
    machine = tree.machine
    image = Image(machine.arch, machine.profile, machine.mem, tree.address, "here", "trace")
    export(image, "raw", tmp_path / "a")
    path = tmp_path / "a.json"

    def change(**new):
        doc = json.loads(path.read_text()) | new
        path.write_text(json.dumps({key: value for key, value in doc.items() if value is not None}))
        return str(path)

    return change


def test_what_is_left_out_has_a_default(raw):
    image = load(raw(kernel=None, lock_size=None, page_size=None, word_size=None, byteorder=None))
    assert (image.kind, image.profile.version, image.profile.lock_size) == ("raw", "6.12", 4)
    assert decode(image.memory, image.tree).ranges == [(5, 7, 0x1001)]


def test_the_command_line_goes_before_the_json(raw):
    image = load(raw(tree="1", kernel="6.12"), tree="fffff0040", kernel="6.1", lock_size=4)
    assert (image.tree, image.profile.version) == (0xFFFFF0040, "6.1")


@pytest.mark.parametrize(
    ("new", "error", "says"),
    [
        ({"tree": None}, UsageError, r"does not say where the tree lies: give .* --tree"),
        ({"tree": "123"}, InputError, r"at 123 is not in this file's memory"),
        ({"kernel": "5.4.1"}, InputError, r"kernel: kernel version '5.4.1' is not known"),
        ({"word_size": 4}, InputError, r"word_size: s390x has words of 8 bytes"),
        ({"byteorder": "little"}, InputError, r"byteorder: s390x is big-endian"),
        ({"arch": "vax"}, InputError, r"arch: unknown architecture 'vax'"),
        ({"memory": None}, InputError, r"'memory' is missing"),
        ({"segments": 3}, InputError, r"segments: an array is needed here, not 3"),
        (
            {"segments": [{"address": "0", "offset": 0, "size": 1 << 40}]},
            InputError,
            r"a: segments\[0\] ends at byte 1099511627776 of a file of",
        ),
        (
            {"segments": [{"address": "ffffffffffffffff", "offset": 0, "size": 2}]},
            InputError,
            r"segments\[0\]: 2 bytes at ffffffffffffffff do not fit",
        ),
        (
            {
                "segments": [
                    {"address": "10", "offset": 0, "size": 2},
                    {"address": "11", "offset": 0, "size": 2},
                ]
            },
            InputError,
            r"segments\[1\]: what lies at 11 overlaps",
        ),
    ],
)
def test_what_is_wrong(raw, new, error, says):
    with pytest.raises(error, match=says):
        load(raw(**new))


def test_a_node_is_no_tree(raw):
    says = "is a root node, not a tree; its tree is at fffff0000: give --tree fffff0000$"
    with pytest.raises(UsageError, match=says):
        load(raw(), tree="1000000000")
    with pytest.raises(UsageError, match=says):
        load(raw(tree="1000000000"))


def test_the_memory_is_not_there(raw):
    with pytest.raises(FileNotFoundError, match="not-here"):
        load(raw(memory="not-here"))


def test_segments_that_share_their_bytes_are_bounded(raw):
    """Each segment is a copy, so a small file could take all memory."""
    blob = [{"address": f"{0x10000 * i:x}", "offset": 0, "size": 256} for i in range(1, 2000)]
    with pytest.raises(InputError, match=r"segments\[\d+\]: the segments up to here name the same"):
        load(raw(segments=blob))
