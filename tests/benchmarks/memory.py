"""What docs/memory.md says of time and memory: ``python tests/benchmarks/memory.py [DUMP...]``.

The name of a DUMP, which is scanned, starts with its machine and ``-``.

Makes cores in a temporary directory: a sparse one of 100 GB, and tables of a million segments
in several orders. Prints the processor time and the peak memory of each command.
"""

from __future__ import annotations

import lzma
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import arches
from layout.images.anymemory import open_memory
from layout.images.packed import open_bytes
from layout.images.scan import scan
from layout.images.treestruct import Known

MEMORY = Path(__file__).parents[2] / "fixtures" / "memory"
TREE = "ffff8a368405b740"
_ROW = struct.Struct("<IIQQQQQQ")
_PAGE = 4096
_FREE = 0xFFFF900000000000
"""Where nothing of the tree lies."""


def pages() -> list[tuple[int, bytes]]:
    """The pages that are not zero of a real dump: virtual addresses and bytes."""
    data = lzma.decompress((MEMORY / "x86_64-6.12.117.elf-paging.xz").read_bytes())
    [at] = struct.unpack_from("<Q", data, 32)
    [count] = struct.unpack_from("<H", data, 56)
    found = {}
    for i in range(count):
        kind, _, offset, address, _, size, _, _ = _ROW.unpack_from(data, at + i * _ROW.size)
        for place in range(0, size if kind == 1 else 0, _PAGE):
            page = data[offset + place : offset + place + _PAGE]
            if len(page) == _PAGE and any(page):
                found.setdefault(address + place, page)
    return sorted((at, page) for at, page in found.items() if at >> 28 == 0xFFFF8A368)


def core(path: Path, rows: list[tuple[int, int, int]], parts: list[tuple[int, bytes]]) -> None:
    """An ELF core: ``rows`` are (address, size, offset in the file), ``parts`` lie in the file."""
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", ident, 4, 62, 1, 0, 128, 64, 0, 64, 56, 0xFFFF, 64, 1, 0
    )
    section = bytes(44) + struct.pack("<I", len(rows)) + bytes(16)
    with path.open("wb") as file:
        file.write(head + section)
        for address, size, offset in rows:
            file.write(_ROW.pack(1, 6, offset, address, 1 << 12, size, size, _PAGE))
        file.truncate(max(offset + size for _, size, offset in rows))
        for offset, data in parts:
            file.seek(offset)
            file.write(data)


def sparse(path: Path) -> None:
    """A core of 100 GB whose last pages are those of a tree."""
    size, begin = 100 << 30, 1 << 16
    used = pages()
    start = used[-1][0] + _PAGE - size
    core(path, [(start, size, begin)], [(begin + at - start, page) for at, page in used])


def table(path: Path, order: str) -> None:
    """A core with a million segments."""
    count, used = 1_000_000, pages()
    begin = -(-(128 + 56 * (count + len(used))) // _PAGE) * _PAGE
    rows = [(at, _PAGE, begin + i * _PAGE) for i, (at, _) in enumerate(used)]
    zeros = begin + len(used) * _PAGE
    step, size = {"apart": (8192, _PAGE), "shuffled": (8192, _PAGE)}.get(order, (256, 8 * _PAGE))
    places = list(range(count))
    if order == "shuffled":
        random.Random(1).shuffle(places)
    if order == "backwards":
        places.reverse()
    rows += [(_FREE + i * step, size, zeros + i % 8 * 256) for i in places]
    core(path, rows, [(begin + i * _PAGE, page) for i, (_, page) in enumerate(used)])


_MEASURE = """
import os, resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, used.ru_utime + used.ru_stime, used.ru_maxrss >> 10)
"""
"""A process of its own: a child's peak is never below that of the process that starts it."""


def measure(name: str, *words: str) -> None:
    """Run a command, and print what it took."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, "maple-layout", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    code, seconds, peak = done.stdout.split()
    print(f"{name:34} exit code {code}, {float(seconds):5.2f} s, peak {peak} MB", flush=True)


def speed(dump: str, arch: str) -> None:
    """Scan a dump, without the time that Python takes to start."""
    data, source = open_bytes(dump)
    memory = open_memory(data, source, Path(), arch=arches.get(arch), known=Known(), base=None)
    size = memory.store.table.size()
    begin = time.process_time()
    found = scan(memory.store, memory.arch, source, memory.known).candidates
    seconds = time.process_time() - begin
    states = Counter(one.state for one in found)
    print(f"{Path(dump).name:44} {size / seconds / 1e6:6.0f} MB/s {dict(states)}", flush=True)


def main() -> None:
    """Make the files, and measure."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "core"
        sparse(path)
        for verb in ("decode", "validate"):
            measure(f"{verb}, sparse 100 GB", verb, str(path), "--tree", TREE)
        measure("scan, sparse 100 GB", "scan", str(path))
        for order in ("apart", "shuffled", "overlapping", "backwards"):
            table(path, order)
            measure(f"decode, 10^6 segments {order}", "decode", str(path), "--tree", TREE)
    for dump in sys.argv[1:]:
        speed(dump, Path(dump).name.split("-")[0])


if __name__ == "__main__":
    main()
