"""Symbols for volatility3: its Intermediate Symbol Format, JSON, made from the declared structs.

Members of unnamed structs and unions have their offsets in the enclosing struct, as from
volatility3's own converter. The only symbol is ``maple_tree``, the tree of the image.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layout.memory.structs import Profile

_FORMAT = "6.2.0"
_LEFT_OUT = ("u8", "const ", "struct [")
"""How the types start of members that no reader of trees wants: of locks, and of maple_copy."""

_ARRAY = re.compile(r"(.*?) ?\[(\d+)\]")


def symbols(profile: Profile, tree: int) -> dict[str, object]:
    """The ISF of a kernel profile, with the tree at ``tree``."""
    order, word_size = profile.arch.byteorder, profile.arch.word_size
    integers = {"unsigned long": word_size, "pointer": word_size, "unsigned int": 4}
    types = {
        name: {"size": size, "signed": False, "kind": "int", "endian": order}
        for name, size in integers.items()
    }
    types["unsigned char"] = {"size": 1, "signed": False, "kind": "char", "endian": order}
    types["void"] = {"size": 0, "signed": False, "kind": "void", "endian": order}
    return {
        "metadata": {"format": _FORMAT, "producer": {"name": "maple-layout", "version": "1"}},
        "base_types": types,
        "user_types": {name: _user_type(profile, name) for name in profile.structs},
        "enums": {
            name: {
                "size": 4,
                "base": "unsigned int",
                "constants": {value: i for i, value in enumerate(values)},
            }
            for name, values in profile.enums.items()
        },
        "symbols": {"maple_tree": {"address": tree, "type": _reference("struct maple_tree")}},
    }


def _user_type(profile: Profile, name: str) -> dict[str, object]:
    layout = profile.layout(name)
    fields = {}
    for member in layout.members:
        plain = not member.type.isidentifier() and not member.type.startswith(_LEFT_OUT)
        if plain and "." not in member.name:  # no lock, nothing in one
            fields[member.name] = {"offset": member.offset, "type": _reference(member.type)}
    return {"kind": "struct", "size": layout.size, "fields": fields}


def _reference(ctype: str) -> dict[str, object]:
    """A C type as ISF refers to it."""
    if array := _ARRAY.fullmatch(ctype):
        return {"kind": "array", "count": int(array[2]), "subtype": _reference(array[1])}
    if "(*)" in ctype:
        return {"kind": "pointer", "subtype": {"kind": "function"}}
    if ctype.endswith("*"):
        return {"kind": "pointer", "subtype": _reference(ctype[:-1].rstrip())}
    word, _, name = ctype.partition(" ")
    if word in ("struct", "enum"):
        return {"kind": word, "name": name}
    return {"kind": "base", "name": ctype}
