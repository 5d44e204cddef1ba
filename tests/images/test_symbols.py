"""Trees by name: what drgn looks up, and what is said where it cannot."""

from __future__ import annotations

import lzma
import sys
from pathlib import Path

import pytest

from layout.images import symbols
from layout.images.symbols import tree_address
from layout.memory.errors import InputError, UsageError

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def core(tmp_path):
    path = tmp_path / "core"
    packed = FIXTURES / "memory" / "x86_64-6.12.117.elf-paging.xz"
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    return str(path)


def test_without_drgn(monkeypatch, core):
    monkeypatch.setitem(sys.modules, "drgn", None)
    with pytest.raises(UsageError, match=r"need drgn: pip install 'maple-layout\[drgn\]', or give"):
        tree_address(core, task=1)


@pytest.mark.readers
class TestWithDrgn:
    """drgn itself; no debug info of that kernel is at hand, only types."""

    def test_no_debug_info(self, core):
        pytest.importorskip("drgn")
        with pytest.raises(
            UsageError, match=r"--symbol sparse_irqs is not found in .*--debug-info"
        ):
            tree_address(core, symbol="sparse_irqs")
        with pytest.raises(UsageError, match=r"--task 140 is not found in .*--debug-info vmlinux"):
            tree_address(core, task=140)

    def test_no_dump(self, tmp_path):
        pytest.importorskip("drgn")
        (tmp_path / "x").write_bytes(b"store 1 2 3\n")
        with pytest.raises(InputError, match=r"drgn can't read this dump \(.*give --tree ADDR"):
            tree_address(str(tmp_path / "x"), symbol="sparse_irqs")

    def test_a_tree_that_drgn_knows(self, core, monkeypatch, tmp_path):
        """With the types of this project, and an object finder in place of vmlinux."""
        drgn = pytest.importorskip("drgn")
        types = tmp_path / "types.o"
        packed = FIXTURES / "proof" / "maple-x86_64.o.xz"
        types.write_bytes(lzma.decompress(packed.read_bytes()))
        prog = drgn.Program()
        prog.set_core_dump(core)
        module = prog.extra_module("types", 0, create=True)
        module = module[0] if isinstance(module, tuple) else module
        module.try_file(str(types), force=True)

        def find(program, name, _flags, _filename):
            known = {"sparse_irqs": "struct maple_tree", "jiffies": "unsigned long"}
            kind = known.get(name)
            return kind and drgn.Object(program, kind, address=0xFFFFFFFF94ECC760)

        prog.register_object_finder("test", find, enable_index=0)
        monkeypatch.setattr(symbols, "_program", lambda *_: (prog, drgn))
        assert tree_address(core, symbol="sparse_irqs") == 0xFFFFFFFF94ECC760
        with pytest.raises(UsageError, match=r"jiffies is of type unsigned long: name a tree"):
            tree_address(core, symbol="jiffies")
