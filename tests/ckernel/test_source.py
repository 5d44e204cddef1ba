import hashlib
import io
import os
import tarfile
import time

import pytest

from layout.ckernel import source
from layout.ckernel.source import open_source
from layout.memory.errors import InputError, UsageError

OLD = "#include <linux/kernel.h>\nvoid mt_dump(const struct maple_tree *mt);\n"
NEW = OLD + (
    "enum maple_status { ma_active };\nint mtree_dup(void);\nvoid mas_init(void);\n"
    "enum store_type store_type;\nint mtree_alloc_cyclic(int);\nvoid *mas_next_range(int);\n"
    "enum mt_dump_format { mt_dump_dec };\n"
)
CODE = "#include <linux/maple_tree.h>\n#include <linux/slab.h>\n"
MAKEFILE = "VERSION = 6\nPATCHLEVEL = 99\nSUBLEVEL = 3\nEXTRAVERSION = -rc1\nNAME = X\n"


def tree(root, header=NEW, makefile=MAKEFILE):
    for name, text in (
        ("lib/maple_tree.c", CODE),
        ("include/linux/maple_tree.h", header),
        ("Makefile", makefile),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_tree_says_what_it_is(tmp_path):
    found = open_source(str(tree(tmp_path)))
    assert found.version == "6.99.3-rc1"
    assert found.sha256 == hashlib.sha256(CODE.encode()).hexdigest()
    assert found.includes == {"linux/kernel.h", "linux/maple_tree.h", "linux/slab.h"}
    assert found.missing_operations == frozenset()
    assert found.missing_fields == frozenset()


def test_an_old_kernel_lacks_operations_and_fields(tmp_path):
    found = open_source(str(tree(tmp_path, OLD)))
    assert {
        "dup",
        "dup_noinit",
        "alloc_cyclic",
        "cnext_range",
        "cfind_range_rev",
    } <= found.missing_operations
    assert found.missing_fields == {"status", "end", "node", "hex", "store_type", "text", "printk"}


@pytest.mark.parametrize(
    ("code", "emulator"),
    [
        ("", "6.12"),
        ("kmem_cache_prefill_sheaf(c, g, n);", "6.12"),
        ("kmem_cache_prefill_sheaf(c, g, n); cp_data_write(cp, mas);", "7.2"),
        ("kmem_cache_prefill_sheaf(c, g, n); cp_data_write(cp); mas_nomem_nofail(mas);", "7.3"),
    ],
)
def test_the_emulator_is_chosen_by_what_the_source_has(tmp_path, code, emulator):
    path = tree(tmp_path) / "lib/maple_tree.c"
    path.write_text(CODE + code)
    found = open_source(str(tmp_path))
    assert found.emulator == emulator
    assert ("HAVE_SHEAVES" in found.features) == ("sheaf" in code)


def test_no_makefile_no_version(tmp_path):
    (tree(tmp_path) / "Makefile").unlink()
    assert open_source(str(tmp_path)).version == "of unknown version"


@pytest.mark.parametrize("missing", ["lib/maple_tree.c", "include/linux/maple_tree.h"])
def test_no_kernel_tree(tmp_path, missing):
    (tree(tmp_path) / missing).unlink()
    with pytest.raises(UsageError, match=f"has no {missing}: give the top directory"):
        open_source(str(tmp_path))


def test_a_header_outside_the_tree_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"<\.\./\.\./x\.h>, which is no header"):
        open_source(str(tree(tmp_path, "#include <../../x.h>\n")))


@pytest.mark.parametrize("name", ["lib/maple_tree.c", "Makefile"])
def test_a_file_of_any_size_is_not_read_into_memory(tmp_path, name):
    with (tree(tmp_path) / name).open("wb") as file:
        file.truncate(1 << 40)
    if name == "Makefile":
        assert open_source(str(tmp_path)).version == "of unknown version"
    else:
        with pytest.raises(InputError, match="more than 16 MiB"):
            open_source(str(tmp_path))


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    """Containers run with numbers of users that /etc/passwd has not."""
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(UsageError, match="set XDG_CACHE_HOME"):
        source.cache_directory()


def test_two_ways_to_name_it():
    with pytest.raises(UsageError, match="give one of them"):
        open_source("x", "linux-source-6.12")


@pytest.fixture
def packages(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "TARBALLS", tmp_path / "src")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "src").mkdir()
    return tmp_path / "src"


def pack(path, version, *, code=True):
    with tarfile.open(path, "w:xz") as archive:
        for name, text in (
            ("Makefile", MAKEFILE.replace("99", version)),
            ("include/linux/maple_tree.h", NEW),
            *([("lib/maple_tree.c", CODE)] if code else []),
            ("mm/mmap.c", "never unpacked"),
        ):
            member = tarfile.TarInfo(f"{path.name.removesuffix('.tar.xz')}/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))


def test_a_package_is_unpacked_once_and_again_when_it_changes(packages):
    tarball = packages / "linux-source-6.99.tar.xz"
    pack(tarball, "99")
    found = open_source(deb="linux-source-6.99")
    assert found.version == "6.99.3-rc1"
    assert sorted(p.name for p in found.root.rglob("*") if p.is_file()) == [
        ".tarball",
        "Makefile",
        "maple_tree.c",
        "maple_tree.h",
    ]
    found.code.write_text("kept")
    assert open_source(deb="linux-source-6.99").code.read_text() == "kept"
    pack(tarball, "1000")
    assert open_source(deb="linux-source-6.99").version == "6.1000.3-rc1"
    tarball.unlink()
    assert open_source(deb="linux-source-6.99").version == "6.1000.3-rc1"


@pytest.mark.usefixtures("packages")
def test_a_missing_package_is_named_with_the_command():
    with pytest.raises(UsageError, match=r"apt install linux-source-6.12, or give .* --source DIR"):
        open_source()
    with pytest.raises(UsageError, match="is no package name"):
        open_source(deb="../x")


def test_a_package_without_the_file(packages):
    pack(packages / "linux-source-6.99.tar.xz", "99", code=False)
    with pytest.raises(InputError, match=r"has no lib/maple_tree\.c"):
        open_source(deb="linux-source-6.99")
    (packages / "linux-source-6.98.tar.xz").write_bytes(b"no tarball")
    with pytest.raises(InputError, match="install its package again"):
        open_source(deb="linux-source-6.98")


def _with_code(root, code):
    (tree(root) / "lib" / "maple_tree.c").write_text(CODE + code)
    return str(root)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("#include <a\0b>\n", "includes <a\0b>, which is no header of the kernel"),
        ('#include "/dev/zero"\n', "includes </dev/zero>, which is no header of the kernel"),
        ('  # include\t"../../x.h"\n', "includes <../../x.h>, which is no header of the kernel"),
        (f"#include <{'x' * 201}>\n", "which is no header of the kernel"),
        ("".join(f"#include <a/{i}>\n" for i in range(499)), "includes 502 headers"),
    ],
)
def test_headers_that_are_none_are_refused(tmp_path, code, says):
    with pytest.raises(InputError) as found:
        open_source(_with_code(tmp_path, code))
    assert says in str(found.value)


@pytest.mark.parametrize(
    "unit", ["\n", " ", "#include <", "#include <a\n", "enum store_type ", "#\n"]
)
def test_odd_code_is_read_at_once(tmp_path, unit):
    """Time by the square of its length would be hours."""
    begin = time.process_time()
    found = open_source(_with_code(tmp_path, unit * (4_000_000 // len(unit))))
    assert found.includes == {"linux/kernel.h", "linux/maple_tree.h", "linux/slab.h"}
    assert time.process_time() < begin + 5


def test_a_version_is_short_and_drives_no_terminal(tmp_path):
    makefile = f"VERSION = {'9' * 5000}\nPATCHLEVEL = 1\nEXTRAVERSION = -rc1\x1b[2J\n"
    assert open_source(str(tree(tmp_path, makefile=makefile))).version == "999999999.1-rc1"


def test_nobody_waits_for_a_makefile_that_is_a_pipe(tmp_path):
    (tree(tmp_path) / "Makefile").unlink()
    os.mkfifo(tmp_path / "Makefile")
    assert open_source(str(tmp_path)).version == "of unknown version"
