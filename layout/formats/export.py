"""The files of each export format, and the command that opens them."""

from __future__ import annotations

import json
from importlib import resources
from shlex import quote
from typing import TYPE_CHECKING

from layout.formats import elf_core, raw_writer
from layout.formats.dwarf_writer import type_file
from layout.formats.isf import symbols
from layout.formats.segments import segments
from layout.host.files import Output

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from layout.images.image import Image
    from layout.memory.structs import Profile


def export(image: Image, kind: str, path: Path, *inputs: str) -> list[str]:
    """Write the image to ``path`` and files beside it; returns the commands that open it.

    ``kind`` is one of FORMATS. None of the ``inputs`` is written over. Raises OSError; UsageError
    for an image that the format has no room for.
    """
    with Output(*inputs) as files:
        return FORMATS[kind](image, path, files)


def beside(path: Path, suffix: str) -> Path:
    """The file beside ``path`` that has its name and ``suffix``."""
    return path.with_name(path.name + suffix)


def write_core(image: Image, path: Path, files: Output) -> None:
    """Write an ELF core, and its types to ``path``.types."""
    put_core(elf_core.core(image.arch, segments(image.memory)), image.profile, path, files)


def put_core(core: bytes, profile: Profile, path: Path, files: Output) -> None:
    """Write a core's bytes to ``path``, and its types to ``path``.types.

    Output closes what was begun first last: gdb warns of a core older than the file of its types.
    """
    files.write(path, core)
    files.write(beside(path, ".types"), type_file(profile))


def write_symbols(image: Image, path: Path, files: Output) -> None:
    """Write an ISF for volatility3."""
    files.write(path, json.dumps(symbols(image.profile, image.tree), indent=1) + "\n")


def script(name: str, **constants: str) -> str:
    """The text of a script, with its constants set."""
    text = resources.files("layout.formats.scripts").joinpath(f"{name}.py").read_text()
    for constant, value in constants.items():
        text = text.replace(f'\n{constant} = ""\n', f"\n{constant} = {json.dumps(value)}\n", 1)
    return text


def _elf(image: Image, path: Path, files: Output) -> list[str]:
    write_core(image, path, files)
    core, types = quote(str(path)), quote(str(beside(path, ".types")))
    profile = image.profile
    lock = f"--config {profile.config}" if profile.config else f"--lock-size {profile.lock_size}"
    kernel = f"--kernel {profile.version} {lock}"
    return [
        f"gdb-multiarch -q {types} {core} -ex 'print *(struct maple_tree *)0x{image.tree:x}'",
        f"drgn -c {core} --extra-symbols {types} --no-default-symbols",
        f"maple-layout decode {core} --tree {image.tree:x} {kernel}",
    ]


def _raw(image: Image, path: Path, files: Output) -> list[str]:
    pieces = segments(image.memory)
    files.write(path, b"".join(piece.data for piece in pieces))
    places = beside(path, ".json")
    doc = raw_writer.description(image, path.name, raw_writer.end_to_end(pieces))
    files.write(places, json.dumps(doc, indent=1) + "\n")
    return [f"maple-layout decode {quote(str(places))}"]


def _drgn(image: Image, path: Path, files: Output) -> list[str]:
    core = beside(path, ".core")
    files.write(path, script("drgn_ranges", CORE=core.name, TREE=f"{image.tree:x}"))
    write_core(image, core, files)
    return [f"python3 {quote(str(path))}"]


def _gdb(image: Image, path: Path, files: Output) -> list[str]:
    core = beside(path, ".core")
    # gdb takes a file for Python only by its name, so the Python stands in a command
    files.write(path, f"python\n{script('gdb_ranges', TREE=f'{image.tree:x}')}end\n")
    write_core(image, core, files)
    types, names = quote(str(beside(core, ".types"))), (quote(str(core)), quote(str(path)))
    return [f"gdb-multiarch -q {types} {names[0]} -x {names[1]} -ex maple-ranges"]


def _isf(image: Image, path: Path, files: Output) -> list[str]:
    walker, core = beside(path, ".py"), beside(path, ".core")
    write_symbols(image, path, files)
    files.write(core, elf_core.core(image.arch, segments(image.memory)))
    constants = {"CORE": core.name, "TREE": f"{image.tree:x}", "ISF": path.name}
    files.write(walker, script("volatility3_entries", **constants))
    return [f"python3 {quote(str(walker))}"]


FORMATS: dict[str, Callable[[Image, Path, Output], list[str]]] = {
    "elf": _elf,
    "raw": _raw,
    "drgn": _drgn,
    "gdb": _gdb,
    "isf": _isf,
}
"""What writes each format."""
