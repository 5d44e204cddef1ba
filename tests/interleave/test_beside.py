"""What docs/interleave.md says of the kernel's own code, shown by that code."""

import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from layout.ckernel.source import open_source
from layout.memory.errors import MapleLayoutError

HERE = Path(__file__).parent
FLAGS = (
    *("-std=gnu11", "-O1", "-w", "-fno-strict-aliasing", "-fno-strict-overflow"),
    *("-fno-delete-null-pointer-checks", "-ftrivial-auto-var-init=zero"),
    *("-ffunction-sections", "-Wl,--gc-sections", "-Wl,--unresolved-symbols=ignore-all"),
)
SHOWN = {
    "first": "mas_find_rev = a node 0-0",
    "emptied": "SIGSEGV",
    "destroyed": "SIGSEGV",
    "crossed": "mas_prev = an entry 3a00-2fff",
    "moved": "mtree_load = 79001",
    "missed": "mtree_load = 0",
    "passed": "mas_find = an entry 3000-3fff",
    "span": "WARN mas_prev_slot: mas_is_underflow(mas)\nmas_prev = NULL 7800-7fff",
}


@pytest.fixture(scope="module", params=["6.12", "7.2", "7.3"])
def program(request, tmp_path_factory):
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is missing")
    try:
        source = open_source(deb=f"linux-source-{request.param}")
    except MapleLayoutError as error:
        pytest.skip(str(error))
    work = tmp_path_factory.mktemp("beside")
    for name in source.includes:
        stub = work / "include" / name
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.touch()
    shutil.copy(source.code, work / "maple_tree.c")
    (work / "include/linux").mkdir(parents=True, exist_ok=True)
    shutil.copy(source.header, work / "include/linux/maple_tree.h")
    shutil.copy(resources.files("layout.ckernel") / "harness/kernel.h", work)
    features = [f"-D{name}" for name in sorted(source.features)]
    around = ["-I", str(work), "-idirafter", str(work / "include")]
    command = [compiler, *FLAGS, *features, *around, str(HERE / "beside.c")]
    subprocess.run([*command, "-o", str(work / "beside")], check=True)
    return request.param, work / "beside"


@pytest.mark.long
@pytest.mark.kernel
@pytest.mark.parametrize("name", SHOWN)
def test_the_kernels_own_code_shows_it(program, name):
    version, path = program
    out = subprocess.run([path, name], capture_output=True, text=True, check=True).stdout
    expected = SHOWN[name]
    if name == "span" and version != "6.12":
        expected = "mas_prev = an entry 7000-77ff"
    assert out.strip() == expected
