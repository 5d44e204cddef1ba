"""Each export opened by the program that it is for, with the command that was printed."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from layout.formats.export import export
from layout.images.decode import decode
from layout.traces.inputs import load

pytestmark = pytest.mark.readers

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
NAMES = ("x86_64-6.1.0-sleep", "s390x-6.12.95-medium", "sparc64-6.12.117-medium")


@pytest.fixture(params=NAMES)
def image(request):
    """A process's tree out of a booted kernel."""
    return load(str(CAPTURES / f"{request.param}.json"))


def lines(image):
    """Its ranges, as the scripts print them."""
    return [f"{a:x} {b:x} {e:x}" for a, b, e in decode(image.memory, image.tree).ranges]


def output(command, *more):
    """The lines that a printed command prints; it may say nothing on stderr."""
    words = shlex.split(command) + list(more)
    if words[0] == "python3":
        words[0] = sys.executable
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.splitlines()


def test_the_drgn_script(image, need, tmp_path):
    need("drgn")
    [command] = export(image, "drgn", tmp_path / "tree.py")
    assert output(command) == lines(image)


def test_the_core_in_drgn(image, need, tmp_path):
    need("drgn")
    [_, command, _] = export(image, "elf", tmp_path / "tree.core")
    tree = f"Object(prog, 'struct maple_tree *', {image.tree})"
    # the command itself lies beside the interpreter
    command = str(Path(sys.executable).with_name("drgn")) + command.removeprefix("drgn")
    [root, flags] = output(
        command, "-e", f"mt = {tree}; print(hex(mt.ma_root), hex(mt.ma_flags), sep='\\n')"
    )
    assert int(root, 16) == image.memory.ma_root(image.tree)
    assert int(flags, 16) == image.memory.ma_flags(image.tree)


def test_the_gdb_script(image, need, tmp_path):
    need("gdb-multiarch")
    [command] = export(image, "gdb", tmp_path / "tree.gdb")
    core = tmp_path / "tree.gdb.core"
    printed = subprocess.run(
        ["gdb-multiarch", "-nx", "-batch", *shlex.split(command)[1:]],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert printed.stdout.splitlines()[-len(lines(image)) :] == lines(image)
    assert not printed.stderr or image.arch.name == "sparc64"
    opened = f"gdb-multiarch -nx -q -batch -x {tmp_path}/tree.gdb -ex 'maple-ranges {image.tree:x} {core}'"
    assert output(opened) == lines(image)


def test_the_core_in_gdb(image, need, tmp_path):
    need("gdb-multiarch")
    [command, _, _] = export(image, "elf", tmp_path / "tree.core")
    done = subprocess.run(
        ["gdb-multiarch", "-nx", "-batch", *shlex.split(command)[1:]],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert f"ma_root = {image.memory.ma_root(image.tree):#x}" in done.stdout
    assert not done.stderr or image.arch.name == "sparc64"


def test_the_symbols_in_volatility3(image, need, tmp_path):
    need("volatility3")
    [command] = export(image, "isf", tmp_path / "tree.isf")
    if image.arch.byteorder == "little":
        assert output(command) == [line.split()[2] for line in lines(image)]
        return
    # on big-endian machines its walker takes metadata for an entry (docs/readers.md)
    entries = [line for line in output(command) if not line.endswith("00000000000000")]
    assert entries == [line.split()[2] for line in lines(image)]
