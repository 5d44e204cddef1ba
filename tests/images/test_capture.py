"""Reading captures: what they hold lands in memory, and every kind of damage is one clear line."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arches
from layout.images.capture import read_capture
from layout.images.decode import decode
from layout.memory.errors import InputError, UsageError

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
SLEEP = json.loads((CAPTURES / "s390x-6.12.95-sleep.json").read_text())


def read(doc, **options):
    return read_capture(json.dumps(doc).encode(), "x.json", **options)


@pytest.fixture
def doc():
    return copy.deepcopy(SLEEP)


def test_the_bytes_are_those_of_the_file(doc):
    image = read(doc)
    assert image.kind == "capture"
    assert image.tree == 0x2038100
    assert image.memory.read(0x2038100, 16).hex() == doc["mm_mt"]["hex"]
    assert image.memory.read(0x299B900, 256).hex() == doc["nodes"][0]["hex"]
    assert image.memory.pivot(0x299B900, 0) == 0xFFFFFF
    assert image.notes == []


@pytest.mark.parametrize(
    ("name", "version", "lock_size"),
    [
        ("s390x-6.1.0-sleep.json", "6.1", 4),
        ("s390x-6.12.95-sleep.json", "6.12", 4),
        ("sparc64-6.12.117-sleep.json", "6.12", 0),
    ],
)
def test_the_profile_follows_from_the_offsets(name, version, lock_size):
    image = read(json.loads((CAPTURES / name).read_text()))
    assert (image.profile.version, image.profile.lock_size) == (version, lock_size)


@pytest.mark.parametrize(
    ("ma_flags", "ma_root"), [(0, 8), (4, 8), (8, 16), (16, 8), (8, 0), (40, 48), (72, 80)]
)
def test_any_place_of_ma_flags(doc, ma_flags, ma_root):
    raw = bytearray(96)
    raw[ma_flags : ma_flags + 4] = (0x307).to_bytes(4, "big")
    raw[ma_root : ma_root + 8] = (0x299B90E).to_bytes(8, "big")
    doc["offsets"] |= {"ma_flags": ma_flags, "ma_root": ma_root}
    doc["mm_mt"]["hex"] = raw.hex()
    doc["kernel"] = "6.6.13-unheard-of"
    image = read(doc)
    found = decode(image.memory, image.tree)
    assert (found.flags, found.root, len(found.ranges)) == (0x307, 0x299B90E, 8)


def test_numbers_without_0x_and_unknown_keys_are_fine(doc):
    doc["mm_mt"]["addr"] = doc["mm_mt"]["addr"].removeprefix("0x")
    doc["something"] = {"new": [1]}
    del doc["kernel"], doc["byteorder"], doc["entries"], doc["vmas"], doc["maps"], doc["height"]
    assert decode(read(doc).memory, 0x2038100).complete


def test_words_that_the_bytes_contradict_are_noted(doc):
    doc["mm_mt"]["ma_root"] = "0x5"
    assert read(doc).notes == ["mm_mt.ma_root says 5, the bytes hold 299b90e: bytes taken"]


def test_arch_and_tree_have_to_agree(doc):
    assert read(doc, arch=arches.get("s390x"), tree=0x2038100).tree == 0x2038100
    with pytest.raises(UsageError, match=r"x.json is of s390x, not x86_64"):
        read(doc, arch=arches.get("x86_64"))
    with pytest.raises(UsageError, match=r"holds one tree, at 2038100, and none at 5"):
        read(doc, tree=5)


DAMAGE = [
    (lambda d: d.pop("arch"), r"x\.json: 'arch' is missing"),
    (lambda d: d.update(arch="vax"), r"unknown architecture 'vax': known are .*s390x, sparc64"),
    (lambda d: d.update(arch=7), r"x\.json: arch: a string is needed here, not 7"),
    (lambda d: d.update(byteorder="little"), r"byteorder: s390x is big-endian, not 'little'"),
    (lambda d: d.pop("offsets"), r"'offsets' is missing"),
    (lambda d: d["offsets"].pop("ma_root"), r"offsets: 'ma_root' is missing"),
    (lambda d: d["offsets"].update(ma_flags="4"), r"offsets.ma_flags: an integer is needed"),
    (lambda d: d["offsets"].update(ma_flags=-4), r"offsets.ma_flags: a number from 0 to 1000"),
    (lambda d: d["offsets"].update(ma_flags=True), r"offsets.ma_flags: a hex number is needed"),
    (lambda d: d["offsets"].update(ma_flags=6), r"no known struct maple_tree has ma_flags at 6"),
    (lambda d: d.pop("mm_mt"), r"neither 'mm_mt' nor 'mtree' is there"),
    (lambda d: d.update(mm_mt=[]), r"mm_mt: an object is needed here, not \[\]"),
    (lambda d: d["mm_mt"].pop("hex"), r"mm_mt: 'hex' is missing"),
    (lambda d: d["mm_mt"].update(hex="00" * 8), r"mm_mt.hex: 8 bytes hold no ma_root at 8"),
    (lambda d: d["mm_mt"].update(hex="0g" * 16), r"mm_mt.hex: a string of hex digits"),
    (lambda d: d["mm_mt"].update(addr="0xnope"), r'mm_mt.addr: a hex number .* not "0xnope"'),
    (lambda d: d["mm_mt"].update(addr="0x1" + "0" * 16), r"mm_mt.addr: a number from 0 to f{16}"),
    (lambda d: d["mm_mt"].update(addr="f" * 16), r"do not fit into the address space"),
    (lambda d: d["mm_mt"].update(ma_flags="?"), r"mm_mt.ma_flags: a hex number is needed"),
    (lambda d: d.pop("nodes"), r"'nodes' is missing"),
    (lambda d: d.update(nodes={}), r"nodes: an array is needed here, not \{\}"),
    (lambda d: d["nodes"].append(3), r"nodes\[1\]: an object is needed here, not 3"),
    (lambda d: d["nodes"][0].pop("addr"), r"nodes\[0\]: 'addr' is missing"),
    (lambda d: d["nodes"][0].update(hex="00" * 255), r"a node has 256 bytes, these are 255"),
    (lambda d: d["nodes"][0].update(hex="0" * 511), r"nodes\[0\].hex: a string of hex digits"),
    (lambda d: d["nodes"].append(d["nodes"][0]), r"nodes\[1\].addr: what lies at 299b900 overlaps"),
]


@pytest.mark.parametrize(("damage", "text"), DAMAGE)
def test_damage_is_named_with_its_place(doc, damage, text):
    damage(doc)
    with pytest.raises(InputError, match=text) as caught:
        read(doc)
    assert str(caught.value).startswith("x.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"{", r"not JSON from line 1, column 2"),
        (b'{"arch": "x86_64",\n "kernel', r"not JSON from line 2, column 2"),
        (b"[" * 100_000, r"nested too deeply"),
        (b'{"arch": ' + b"9" * 5000 + b"}", r"not JSON"),
        (b'{"arch": "\xff"}', r"not JSON"),
        (b"[]", r"an object is needed here, not \[\]"),
        (b"null", r"an object is needed here, not null"),
    ],
)
def test_what_is_not_json(data, text):
    with pytest.raises(InputError, match=text):
        read_capture(data, "x.json")


def _paths(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _paths(value[key], (*path, key))


PATHS = [path for path in _paths({k: SLEEP[k] for k in SLEEP if k not in ("maps", "vmas")}) if path]
JSON_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.just([]),
    st.just({}), st.integers(0, 1 << 65).map(hex), st.binary(max_size=40).map(bytes.hex),
)  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(PATHS), JSON_VALUES)
def test_any_value_anywhere_is_read_or_refused(path, value):
    doc = copy.deepcopy(SLEEP)
    holder = doc
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    try:
        image = read(doc)
    except InputError as error:
        assert str(error).startswith("x.json: ")
    else:
        assert decode(image.memory, image.tree).root == image.memory.ma_root(image.tree)
