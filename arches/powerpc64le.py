"""powerpc64le: powerpc64 in little-endian mode."""

from arches.arch import Arch
from arches.powerpc64 import word_fault

ARCH = Arch(
    name="powerpc64le",
    byteorder="little",
    word_size=8,
    page_size=65536,
    strict_alignment=False,
    kernel_nodes=(0xC000000000000000, 0xC003FFFFFFFFFFFF),
    user=((0, 0x000FFFFFFFFFFFFF),),
    word_fault=word_fault,
    aliases=("ppc64le", "ppc64el"),
    cache_line=128,
)
