import os
from functools import cache
from importlib.util import find_spec

import pytest
from daemons import Daemons

from layout.ckernel import toolchain
from layout.ckernel.build import GUIDED, PLAIN, build
from layout.ckernel.source import open_source
from layout.memory.errors import UsageError

REQUIRED = "MAPLE_LAYOUT_NEEDS_KERNEL"
CLUSTER_REQUIRED = "MAPLE_LAYOUT_NEEDS_CLUSTER"


def _open(get):
    """What needs a kernel's source or a compiler; without it a skip, or a failure where set."""
    try:
        return get()
    except UsageError as missing:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set: {missing}")
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def kernel_6_12():
    return _open(open_source)


@pytest.fixture(scope="session")
def built(kernel_6_12):
    """Kernel 6.12 for a machine: ``built(arch, mode)``."""

    def for_machine(arch, mode=PLAIN):
        _open(lambda: toolchain.find(arch))
        return build(kernel_6_12, arch, mode)

    return for_machine


@pytest.fixture(scope="session")
def guided(kernel_6_12):
    """Kernel 6.12 as a target of libFuzzer."""
    _open(lambda: toolchain.find_clang("x86_64"))
    return build(kernel_6_12, "x86_64", GUIDED)


@pytest.fixture(scope="session")
def kernel():
    """A later kernel's source, by apt if it is not here: ``kernel("7.3")``."""

    @cache
    def opened(version):
        deb = f"linux-source-{version}"
        download = bool(os.environ.get(REQUIRED))  # some 165 MB: not unless it is asked for
        return _open(lambda: open_source(deb=deb, download=download))

    return opened


@pytest.fixture(scope="session")
def built_of():
    """A source, built for a machine: ``built_of(source, arch)``."""

    def for_machine(source, arch):
        _open(lambda: toolchain.find(arch))
        return build(source, arch)

    return for_machine


@pytest.fixture(scope="session")
def change_6_12(kernel_6_12, tmp_path_factory):
    """6.12 with a line changed: ``change_6_12(old, new)``."""

    def change(old, new):
        root = tmp_path_factory.mktemp("linux")
        for path in (kernel_6_12.code, kernel_6_12.header):
            target = root / path.relative_to(kernel_6_12.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(path.read_text().replace(old, new))
        changed = open_source(str(root))
        assert changed.sha256 != kernel_6_12.sha256
        return changed

    return change


@pytest.fixture(scope="session")
def changed_6_12(change_6_12):
    """6.12 with one line changed: a new root forgets to say where its data ends."""
    return change_6_12("ma_set_meta(node, maple_leaf_64, 0, slot);", ";")


@pytest.fixture
def daemons(tmp_path):
    """A scheduler and workers that a test starts; a skip without dask.distributed."""
    if not find_spec("distributed"):
        if os.environ.get(CLUSTER_REQUIRED):
            pytest.fail(f"{CLUSTER_REQUIRED} is set: distributed is missing")
        pytest.skip("distributed is missing: pip install '.[cluster]'")
    running = Daemons(tmp_path)
    yield running
    running.end()
