"""List the entries of a maple tree with volatility3's own walker of maple trees.

Usage: python3 FILE [CORE [TREE]], TREE being the tree's address in hex; the symbols lie beside
the core, in CORE.isf. Prints a line with an entry in hex for each slot that the walker yields:
it tells no ranges. Needs volatility3 2.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

CORE = ""
TREE = ""
ISF = ""


def segments(path: str) -> tuple[int, list[tuple[int, bytes]]]:
    """The size of an address in bits, and address and bytes of each PT_LOAD of an ELF core."""
    data = Path(path).read_bytes()
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    at = struct.unpack_from(order + ("Q" if wide else "I"), data, 32 if wide else 28)[0]
    size, count = struct.unpack_from(f"{order}2H", data, 54 if wide else 42)
    found = []
    for i in range(count):
        if wide:
            kind, _, offset, address, _, length = struct.unpack_from(
                f"{order}2I4Q", data, at + i * size
            )
        else:
            kind, offset, address, _, length = struct.unpack_from(f"{order}5I", data, at + i * size)
        if kind == 1:
            found.append((address, data[offset : offset + length]))
    return 64 if wide else 32, found


def main(core: str, tree: str, isf: str) -> None:
    """Print the entries of the tree at ``tree``."""
    from volatility3.framework import contexts, exceptions, interfaces
    from volatility3.framework.symbols import intermed
    from volatility3.framework.symbols.linux import extensions

    bits, pieces = segments(core)

    class Segments(interfaces.layers.DataLayerInterface):  # type: ignore[misc]
        """The core's segments; addresses have all the bits that a pointer has."""

        minimum_address = 0
        maximum_address = (1 << bits) - 1

        def read(self, offset: int, length: int, pad: bool = False) -> bytes:  # noqa: FBT001, FBT002
            for address, data in pieces:
                if address <= offset and offset + length <= address + len(data):
                    return data[offset - address : offset - address + length]
            if pad:
                return bytes(length)
            raise exceptions.InvalidAddressException(self.name, offset, f"no memory at {offset:x}")

        def is_valid(self, offset: int, length: int = 1) -> bool:
            return any(a <= offset and offset + length <= a + len(data) for a, data in pieces)

        def write(self, offset: int, data: bytes) -> None:
            raise NotImplementedError

        @classmethod
        def get_requirements(cls) -> list[Any]:
            return []

    context = contexts.Context()
    context.add_layer(Segments(context, "memory", "memory"))
    context.symbol_space.append(
        intermed.IntermediateSymbolTable(
            context,
            "symbols",
            "maple",
            Path(isf).resolve().as_uri(),
            class_types={"maple_tree": extensions.maple_tree},
        )
    )
    mt = context.object("maple!maple_tree", layer_name="memory", offset=int(tree, 16))
    for slot in mt.get_slot_iter():
        print(f"{int(slot):x}")


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).resolve().parent))  # this file may be called volatility3.py
    given = sys.argv[1:]
    if given:
        main(given[0], given[1] if given[1:] else TREE, f"{given[0]}.isf")
    else:
        here = Path(__file__)
        main(str(here.with_name(CORE)), TREE, str(here.with_name(ISF)))
