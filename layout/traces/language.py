"""How an operation of the trace language is declared; :mod:`layout.traces.operations` has them all.

A declaration says what the operation is called, what it takes, which function of the kernel it
calls, what it changes and which keys its transcript line has. Parser, runner, generators, the C
harness and the documentation follow from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from layout.memory.slab import GFP_KERNEL, GFP_NOWAIT
from layout.traces.session import state_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from layout.traces.session import Line, Session

    Function = Callable[..., Line]
    """What carries an operation out: it takes a Session, then the arguments as numbers."""

_GFP = {"GFP_KERNEL": GFP_KERNEL, "GFP_NOWAIT": GFP_NOWAIT}

NO_LIMIT = -1
"""The first argument of ``fail -``: no more failures."""


class Kind(Enum):
    """What a number of a trace line stands for."""

    INDEX = "index"
    ENTRY = "entry"
    COUNT = "count"
    TREE = "tree"
    FLAGS = "flags"
    SWITCH = "on or off"
    ADDRESS = "address"
    BYTE = "byte"


class Argument(NamedTuple):
    """An argument: its name in the usage of an operation, what it stands for, its meaning."""

    name: str
    kind: Kind
    meaning: str


ARGUMENTS = {
    argument.name: argument
    for argument in (
        Argument("A", Kind.INDEX, "the first index of the range"),
        Argument("B", Kind.INDEX, "the last index of the range"),
        Argument("V", Kind.ENTRY, "the entry to store; 0 is NULL"),
        Argument("I", Kind.INDEX, "an index"),
        Argument("LAST", Kind.INDEX, "the last index of the state's range; I if left out"),
        Argument("MAX", Kind.INDEX, "the largest index to look at"),
        Argument("MIN", Kind.INDEX, "the smallest index to look at"),
        Argument("SIZE", Kind.COUNT, "how many indexes the free area has to have"),
        Argument("LO", Kind.INDEX, "the smallest index allowed"),
        Argument("HI", Kind.INDEX, "the largest index allowed"),
        Argument("NEXT", Kind.INDEX, "the index from which the search starts"),
        Argument("K", Kind.TREE, "a tree's number, 0 to 7"),
        Argument("F", Kind.FLAGS, "ma_flags; 1 tracks gaps, 2 is RCU mode"),
        Argument("on|off", Kind.SWITCH, "whether RCU mode is on"),
        Argument("N", Kind.COUNT, "a number of nodes or entries; - ends the injection"),
        Argument("CALLS", Kind.COUNT, "after how many refusals the injection ends"),
        Argument("EXPECTED", Kind.COUNT, "how many entries mas_expected_entries() is told"),
        Argument("COUNT", Kind.COUNT, "how many entries are stored"),
        Argument("FIRST", Kind.INDEX, "the first index of the first range"),
        Argument("STEP", Kind.COUNT, "from one range's first index to the next one's"),
        Argument("LEN", Kind.COUNT, "how many indexes each range has"),
        Argument("VALUE", Kind.ENTRY, "the first entry; each further one is 0x1000 more"),
        Argument("ADDR", Kind.ADDRESS, "a virtual address"),
        Argument("OFFSET", Kind.COUNT, "bytes from that address"),
        Argument("BYTE", Kind.BYTE, "what is written"),
    )
}
"""Every argument that operations take, by its name."""


class Group(Enum):
    """What operations are alike; the value is the heading in the documentation."""

    TREES = "Trees"
    STORES = "Stores"
    ALLOCATIONS = "Stores into a free area"
    READS = "Reads"
    GAPS = "Free areas"
    RESERVES = "Preallocated nodes"
    CURSOR = "The cursor: one state kept between lines"
    FORWARD = "The cursor, forward"
    BACKWARD = "The cursor, backward"
    CURSOR_STORES = "The cursor, stores"
    MEMORY = "Allocation failures"
    LOOKS = "Looking at trees and memory"


CURSOR_GROUPS = frozenset({Group.CURSOR, Group.FORWARD, Group.BACKWARD, Group.CURSOR_STORES})


class Audience(Enum):
    """Who sees what a key of the transcript tells."""

    CALLER = "caller"  # a caller of the kernel's function
    STATE = "state"  # the kernel: states and allocations
    MEMORY = "memory"  # nobody but who looks at raw memory: it differs by byte order


class Key(NamedTuple):
    """A key of a transcript line: its form as JSON, its meaning, and who sees it."""

    form: str
    meaning: str
    seen: Audience = Audience.STATE


_STATE = {
    "index": Key("hex", "the first index of the range found", Audience.CALLER),
    "last": Key("hex", "the last index of the range found", Audience.CALLER),
    "status": Key("text", "mas->status, without its ma_"),
    "node": Key("hex", "mas->node: the node's address with its type in the low byte"),
    "min": Key("hex", "the smallest index of the node"),
    "max": Key("hex", "the largest index of the node"),
    "offset": Key("integer", "the slot in the node"),
    "end": Key("integer", "the last slot in use in the node"),
    "depth": Key("integer", "mas->depth"),
}
_TAIL = {
    "ac": Key(
        "list",
        "the allocation calls in order: k may block, n may not; 1 one node, bN a bulk of N; "
        "! in front was refused",
    ),
    "fr": Key("list", "the numbers of the nodes freed, in order"),
    "na": Key("integer", "nodes allocated so far"),
    "nf": Key("integer", "nodes freed so far"),
    "root": Key("hex", "ma_root"),
    "flags": Key("hex", "ma_flags"),
}
_HEAD = {"n": Key("integer", "the number of the trace's line"), "op": Key("text", "the operation")}
_ANY = {
    "error": Key("text", "that this kernel has no such function; the run goes on"),
    "rcu": Key("integer", "RCU callbacks that ran after the operation"),
    "warn": Key("integer", "kernel warnings raised"),
    "warn_last": Key("text", "where in the C code the last warning is; transcripts of C only"),
    "printk": Key("text", "what the kernel printed"),
    "fault": Key(
        "object",
        "what stopped the machine: kind, address, message, operation, and the cursor's state; "
        "the run ends",
        Audience.CALLER,
    ),
    "reports": Key("list", "what run --check found: accesses to bytes that are something else"),
    "ledger": Key("object", "what run --ledger counted"),
    "sum": Key("hex", "a checksum of all memory, for kernel diff"),
}
KEYS = {
    "ret": Key(
        "integer",
        "what the function returned: 0 or a negative errno; 1 where alloc_cyclic went on at LO",
        Audience.CALLER,
    ),
    "err": Key("integer", "the error in the state; 0 if there is none", Audience.CALLER),
    "entry": Key("hex", "the entry found, or the one that was there; 0 is NULL", Audience.CALLER),
    "start": Key("hex", "the first index of the area that was taken", Audience.CALLER),
    "next": Key("hex", "where the next search would start", Audience.CALLER),
    "ranges": Key("list", "[first, last, entry] of each range in hex", Audience.CALLER),
    "ok": Key("boolean", "whether the tree is valid", Audience.CALLER),
    "tree": Key("hex", "the tree's address; of sel its number"),
    "droot": Key("hex", "ma_root of the copy"),
    "dflags": Key("hex", "ma_flags of the copy"),
    "store_type": Key("integer", "mas->store_type"),
    "requested": Key("integer", "nodes requested by mas_preallocate()"),
    "allocated": Key("integer", "nodes that the state holds"),
    "leftover": Key("integer", "nodes given back after the store"),
    "total": Key("integer", "nodes that the state holds"),
    "left": Key("integer", "nodes that the state holds after the last store"),
    "err_at": Key("integer", "which store failed, from 0", Audience.CALLER),
    "nodes": Key("list", "nodes: addr, hex (256 raw bytes), type", Audience.MEMORY),
    "mem": Key("list", "every node ever handed out: addr, hex, freed", Audience.MEMORY),
    "hex": Key("hex", "raw bytes in memory order", Audience.MEMORY),
    "text": Key("text", "what mt_dump() printed", Audience.MEMORY),
    "was": Key("hex", "the byte that was there", Audience.MEMORY),
    **_STATE,
    **_TAIL,
    **_HEAD,
    **_ANY,
}
"""Every key of a transcript line."""

RESULTS = frozenset(name for name, key in KEYS.items() if key.seen is Audience.CALLER)
"""Keys that a caller of the kernel sees; the others are states, allocations and memory."""

HEAD, STATE, TAIL, ANY = tuple(_HEAD), tuple(_STATE), tuple(_TAIL), tuple(_ANY)
"""Keys that every line starts with; that stand for a state; that a line ends with which may have
changed the tree; that any line may have."""


@dataclass(frozen=True)
class Declaration:
    """An operation of the trace language.

    ``usage`` are its arguments as a line has them: ``[X]`` may be left out, ``...`` is ignored,
    ``or -`` means that a single ``-`` may stand there. ``help`` is its meaning, ``returns`` are
    the keys of its line, without TAIL, which it has if it ``changes`` the tree. ``calls`` is the
    call of the kernel in C, on ``tree``, ``cursor`` or ``mas``: a new state for the arguments
    that are not in the call; ``&`` marks what comes back. ``function`` carries the operation out
    where it is more than that call. ``needs`` is a kernel function that early kernels lack.
    """

    name: str
    usage: str
    group: Group
    help: str
    returns: tuple[str, ...]
    function: Function | None = None
    calls: str = ""
    changes: bool = False
    needs: str = ""

    @cached_property
    def line(self) -> str:
        """How a line reads: the name and the usage."""
        return f"{self.name} {self.usage}".rstrip()

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """The arguments, those included that may be left out."""
        return tuple(ARGUMENTS[word.strip("[]")] for word in self._words)

    @cached_property
    def required(self) -> int:
        """How many arguments may not be left out."""
        return sum(not word.startswith("[") for word in self._words)

    @cached_property
    def _words(self) -> list[str]:
        return self.usage.removesuffix(" or -").removesuffix("...").split()

    @cached_property
    def ignores_more(self) -> bool:
        """Whether further arguments are ignored."""
        return self.usage.endswith("...")

    @cached_property
    def may_be_off(self) -> bool:
        """Whether a single ``-`` is understood; it is NO_LIMIT."""
        return self.usage.endswith(" or -")

    @cached_property
    def moves_cursor(self) -> bool:
        """Whether it uses the cursor, and so needs a ``cset`` before it."""
        return self.group in CURSOR_GROUPS and self.name != "cset"

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """All keys that its line may have."""
        return (*HEAD, *self.returns, *(TAIL if self.changes else ()), *ANY)

    @cached_property
    def shows_memory(self) -> bool:
        """Whether it shows raw memory, which differs by byte order."""
        return any(KEYS[key].seen is Audience.MEMORY for key in self.returns)

    @cached_property
    def callee(self) -> str:
        """The name of the kernel's function; empty if there is none."""
        return self.calls.partition("(")[0]

    @cached_property
    def call_arguments(self) -> list[str]:
        """What the kernel's function is called with."""
        found = re.search(r"\((.*)\)$", self.calls)
        return found[1].split(", ") if found else []

    @cached_property
    def run(self) -> Function:
        """What carries it out."""
        return self.function or self._call()

    def _call(self) -> Function:
        """The call, from a Session and the arguments; results are in the order of ``returns``."""
        subject, *words = self.call_arguments
        names = [argument.name for argument in self.arguments]
        places = [names.index(bare) for word in words if (bare := word.strip("&")) in names]
        others = [i for i in range(len(names)) if i not in places]
        flags = [_GFP[word] for word in words if word in _GFP]
        with_state = set(STATE) <= set(self.returns)
        keys = [key for key in self.returns if not with_state or key not in STATE]

        def run(session: Session, *args: int) -> Line:
            on: Any
            if subject == "mas":
                on = session.new_state(*[args[i] for i in others])
            else:
                on = getattr(session, subject)
            found = getattr(session.kernel, self.callee)(on, *[args[i] for i in places], *flags)
            values = found if isinstance(found, tuple) else (found,)
            pairs = zip(keys, values, strict=False)
            line = {key: value if key == "ret" else f"{value:x}" for key, value in pairs}
            if with_state and (subject == "cursor" or not line.get("ret")):
                line |= state_line(on)
            return line

        return run


class Section:
    """Operations of one group; the keyword arguments are what most of them have in common."""

    def __init__(self, operations: dict[str, Declaration], group: Group, **common: Any) -> None:
        self._operations = operations
        self._group = group
        self._common = common

    def call(self, line: str, calls: str, text: str, **given: Any) -> None:
        """Declare an operation that is the one call; ``line`` is its name and usage."""
        name, _, usage = line.partition(" ")
        self._add(name, usage, text, None, {"calls": calls, **given})

    def function(self, usage: str = "", **given: Any) -> Callable[[Function], Function]:
        """Declare an operation by the function that carries it out.

        Its name is the function's without the leading ``_``, its help the docstring.
        """

        def add(run: Function) -> Function:
            self._add(run.__name__.removeprefix("_"), usage, run.__doc__ or "", run, given)
            return run

        return add

    def _add(
        self, name: str, usage: str, text: str, run: Function | None, given: dict[str, Any]
    ) -> None:
        values = {**self._common, **given}
        keys: list[str] = []
        for key in values.pop("returns", "").split():
            keys += STATE if key == "state" else [key]
        self._operations[name] = Declaration(
            name, usage, self._group, " ".join(text.split()), tuple(keys), run, **values
        )
