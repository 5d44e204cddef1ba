"""Inputs of the verbs: runs a trace, or reads a capture, core or dump; the result is an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import arches
from layout.images.kinds import kind_of, parse_address, read_bytes
from layout.memory.errors import InputError, UsageError
from layout.memory.limits import LIMIT
from layout.memory.structs import short_version
from layout.traces.snapshot import operations, snapshot
from layout.traces.source import TraceText

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arches import Arch
    from layout.images.image import Image
    from layout.traces.trace import Operation

_TRACE_KERNEL = "6.12"


def open_trace(path: str, arch: Arch) -> Iterator[Operation]:
    """The operations of a trace file, packed by xz or not; ``-`` is stdin.

    Raises OSError, InputError; TraceError while it is iterated.
    """
    return operations(read_trace(path), arch)


def read_trace(path: str) -> TraceText:
    """The text of a trace file. Raises OSError, InputError."""
    text = TraceText.open(path)
    if text is not None:
        return text
    source = "stdin" if path == "-" else path
    data = read_bytes(path)
    kind = kind_of(data, source) if data else "trace"
    if kind != "trace":
        message = f"{source} is a {kind}: give a trace"
        raise InputError(message)
    return TraceText(data, source)


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
) -> Image:
    """The image in a file, whatever its kind; ``-`` is stdin.

    ``tree`` is the number of a trace's tree or a hex address, ``at`` the trace line after
    which the tree is looked at, ``limit`` what one of its lines may ask for.
    Raises OSError, InputError, UsageError; for traces also what running them raises.
    """
    source = "stdin" if path == "-" else path
    text = TraceText.open(path)
    data = b"" if text is not None else read_bytes(path)
    kind = "trace" if text is not None else kind_of(data, source)
    if kind == "trace":
        _check_trace_kernel(kernel, lock_size, config)
        machine = arch or arches.get("x86_64")
        text = text or TraceText(data, source)
        return snapshot(text, arch=machine, tree=tree, at=at, limit=limit)
    if at is not None:
        message = f"--at is for traces, but {source} is a {kind}: leave it out"
        raise UsageError(message)
    address = None if tree is None else parse_address(tree)
    if kind == "core":
        from layout.images.core import read_core  # noqa: PLC0415 - only what is needed

        return read_core(
            data,
            source,
            tree=address,
            arch=arch,
            kernel=kernel,
            lock_size=lock_size,
            config=config,
        )
    if kind == "raw":
        from layout.images.raw import read_raw  # noqa: PLC0415

        folder = Path() if path == "-" else Path(path).parent
        return read_raw(
            data,
            source,
            folder,
            tree=address,
            arch=arch,
            kernel=kernel,
            lock_size=lock_size,
            config=config,
        )
    if kind == "dump":
        from layout.images.dumpfile import read_dump  # noqa: PLC0415

        return read_dump(data, source, arch=arch, tree=address)
    from layout.images.capture import read_capture  # noqa: PLC0415

    return read_capture(data, source, arch=arch, tree=address)


def _check_trace_kernel(kernel: str | None, lock_size: int | None, config: str | None) -> None:
    """A trace runs as one kernel does. Raises UsageError for another."""
    if kernel is not None and short_version(kernel) != _TRACE_KERNEL:
        message = f"traces are run as Linux {_TRACE_KERNEL} does: leave out --kernel {kernel[:40]}"
        raise UsageError(message)
    if lock_size not in (None, 4) or config is not None:
        option = "--lock-size" if config is None else "--config"
        message = f"trees of traces have a 4-byte lock: leave out {option}"
        raise UsageError(message)
