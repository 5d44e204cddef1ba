"""Raw memory: nothing but bytes, so the caller says of which machine, and where."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

import arches
from layout.images.decode import decode
from layout.images.flat import read_flat
from layout.images.treestruct import Known
from layout.memory.errors import InputError, UsageError
from layout.traces.inputs import load

MEMORY = Path(__file__).parents[2] / "fixtures" / "memory"
TRUTH = json.loads((MEMORY / "s390x-6.12.95.truth.json").read_text())


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    path = tmp_path_factory.mktemp("raw") / "ram"
    path.write_bytes(lzma.decompress((MEMORY / "s390x-6.12.95.raw.xz").read_bytes()))
    return str(path)


def test_real_memory_by_physical_addresses(raw):
    for process in TRUTH["processes"]:
        image = load(raw, tree=process["tree"], arch=arches.get("s390x"))
        found = decode(image.memory, image.tree)
        wanted = [tuple(int(number, 16) for number in entry) for entry in process["entries"]]
        assert (found.ranges, found.complete, image.kind) == (wanted, True, "raw memory")


def test_a_tree_in_the_kernels_image(raw):
    """sparse_irqs lies outside of the direct map: found by the word that points to its root."""
    image = load(raw, tree="3ffffd038f8", arch=arches.get("s390x"))
    found = decode(image.memory, image.tree)
    assert (found.complete, len(found.ranges)) == (True, 3)


def test_virtual_memory_by_its_base(tmp_path):
    capture = json.loads((MEMORY.parent / "captures" / "x86_64-6.12.117-sleep.json").read_text())
    base = 0xFFFF888000000000
    pieces = [
        (int(item["addr"], 16), bytes.fromhex(item["hex"]))
        for item in (capture["mm_mt"], *capture["nodes"])
    ]
    data = bytearray(max(at for at, _ in pieces) - base + 4096)
    for at, piece in pieces:
        data[at - base : at - base + len(piece)] = piece
    (tmp_path / "m").write_bytes(data)
    image = load(
        str(tmp_path / "m"),
        tree=capture["mm_mt"]["addr"],
        arch=arches.get("x86_64"),
        base=f"{base:x}",
    )
    assert decode(image.memory, image.tree).complete
    # the same bytes taken for physical ones: the direct map starts at that base
    image = load(
        str(tmp_path / "m"),
        tree=capture["mm_mt"]["addr"],
        arch=arches.get("x86_64"),
        direct_map=f"0x{base:x}",
    )
    assert decode(image.memory, image.tree).complete


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({}, InputError, r"if it is raw memory, --arch and --base"),
        ({"base": "0"}, UsageError, r"taken for raw memory, .* give --arch A"),
        ({"arch": "s390x"}, UsageError, r"give --tree ADDR \(maple-layout scan .* --arch s390x"),
        ({"arch": "s390x", "tree": "1000", "base": "f" * 16}, InputError, r"another --base"),
        ({"arch": "s390x", "tree": "1000", "base": "xyz"}, UsageError, r"--base 'xyz' is no addr"),
        ({"arch": "x86_64", "tree": "ffff888000001000"}, InputError, r"give that as --direct-map"),
    ],
)  # fmt: skip
def test_what_is_missing(tmp_path, options, error, says):
    (tmp_path / "m").write_bytes(bytes(1 << 16))
    options = dict(options)
    if "arch" in options:
        options["arch"] = arches.get(options["arch"])
    with pytest.raises(error, match=says):
        load(str(tmp_path / "m"), **options)


def test_a_virtual_base_is_not_taken_for_a_physical_one():
    with pytest.raises(InputError, match=r"maple_tree at ffff8a3684000000 is not in this file's"):
        read_flat(
            bytes(4096),
            "f",
            tree=0xFFFF8A3684000000,
            arch=arches.get("x86_64"),
            base=0xFFFF8A3680000000,
            known=Known(),
        )
