"""Files unpacked by content, within bounds, and mapped where they are not packed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zlib
from pathlib import Path

import pytest

from layout.images import packed as loading
from layout.images.packed import MappedFile, open_bytes, read_bytes
from layout.memory.errors import InputError
from layout.traces.inputs import load

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
PACKED = CAPTURES / "sparc64-6.12.117-mt_churn_plain.json.xz"


def test_xz_is_told_by_content(tmp_path):
    plain = lzma.decompress(PACKED.read_bytes())
    for name in ("a.json", "b.xz", "c"):
        for content in (
            plain,
            PACKED.read_bytes(),
            lzma.compress(plain[:50]) + lzma.compress(plain[50:]),
        ):
            (tmp_path / name).write_bytes(content)
            assert read_bytes(str(tmp_path / name)) == plain


def test_xz_with_padding_between_streams(tmp_path):
    (tmp_path / "x").write_bytes(
        lzma.compress(b"sel ") + bytes(8) + lzma.compress(b"1\n") + bytes(4)
    )
    assert read_bytes(str(tmp_path / "x")) == b"sel 1\n"


def test_stdin(monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO(PACKED.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    image = load("-")
    assert (image.source, image.kind, image.tree) == ("stdin", "capture", 0x7BF5E8)


@pytest.mark.parametrize("step", [1, 97])
def test_every_cut_of_xz_is_noticed(tmp_path, step):
    packed = lzma.compress(bytes(range(256)) * 40)
    path = tmp_path / "x"
    for length in range(6, len(packed), step):
        path.write_bytes(packed[:length])
        with pytest.raises(InputError, match=r"the xz data is cut short: fetch the file again"):
            read_bytes(str(path))


def test_damaged_xz(tmp_path):
    packed = bytearray(PACKED.read_bytes())
    packed[len(packed) // 2] ^= 0x40
    (tmp_path / "x").write_bytes(packed)
    with pytest.raises(InputError, match=r"the xz data is damaged \(.*\): fetch the file again"):
        read_bytes(str(tmp_path / "x"))


def test_xz_that_would_need_too_much_memory(tmp_path):
    small = {"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}
    packed = bytearray(lzma.compress(b"x", filters=[small]))
    assert packed[12:18].hex() == "020021011000"  # a block header: LZMA2, dictionary of 1 MiB
    packed[16] = 36  # 1 GiB
    packed[20:24] = zlib.crc32(packed[12:20]).to_bytes(4, "little")
    (tmp_path / "x").write_bytes(packed)
    with pytest.raises(InputError, match=r"[Mm]emory"):
        read_bytes(str(tmp_path / "x"))


@pytest.mark.parametrize("pack", [lzma.compress, bytes])
def test_the_size_has_a_limit(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(loading, "LIMIT", 3 << 20)
    (tmp_path / "x").write_bytes(pack(bytes(3 << 20)))
    assert len(read_bytes(str(tmp_path / "x"))) == 3 << 20
    (tmp_path / "x").write_bytes(pack(bytes((3 << 20) + 1)))
    with pytest.raises(InputError, match=r"more than 3 MiB: cut out what the tree needs"):
        read_bytes(str(tmp_path / "x"))


def zstd_compress(data):
    zstd = pytest.importorskip(
        "backports.zstd" if sys.version_info < (3, 14) else "compression.zstd"
    )
    return zstd.compress(data)


PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "zstd": zstd_compress, "xz": lzma.compress}


@pytest.mark.parametrize("name", PACKERS)
def test_other_packings(tmp_path, name):
    pack = PACKERS[name]
    plain = bytes(range(256)) * 5000
    path = tmp_path / "x"
    for content in (pack(plain), pack(plain[:77]) + pack(plain[77:])):
        path.write_bytes(content)
        assert read_bytes(str(path)) == plain
    packed = pack(plain)
    for length in (len(packed) // 2, len(packed) - 1):
        path.write_bytes(packed[:length])
        with pytest.raises(InputError, match=rf"the {name} data is (cut short|damaged)"):
            read_bytes(str(path))
    path.write_bytes(packed[:8] + bytes(64) + packed[72:])
    with pytest.raises(InputError, match=rf"the {name} data is (cut short|damaged)"):
        read_bytes(str(path))


def test_zstd_without_its_library(tmp_path, monkeypatch):
    for name in ("backports", "backports.zstd", "compression", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "x").write_bytes(loading.ZSTD + bytes(20))
    with pytest.raises(InputError, match=r"packed by zstd.*pip install 'maple-layout\[zstd\]'"):
        read_bytes(str(tmp_path / "x"))


def test_a_plain_file_is_mapped(tmp_path):
    (tmp_path / "x").write_bytes(b"store 1 2 3\n")
    data, source = open_bytes(str(tmp_path / "x"))
    assert isinstance(data.obj, MappedFile)
    assert (bytes(data), source) == (b"store 1 2 3\n", str(tmp_path / "x"))


def test_what_is_large_goes_to_a_file_with_holes(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "IN_MEMORY", 1 << 20)
    plain = b"first" + bytes(5 << 20) + b"last"
    (tmp_path / "x").write_bytes(gzip.compress(plain))
    data, _ = open_bytes(str(tmp_path / "x"))
    assert isinstance(data.obj, MappedFile)
    assert data == plain


def test_unpacking_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "UNPACKED_LIMIT", 3 << 20)
    (tmp_path / "x").write_bytes(gzip.compress(bytes((3 << 20) + 1)))
    with pytest.raises(InputError, match=r"more than 3 MiB: cut out what the tree needs"):
        open_bytes(str(tmp_path / "x"))


def test_text_that_is_much_larger_than_its_packed_size_is_not_read(tmp_path):
    """A few bytes must not make somebody read many lines; memory that is zero is no text."""
    path = tmp_path / "x"
    size = loading.TEXT_FREE + loading._CHUNK
    for pack in (lzma.compress, gzip.compress, bz2.compress):
        path.write_bytes(pack(b"#\n" * (size // 2)))
        with pytest.raises(InputError, match="MiB of text: unpack it first if you trust it"):
            open_bytes(str(path))
    path.write_bytes(gzip.compress(bytes(size)))
    assert len(open_bytes(str(path))[0]) == size


def test_a_full_temporary_directory_is_named(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    (tmp_path / "x").write_bytes(gzip.compress(bytes(1 << 20)))
    monkeypatch.setattr(loading, "IN_MEMORY", 1 << 16)
    monkeypatch.setattr(loading.tempfile, "TemporaryFile", full)
    with pytest.raises(InputError, match=r"no room in .*\(No space left on device\): set TMPDIR"):
        open_bytes(str(tmp_path / "x"))
