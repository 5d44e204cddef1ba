"""Addresses of trees by name, from drgn: an optional extra that needs the kernel's debug info."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from layout.images.bydrgn import dump_file, quiet, try_out
from layout.images.packed import open_bytes
from layout.memory.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def tree_address(
    path: str, *, symbol: str | None = None, task: int | None = None, debug_info: Sequence[str] = ()
) -> int:
    """The virtual address of the tree called ``symbol``, or of the memory map of process ``task``.

    ``debug_info`` are files such as vmlinux; without any drgn looks where distributions put them.
    Raises InputError, UsageError.
    """
    prog, drgn = _program(path, debug_info)
    what = f"--symbol {symbol}" if symbol is not None else f"--task {task}"
    try:
        if symbol is not None:
            found = prog[symbol]
            if "maple_tree" not in found.type_.type_name():
                message = f"{what}: {symbol} is of type {found.type_.type_name()}: name a tree"
                raise UsageError(message)
            pointer = found if found.address_ is None else found.address_of_()
            return int(pointer.value_())
        from drgn.helpers.linux.pid import find_task  # noqa: PLC0415 - an optional extra

        process = find_task(prog, task)
        if not process or not process.mm:
            message = f"{what}: {path} has no process {task} with a memory map: give another PID"
            raise UsageError(message)
        return int(process.mm.mm_mt.address_of_().value_())
    except (LookupError, AttributeError, drgn.FaultError) as error:
        why = " ".join(str(error).split())
        message = (
            f"{what} is not found in {path} ({why}): give --debug-info vmlinux, or --tree ADDR"
        )
        raise UsageError(message) from None


def _program(path: str, debug_info: Sequence[str]) -> tuple[Any, Any]:
    """drgn's program for a dump, with debug info, and drgn itself. Raises InputError."""
    try:
        import drgn  # noqa: PLC0415 - an optional extra
    except ImportError:
        message = (
            "--symbol and --task need drgn: pip install 'maple-layout[drgn]', or give --tree ADDR "
            f"(maple-layout scan {path} lists those that it finds)"
        )
        raise UsageError(message) from None
    for name in debug_info:
        with Path(name).open("rb"):
            pass  # drgn would only log that it is not there
    quiet()
    data, source = open_bytes(path)
    number = dump_file(data, source)
    try_out(number, None, None, source)
    prog = drgn.Program()
    try:
        prog.set_core_dump(number)
        if debug_info:
            prog.load_debug_info([*debug_info])
        else:
            prog.load_default_debug_info()
    except drgn.MissingDebugInfoError:
        pass  # the look-up tells what is missing
    except (OSError, InputError):
        raise
    except Exception as error:  # noqa: BLE001 - drgn and its libraries raise several types
        why = " ".join(str(error).split()) or type(error).__name__
        message = f"{source}: drgn can't read this dump ({why}): give --tree ADDR"
        raise InputError(message) from None
    return prog, drgn
