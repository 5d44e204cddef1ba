"""The corpus: every shape on every machine, other kernels' trees, real captures, damage.

A case is built on demand, which takes a millisecond to a quarter of a second.
"""

from __future__ import annotations

import fnmatch
import lzma
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING

import arches
from layout.images.capture import read_capture
from layout.images.image import Image
from layout.images.jsonfile import parse
from layout.memory import structs
from layout.memory.errors import UsageError
from layout.memory.node import NODE_SIZE, NodeMemory
from layout.testing.conformance import shapes
from layout.testing.conformance.shapes import DAMAGED, SHAPES, Site
from layout.tree.versions import kernel_of, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from arches import Arch
    from layout.testing.conformance.shapes import Shape

Ranges = tuple[tuple[int, int, int], ...]
"""First and last index, both inclusive, and entry, of each range, in order."""

_PROFILE_SHAPES = (shapes.root_entry, shapes.two_levels_arange)
_LEFT_OUT_IN = "6.1"
"""The kernel that may leave a node's last pivot out."""


@dataclass(frozen=True, slots=True)
class Built:
    """An image, and the ranges in it; a file of it has only the first ``kept`` part."""

    image: Image
    expected: Ranges
    kept: float = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """One image to test a reader; ``about`` describes its special property.

    If the image is ``damaged``, a reader must only detect this.
    """

    name: str
    arch: Arch
    about: str
    damaged: bool
    build: Callable[[], Built]


def corpus(
    names: Iterable[str] | None = None,
    pattern: Iterable[str] = (),
    kernel: str = structs.DEFAULT_VERSION,
) -> list[Case]:
    """All cases, in a fixed order: those of the machines called ``names``, by default all.

    With ``pattern`` only those whose name holds one of these texts, or matches it as a shell
    pattern. ``kernel`` is the version whose operations make the trees of every shape. Raises
    UsageError for one that is not known and if no case is left, UnknownArchError.
    """
    version = kernel_of(kernel).version
    machines = [arches.get(name) for name in (arches.names() if names is None else names)]
    wanted = list(pattern)
    found = [case for arch in machines for case in _cases(arch, version)]
    if wanted:
        found = [case for case in found if any(_matches(case.name, text) for text in wanted)]
    if not found:
        message = f"no case matches {', '.join(wanted)}: --list shows their names"
        raise UsageError(message)
    return found


def _matches(name: str, text: str) -> bool:
    return text in name or fnmatch.fnmatchcase(name, text)


def _cases(arch: Arch, kernel: str) -> Iterator[Case]:
    """The cases of one machine; a struct maple_tree of other kernels may be another."""
    no_bulk = "mas_expected_entries" in kernel_of(kernel).gone
    for shape in SHAPES:
        if shape is shapes.no_last_pivot:
            yield _case(arch, _LEFT_OUT_IN, 4, shape)
        elif shape is shapes.full_leaves and no_bulk:
            continue
        elif shape is not shapes.four_levels or arch.word_size == 8:  # thousands of ranges on 32
            yield _case(arch, kernel, 4, shape)
    others = [(version, 4) for version in structs.VERSIONS if version != kernel]
    for version, lock_size in [(kernel, 0), *others]:
        for shape in _PROFILE_SHAPES:
            yield _case(arch, version, lock_size, shape)
    folder = resources.files("layout.testing.conformance").joinpath("captures")
    for name in sorted(file.name.removesuffix(".json.xz") for file in folder.iterdir()):
        if name.startswith(f"{arch.name}-"):
            about = "A tree out of the memory of a booted kernel."
            yield Case(
                f"{name}-captured", arch, about, damaged=False, build=partial(_captured, name)
            )
    for shape in DAMAGED:
        yield _case(arch, kernel, 4, shape)


def _case(arch: Arch, version: str, lock_size: int, shape: Shape) -> Case:
    kernel = version if lock_size else f"{version}-up"
    name = f"{arch.name}-{kernel}-{shape.__name__.replace('_', '-')}"
    return Case(
        name,
        arch,
        (shape.__doc__ or "").split("\n")[0],
        damaged=shape in DAMAGED,
        build=partial(_build, arch, version, lock_size, shape),
    )


def _build(arch: Arch, version: str, lock_size: int, shape: Shape) -> Built:
    """Build a shape, and lay its struct maple_tree out as that kernel does."""
    site = Site(arch, nearest(version))
    shape(site)
    profile = structs.profile(arch, version, lock_size)
    memory = NodeMemory(arch, profile)
    memory.map(site.tree, bytearray(64), "struct maple_tree")
    memory.set_ma_flags(site.tree, site.mem.ma_flags(site.tree))
    memory.set_ma_root(site.tree, site.mem.ma_root(site.tree))
    count = len(site.machine.cache.freed_map)
    present = [
        node for i in range(count) if (node := site.machine.cache.address(i)) not in site.missing
    ]
    for node in present[: int(len(present) * site.kept)]:
        memory.map(node, bytearray(site.mem.read(node, NODE_SIZE)), "a node")
    image = Image(arch, profile, memory, site.tree, "corpus", "core")
    return Built(image, tuple(site.expected), site.kept)


def _captured(name: str) -> Built:
    """A capture that comes with this package."""
    file = resources.files("layout.testing.conformance").joinpath("captures", f"{name}.json.xz")
    data = lzma.decompress(file.read_bytes())
    image = read_capture(data, name)
    rows = (
        [number.number(image.arch.ulong_max) for number in row.items()]
        for row in parse(data, name)["entries"].items()
    )
    return Built(image, tuple((first, last, entry) for first, last, entry in rows if entry))
