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
    "border moved up": [*_TWENTY, "store 2000 3bff 99001"],
    "border moved down": [*_TWENTY, "store 1400 2fff 99001"],
    "leaf split": [*_EIGHT, *_SIXTY[9:16], "store 9400 97ff 99001"],
    "rebalance": [*_SIXTY[:17], "store 10000 107ff 0"],
    "span": [*_SIXTY, "store 8000 1afff 99001"],
    "erased": [*_EIGHT, "erase 2000"],
    "emptied": [*_EIGHT, "store 0 TOP 0"],
    "destroyed": [*_EIGHT, "destroy"],
}
"""Name to lines, without the first, which makes the tree."""


TOGETHER = {
    "first node": ["store 2000 2fff 2001", "store 1800 27ff 3001"],
    "single entry": ["store 1000 1fff 2001", "erase 0"],
    "root replaced": ["store 1000 1fff 2001", "store 1400 17ff 3001"],
    "leaf replaced": ["store 2800 2bff 89001", "store 3000 3fff 79001"],
    "exact fit": ["store 2400 27ff 89001", "store 2000 2fff 79001"],
    "border moved": ["store 3000 3fff 89001", "store 2000 2fff 79001"],
    "border moved up": ["store 1000 39ff 89001", "store 1000 23ff 79001"],
    "border moved down": ["store 1800 3fff 89001", "store 1600 3fff 79001"],
    "leaf split": ["store 9800 9bff 89001", "store 9000 e7ff 79001"],
    "rebalance": ["store f000 f7ff 0", "store f000 107ff 89001"],
    "span": ["store 9000 9fff 89001", "store 7000 8fff 79001"],
    "erased": ["store 2000 2fff 89001", "store 1000 2fff 79001"],
    "emptied": ["store 1000 1fff 1001", "store 1800 27ff 2001"],
    "destroyed": ["store 1000 1fff 1001", "store 1800 27ff 2001"],
}
"""Lines behind those of TRACES, which change the same leaf or its parent."""


def text(name, flags=2, top=2**64 - 1):
    """A trace as text."""
    lines = [f"init {flags:x}", *TRACES[name]]
    return "\n".join(lines).replace("TOP", f"{top:x}") + "\n"


def operations(name, arch, flags=2, more=0):
    """A trace for a machine, with ``more`` lines of TOGETHER behind it."""
    lines = [*text(name, flags, arch.ulong_max).splitlines(), *TOGETHER[name][:more]]
    return list(parse(lines, arch.ulong_max))
