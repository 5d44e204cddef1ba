"""Inputs of the verbs: runs a trace, or reads a capture, core or dump; the result is an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import arches
from layout.images.kinds import kind_of, parse_address
from layout.images.opening import NAMES as _NAMES
from layout.images.opening import read_image
from layout.images.packed import open_bytes, read_bytes, whole
from layout.images.treestruct import Known
from layout.memory.errors import InputError, UsageError
from layout.memory.limits import LIMIT
from layout.memory.structs import DEFAULT_VERSION
from layout.traces.othertext import other_text, refuse_other_text
from layout.traces.snapshot import operations, snapshot
from layout.traces.source import TraceText
from layout.tree.versions import kernel_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arches import Arch
    from layout.images.image import Image
    from layout.traces.trace import Operation


def open_trace(path: str, arch: Arch) -> Iterator[Operation]:
    """The operations of a trace file, packed by xz or not; ``-`` is stdin.

    Raises OSError, InputError; TraceError while it is iterated.
    """
    return operations(read_trace(path), arch)


def read_trace(path: str) -> TraceText:
    """The text of a trace file. Raises OSError, InputError."""
    text = TraceText.open(path)
    if text is None:
        source = "stdin" if path == "-" else path
        data = read_bytes(path)
        kind = kind_of(data, source) if data else "trace"
        if kind != "trace":
            message = f"{source} is {_NAMES[kind]}: give a trace"
            raise InputError(message)
        text = TraceText(data, source)
    refuse_other_text(text)
    return text


def load(  # noqa: PLR0913 - the options that every verb with an input has
    path: str,
    *,
    tree: str | None = None,
    arch: Arch | None = None,
    kernel: str | None = None,
    lock_size: int | None = None,
    config: str | None = None,
    at: int | None = None,
    limit: int = LIMIT,
    base: str | None = None,
    direct_map: str | None = None,
) -> Image:
    """The image in a file, whatever its kind; ``-`` is stdin.

    ``tree`` is the number of a trace's tree or a hex address, ``at`` the trace line after
    which the tree is looked at, ``limit`` what one of its lines may ask for, ``kernel`` the
    version that runs it. ``base`` is the
    address of a file's first byte, ``direct_map`` the virtual address of physical address 0,
    both in hex. Raises OSError, InputError, UsageError; for traces also what running them
    raises.
    """
    first = None if base is None else parse_address(base, "--base")
    text = TraceText.open(path) if first is None else None
    if text is not None and other_text(text) is not None:
        text = None  # a log may show memory further down
    if text is None:
        data, source = open_bytes(path)
        kind = kind_of(data, source, binary=arch is not None or first is not None)
        if first is not None and kind != "paste":
            kind = "memory"
        if kind == "trace":
            text = TraceText(whole(data, source), source)
    if text is not None:
        _check_lock(lock_size, config)
        version = kernel_of(DEFAULT_VERSION if kernel is None else kernel).version
        refuse_other_text(text)
        machine = arch or arches.get("x86_64")
        return snapshot(text, arch=machine, version=version, tree=tree, at=at, limit=limit)
    if at is not None:
        message = f"--at is for traces, but {source} is {_NAMES[kind]}: leave it out"
        raise UsageError(message)
    address = None if tree is None else parse_address(tree)
    folder = Path() if path == "-" else Path(path).parent
    start = None if direct_map is None else parse_address(direct_map, "--direct-map")
    known = Known(kernel, lock_size, config)
    return read_image(
        data,
        source,
        kind,
        folder=folder,
        tree=address,
        arch=arch,
        known=known,
        base=first,
        direct_map=start,
    )


def _check_lock(lock_size: int | None, config: str | None) -> None:
    """Refuse other locks than a trace's machine has. Raises UsageError."""
    if lock_size not in (None, 4) or config is not None:
        option = "--lock-size" if config is None else "--config"
        message = f"trees of traces have a 4-byte lock: leave out {option}"
        raise UsageError(message)
