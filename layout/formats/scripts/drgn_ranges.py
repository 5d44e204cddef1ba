"""List the ranges of a maple tree with drgn's own mt_for_each().

Usage: python3 FILE [CORE [TREE]], TREE being the tree's address in hex; the core's types lie
beside it, in CORE.types. Prints a line "first last entry" in hex for each range.
"""

from __future__ import annotations

import sys
from pathlib import Path

CORE = ""
TREE = ""


def main(core: str, tree: str) -> None:
    """Print the ranges of the tree at ``tree``."""
    import drgn
    from drgn.helpers.linux.mapletree import mt_for_each

    prog = drgn.Program()
    prog.set_core_dump(core)
    types = prog.extra_module("maple-layout", create=True)
    types.try_file(f"{core}.types", force=True)
    mt = drgn.Object(prog, "struct maple_tree *", int(tree, 16))
    for first, last, entry in mt_for_each(mt, advanced=True):
        print(f"{first:x} {last:x} {entry.value_():x}")


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).resolve().parent))  # this file may be called drgn.py
    given = sys.argv[1:]
    core = given[0] if given else str(Path(__file__).with_name(CORE))
    main(core, given[1] if given[1:] else TREE)
