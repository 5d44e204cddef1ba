"""Which layouts a kernel's version stands for."""

from __future__ import annotations

import pytest

import arches
from layout.images.treestruct import layout_versions
from layout.images.vmcoreinfo import VmcoreInfo
from layout.memory.errors import UsageError


@pytest.mark.parametrize(
    ("kernel", "versions"),
    [
        ("6.1", ("6.1",)),
        ("6.1.0-50-amd64", ("6.1",)),
        ("6.6.30", ("6.12", "6.1")),
        ("6.12.117+deb12-cloud-amd64", ("6.12",)),
        ("6.15", ("6.12",)),
        ("6.18.44", ("6.18",)),
        ("7.0-rc1", ("6.18",)),
    ],
)
def test_versions(kernel, versions):
    assert layout_versions(kernel) == versions


@pytest.mark.parametrize("kernel", ["7.2", "7.3.4+deb14-amd64", "v8.1"])
def test_newer_ones_are_laid_out_as_the_last_that_is_known(kernel):
    assert len(layout_versions(kernel)) == 1
    assert layout_versions(kernel)[0].startswith("7.")


@pytest.mark.parametrize("kernel", ["", "6", "5.19", "new", "6.x"])
def test_what_is_no_version(kernel):
    with pytest.raises(UsageError, match=r"is not known: choose one of 6.1, 6.12"):
        layout_versions(kernel)


def test_vmcoreinfo():
    info = VmcoreInfo(
        b"OSRELEASE=7.3.4\nSYMBOL(_stext)=ffffffff93200000\nNUMBER(phys_base)=-304087040\n"
        b"NUMBER(x)=0x10\nNUMBER(y)=zz\nKERNELOFFSET=3fffe854000\nKERNELOFFPHYS=754000\n"
        b"IDENTITYBASE=0\n\0\xff\xff"
    )
    assert info.release == "7.3.4"
    assert (info.symbol("_stext"), info.symbol("_etext")) == (0xFFFFFFFF93200000, None)
    assert (info.number("phys_base"), info.number("x"), info.number("y")) == (-304087040, 16, None)
    start, size, target = info.kernel_image(arches.get("x86_64"))
    assert 0xFFFFFFFF93200000 - start + target == 0x1000000
    assert size == 1 << 30
    start, _, target = info.kernel_image(arches.get("s390x"))
    assert 0x3FFFE954000 - start + target == 0x854000
    assert info.kernel_image(arches.get("sparc64")) is None
    assert (info.direct_map(arches.get("s390x")), info.direct_map(arches.get("arm"))) == (0, None)
    assert VmcoreInfo(b"").kernel_image(arches.get("s390x")) is None
