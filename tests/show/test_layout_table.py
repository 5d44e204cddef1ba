"""Comparisons as tables and as JSON."""

from layout.formats.found import FoundMember
from layout.formats.layout_diff import Comparison, Row
from layout.show.layout_table import as_json, table

COMPARED = [
    Comparison("maple_metadata", size=2, members=2),
    Comparison("rb_root", size=8, members=1),
    Comparison("ma_topiary", missing="right"),
    Comparison(
        "odd",
        (
            Row("size", 8, 12),
            Row("flags", FoundMember("flags", 4, 1, "u8"), None),
            Row("bits", None, FoundMember("bits", 4, 4, "unsigned int", (35, 3))),
        ),
    ),
]


def test_a_table():
    assert list(table(COMPARED, "declared", "a file")) == [
        "maple_metadata: equal, 2 bytes, 2 members",
        "rb_root: equal, 8 bytes, 1 member",
        "ma_topiary: not in a file",
        "odd: differs",
        "           declared          a file",
        "    size   8                 12",
        "    flags  at 4, 1 byte, u8  -",
        "    bits   -                 bit 35, 3 bits, unsigned int",
    ]


def test_json():
    told = as_json(COMPARED, "declared", "a file")
    assert (told["equal"], told["left"], told["right"]) == (False, "declared", "a file")
    assert told["structs"][0] == {
        "name": "maple_metadata",
        "equal": True,
        "missing": None,
        "differences": [],
    }
    assert told["structs"][3]["differences"][2] == {
        "what": "bits",
        "left": None,
        "right": {
            "name": "bits",
            "offset": 4,
            "size": 4,
            "type": "unsigned int",
            "bits": (35, 3),
        },
    }
