"""Traces that readers run beside; each is named by what its last line does."""

from layout.traces.trace import parse

_EIGHT = [f"store {0x1000 * i:x} {0x1000 * i + 0xFFF:x} {0x1000 * i + 0x1001:x}" for i in range(8)]
_TWENTY = [
    f"store {0x1000 * i:x} {0x1000 * i + 0xFFF:x} {0x1000 * i + 0x1001:x}" for i in range(20)
]
_SIXTY = [f"store {0x1000 * i:x} {0x1000 * i + 0x7FF:x} {0x1000 * i + 0x1001:x}" for i in range(60)]

TRACES = {
    "first node": ["store 1000 1fff 1001"],
    "single entry": ["store 0 0 1001"],
    "root replaced": [*_EIGHT, "store 0 ffffffff 1001", "store 0 TOP 99001"],
    "leaf replaced": [*_EIGHT, "store 2400 27ff 99001"],
    "exact fit": [*_EIGHT, "store 2000 2fff 99001"],
    "border moved": [*_TWENTY, "store 2000 37ff 99001"],
    "leaf split": [*_EIGHT, *_SIXTY[9:16], "store 9400 97ff 99001"],
    "rebalance": [*_SIXTY[:17], "store 10000 107ff 0"],
    "span": [*_SIXTY, "store 8000 1afff 99001"],
    "erased": [*_EIGHT, "erase 2000"],
    "emptied": [*_EIGHT, "store 0 TOP 0"],
    "destroyed": [*_EIGHT, "destroy"],
}
"""Name to lines, without the first, which makes the tree."""


def text(name, flags=2, top=2**64 - 1):
    """A trace as text."""
    lines = [f"init {flags:x}", *TRACES[name]]
    return "\n".join(lines).replace("TOP", f"{top:x}") + "\n"


def operations(name, arch, flags=2):
    """A trace for a machine."""
    return list(parse(text(name, flags, arch.ulong_max).splitlines(), arch.ulong_max))
