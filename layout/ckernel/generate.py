"""Traces made at random, but with a purpose, for comparing two kernels.

A seed decides everything. The emulator carries out each operation as soon as it is chosen, so
that the next choice can look at the tree: where a leaf ends, whether the cursor may be used.
Operations that the kernel's code is known not to survive are chosen only if asked for.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from layout.ckernel.profiles import ABUSE, DIRECTED, PROFILES, USUAL
from layout.ckernel.sums import SummingRunner
from layout.images.decode import decode
from layout.memory.nodeview import view
from layout.memory.pointers import LEAF_64
from layout.memory.structs import DEFAULT_VERSION
from layout.traces.language import NO_LIMIT
from layout.traces.operations import AREAS, BACKWARD, FORWARD, GAPS, OPERATIONS, READS, farthest
from layout.traces.trace import Operation
from layout.tree.state import MA_ERROR, MA_OVERFLOW, MA_UNDERFLOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from arches import Arch
    from layout.traces.session import Line

_FLAGS = (0, 1, 2, 3, 0, 1, 2, 3, 1, 3, 0x300, 0x301, 0x303, 0x801)
_POOL = 400


class _Ended(Exception):  # noqa: N818 - unwinds to generate() after a fault
    pass


@dataclass(slots=True)
class Generated:
    """A trace, and what the emulator made of it; ``error`` if it broke down at the last line."""

    profile: str
    operations: list[Operation] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    error: str = ""


def generate(  # noqa: PLR0913 - what a trace depends on
    seed: int,
    arch: Arch,
    *,
    abuse: bool = False,
    without: frozenset[str] = frozenset(),
    version: str = DEFAULT_VERSION,
    until: float = math.inf,
    profile: str = "",
) -> Generated:
    """The trace that belongs to a seed on a machine, without operations named ``without``.

    ``version`` is the kernel that carries it out. It is cut off at ``until``, of time.monotonic().
    ``profile`` is one of DIRECTED; without it the seed chooses one of PROFILES.
    """
    maker = _Maker(seed, arch, without, version, abuse=abuse, profile=profile)
    maker.until = until
    made = maker.made
    try:
        maker.make()
    except _Ended:
        pass
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        made.error = f"{type(error).__name__}: {error}"
        made.lines.append({"n": len(made.operations), "error": made.error})
    return made


class _Maker:
    """One trace in the making; every move appends one operation or more."""

    def __init__(  # noqa: PLR0913 - what a trace depends on
        self,
        seed: int,
        arch: Arch,
        without: frozenset[str],
        version: str,
        *,
        abuse: bool,
        profile: str,
    ) -> None:
        pick = self.random = random.Random(seed)  # noqa: S311 - no secret
        self.top = arch.ulong_max
        self.until = math.inf
        self.without = without
        self.runner = SummingRunner(arch, version)
        self.profile = profile or pick.choice(list(PROFILES))
        self.made = Generated(self.profile)
        self.length = pick.choice([60, 120, 200, 300])
        self.terrain = pick.choice(
            ["dense", "small", "pages", "sparse", "low", "high", "rising", "falling", "any width"]
        )
        if self.profile == "edges":
            self.terrain, self.length = "corner", 120
        self.longest = pick.choice([1, 2, 4, 16, 16, 100, 1000])
        self.spanning = pick.choice([0, 0, 0.01, 0.03, 0.1, 0.3])
        self.entries = pick.choice(["values", "pointers", "mixed", "mixed", "many NULLs", "odd"])
        self.number = 0
        self.pool = [0, self.top]
        self.front = pick.choice([0, 1, 0x1000, pick.getrandbits(20)])
        self.back = pick.choice([self.top, 0x4000000])
        self.cursor_set = False
        self.cursor_stale = False
        self.refusing = 0
        self.reading = False
        self.edges = 0
        if self.profile == "bounds":
            self.terrain, self.pool = "bounds", [0, 1, self.top - 1, self.top]
        weights = {**USUAL, **(PROFILES | DIRECTED)[self.profile]}
        if abuse:
            weights |= ABUSE
        self.moves: list[Callable[[], None]] = [getattr(self, f"_{name}") for name in weights]
        self.weights = list(weights.values())

    def make(self) -> None:
        """Set up the trees, make moves, look at everything."""
        pick = self.random
        flags = pick.choice(_FLAGS)
        if self.profile == "allocation" or (self.profile == "bounds" and self.chance(0.7)):
            flags |= 1
        if self.profile == "rcu":
            flags |= 2
        trees = range(1 + 3 * (self.profile == "trees"))
        for number in trees:
            self.do("sel", number)
            self.do("init", flags if not number or self.chance(0.5) else pick.choice(_FLAGS))
        self.do("sel", 0)
        large = self.profile in ("deep", "trees")  # a copy that fails half-way needs a large tree
        if large or self.chance(0.25):
            self._fill(pick.randrange(200, 1200) if large else 0)
        while len(self.made.operations) < self.length and time.monotonic() < self.until:
            pick.choices(self.moves, self.weights)[0]()
        self.do("fail", NO_LIMIT)
        if self.reading:
            self.do("rcu_unlock")
        for number in trees:
            self.do("sel", number)
            for look in ("dump", "treemem", "validate"):
                self.do(look)
            self.do("iter", 0, self.top)
        if self.chance(0.3):
            self.do("destroy")
        self.do("memdump")

    def do(self, op: str, *args: int) -> Line:
        """Append an operation and carry it out."""
        if op in self.without:
            return {}
        made = self.made
        operation = Operation(len(made.operations) + 1, op, args)
        made.operations.append(operation)
        line = self.runner.execute(operation)
        made.lines.append(line)
        if self.runner.faulted:
            raise _Ended
        return line

    # -- choices

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def index(self) -> int:
        """An index where this trace plays, often next to one that was used."""
        pick, terrain = self.random, self.terrain
        if terrain == "bounds":
            return self._edge()
        if self.chance(0.3):
            near = pick.choice(self.pool) + pick.choice([-1, 0, 0, 0, 1])
            return (
                pick.choice([0, 1, self.top - 1, self.top])
                if self.chance(0.03)
                else near & self.top
            )
        bits = self.top.bit_length()
        choose = {
            "dense": lambda: pick.randrange(0x200),
            "small": lambda: pick.randrange(0x1400),
            "pages": lambda: pick.randrange(0x4000) << 12,
            "low": lambda: pick.randrange(0x80),
            "high": lambda: self.top - pick.randrange(0x800),
            "corner": lambda: pick.choice([0, 0, 0, 1, 2, self.top, self.top - 1]),
            "rising": lambda: pick.randrange(self.front + 1) if self.chance(0.3) else self.front,
            "falling": lambda: self.back + pick.randrange(0x400) * self.chance(0.3),
            "sparse": lambda: pick.getrandbits(bits),
            "any width": lambda: pick.getrandbits(pick.randrange(1, bits + 1)),
        }
        return max(0, min(choose[terrain](), self.top))

    def _edge(self) -> int:
        """The first or last index of all, or of a range or leaf, or one beside it."""
        pick, made = self.random, len(self.made.operations)
        if made >= self.edges:
            self.edges = made + 10
            found = decode(self.runner.mem, self.runner.tree)
            edges = [at for first, last, _ in found.ranges for at in (first, last)]
            edges += [at for leaf in found.nodes for at in (leaf.min, leaf.max)]
            self.pool = [0, 0, 1, self.top, self.top, self.top - 1, pick.getrandbits(8), *edges]
        return max(0, min(pick.choice(self.pool) + pick.choice([-2, -1, 0, 0, 0, 1, 2]), self.top))

    def range(self) -> tuple[int, int]:
        """First and last index, both inclusive."""
        pick = self.random
        if self.terrain == "bounds":
            first = self._edge()
            near = first + pick.choice([0, 0, 1, 2, 9, 0x40])
            return first, (max(first, self._edge()) if self.chance(0.3) else min(near, self.top))
        length = pick.randrange(1, self.longest + 1)
        if self.terrain == "rising" and self.chance(0.75):
            first = self.front + pick.choice([0, 0, 0, pick.randrange(20)])
            last = first + length - 1
            self.front = last + 1
        elif self.terrain == "falling" and self.chance(0.75):
            last = self.back - pick.choice([0, 0, 0, pick.randrange(20)])
            first = last - length + 1
            self.back = first - 1
        else:
            first = self.index()
            if self.chance(self.spanning):
                first, last = sorted((first, self.index()))
            elif self.terrain == "pages":
                last = (first & ~0xFFF) + (length << 12) - 1
            elif self.terrain == "sparse":
                last = first + (length << pick.randrange(self.top.bit_length() // 2))
            else:
                last = first + length - 1
        first, last = max(0, min(first, self.top)), max(0, min(last, self.top))
        if self.chance(0.5):
            self._remember(first, last)
        return first, max(first, last)

    def _remember(self, *indexes: int) -> None:
        for index in indexes:
            if len(self.pool) < _POOL:
                self.pool.append(index)
            else:
                self.pool[self.random.randrange(_POOL)] = index

    def entry(self, *, null: float | None = None) -> int:
        """An entry to store: a value, a pointer, NULL, or an odd one."""
        pick = self.random
        usual = {"mixed": 0.15, "many NULLs": 0.5, "odd": 0.15}.get(self.entries, 0.05)
        if self.chance(usual if null is None else null):
            return 0
        self.number += 1
        if self.entries == "odd" and self.chance(0.3):
            return pick.choice([self.top, self.top - 3, pick.getrandbits(31), 0x1006, 0x406])
        if self.entries == "values" or (self.entries != "pointers" and self.chance(0.4)):
            return self.number * 2 + 1
        return self.number * 0x1000

    def limit(self, index: int) -> int:
        return self.top if self.chance(0.6) else max(index, self.index())

    def low_limit(self, index: int) -> int:
        return 0 if self.chance(0.6) else min(index, self.index())

    def size(self) -> int:
        pick = self.random
        if self.terrain == "pages":
            return pick.randrange(1, 64) << 12
        return pick.choice([1, self.top, pick.randrange(1, 2 * self.longest + 2), 0x100])

    def window(self) -> tuple[int, int]:
        low, high = sorted((self.index(), self.index()))
        return (0 if self.chance(0.3) else low), (self.top if self.chance(0.3) else high)

    # -- moves: ordinary stores and reads

    def change(self, op: str, *args: int) -> None:
        """An operation that changes the tree behind the cursor's back."""
        self.do(op, *args)
        self.cursor_stale = True
        if self.refusing:
            self.refusing -= 1
            if not self.refusing:
                self.do("fail", NO_LIMIT)

    def _store(self) -> None:
        # refused without an end, a store that may not block would ask for ever
        op = "storenw" if self.chance(0.1) and not self.refusing else "store"
        self.change(op, *self.range(), self.entry())

    def _clear(self) -> None:
        self.change("store", *self.range(), 0)

    def _insert(self) -> None:
        self.change("insert", *self.range(), self.entry())

    def _erase(self) -> None:
        self.change("erase", self.index())

    def _mas_store(self) -> None:
        self.change("mstore", *self.range(), self.entry())

    def _preallocate(self) -> None:
        self.change("prealloc", *self.range(), self.entry())

    def _raw(self) -> None:
        if self.chance(0.6):
            self.do("prealloc_raw", *self.range(), self.entry())
        else:
            self.do("expect_raw", self.random.choice([0, 1, 2, 5, self.random.randrange(2000)]))

    def _read(self) -> None:
        op = self.random.choice(READS)
        index = self.index()
        limits = {"MAX": self.limit, "MIN": self.low_limit}
        names = [argument.name for argument in OPERATIONS[op].arguments[1:]]
        self.do(op, index, *(limits[name](index) for name in names))

    def _gap(self) -> None:
        low, high = self.window()
        self.do(self.random.choice(GAPS), low, high, self.size())

    def _allocate(self) -> None:
        pick = self.random
        low, high = self.window()
        if not self.runner.mem.ma_flags(self.runner.tree) & 1 and self.chance(0.9):
            self._store()
        elif self.chance(0.2):
            self.change("alloc_cyclic", self.entry(), low, high, pick.choice([low, high, 0]))
        else:
            op = pick.choice(AREAS)
            self.change(op, self.entry(), self.size(), low, high)

    # -- moves: many at once

    def _fill(self, count: int = 0) -> None:
        """Load an empty tree, which has to be without RCU mode, as mas_expected_entries wants."""
        pick = self.random
        count = count or pick.choice([1, 5, 15, 16, 17, pick.randrange(40), pick.randrange(300)])
        rcu = bool(self.runner.mem.ma_flags(self.runner.tree) & 2)
        if rcu:
            self.do("rcu", 0)
        step = pick.choice([1, 2, 4, 0x10, 0x20, 0x1000])
        length = pick.choice([1, step, max(1, step - 1)])
        first = pick.choice([0, 1, 0x1000])
        spare = pick.choice([0, 0, 0, 1, pick.randrange(50), count])
        self.change("bulk", count + spare, count, first, step, length, pick.choice([1, 0x1000]))
        self._remember(*(first + step * pick.randrange(count + 1) for _ in range(50)))
        if rcu and self.chance(0.5):
            # not on, destroyed and untouched: see the documentation for what the kernel does
            self.change("store", *self.range(), self.entry(null=0))
            self.do("rcu", 1)

    def _bulk(self) -> None:
        self.change("destroy")
        self._fill()

    def _destroy(self) -> None:
        self.change("destroy")

    def _crowd(self) -> None:
        """Fill two leaves that lie side by side, then store across their border."""
        runner, pick = self.runner, self.random
        found = decode(runner.mem, runner.tree)
        leaves = [visit for visit in found.nodes if visit.type == LEAF_64]
        if len(leaves) < 3:
            self._store()
            return
        at = pick.randrange(len(leaves) - 1)
        slots = runner.machine.profile.sizes.slots[LEAF_64]
        for leaf in leaves[at : at + 2]:
            inside = list(view(runner.mem, *leaf[:4]).ranges)
            pick.shuffle(inside)
            room = slots - len(inside)
            for part in inside:
                if room < 2 or part.last - part.first < 2:
                    continue
                middle = (part.first + part.last) // 2
                self.change("store", middle, middle, self.entry(null=0))
                room -= 2
        border = leaves[at].max
        first = max(0, border - pick.choice([0, 1, pick.randrange(0x40)]))
        last = min(self.top, border + 1 + pick.choice([0, 1, pick.randrange(0x40)]))
        self.change(pick.choice(["store", "mstore", "prealloc"]), first, last, self.entry())

    # -- moves: circumstances

    def _refuse(self) -> None:
        pick = self.random
        op = pick.choice(["fail", "failnw", "failnw"])
        granted = pick.choice([0, 1, 2, 3, pick.randrange(20), pick.randrange(60)])
        if op == "fail":  # without an end a store that gets some nodes would ask for ever
            self.do(op, granted, pick.choice([0, 1, 1, 2, 3, pick.randrange(1, 12)]))
        else:
            self.do(op, granted)
        self.refusing = pick.randrange(1, 12)

    def _rcu(self) -> None:
        """Turn RCU mode on or off, or begin or end a read section, which holds callbacks up."""
        if self.chance(0.5):
            self.do("rcu", self.random.randrange(2))
        elif self.reading:
            self.reading = False
            self.do("rcu_unlock")
        else:
            self.reading = True
            self.do("rcu_lock")

    def _look(self) -> None:
        self.do(self.random.choice(["validate", "validate", "mtdump", "dump", "treemem"]))

    def _tree(self) -> None:
        pick = self.random
        number = pick.randrange(4)
        if self.chance(0.4):
            self.do("sel", number)
            self.cursor_stale = True
        elif self.runner.tree != self.runner.machine.tree(number):
            if self.chance(0.3):
                self.do("fail", pick.randrange(60), pick.choice([1, 2]))
                self.refusing = 1
            self.change("dup", number)
            if self.chance(0.5):
                self.do("sel", number)

    # -- moves: the cursor

    def _cursor(self) -> None:
        """A run of steps with the cursor, most in one direction, with stores among them."""
        pick = self.random
        if not self.cursor_set or self.chance(0.05):
            self._set_cursor()
        elif self.cursor_stale:
            self._freshen()
        same = pick.choice([*FORWARD, *BACKWARD]) if self.chance(0.5) else ""
        writes = pick.choice([0, 0, 0.1, 0.4])
        limit = None if self.chance(0.6) else self.index()
        for _ in range(pick.randrange(1, 12)):
            self._keep_usable()
            if self.chance(writes):
                self.do("cerase") if self.chance(0.3) else self.do("cstore", self.entry())
                if self.chance(0.2):
                    self.do("cpause")
                continue
            if self.chance(0.05):
                self.do("cwalk")
            op = same or pick.choice([*FORWARD, *BACKWARD])
            self.do(op, farthest(op, self.top) if limit is None else limit)
        if self.refusing:
            self.refusing = 0
            self.do("fail", NO_LIMIT)

    def _set_cursor(self) -> None:
        if self.chance(0.5):
            self.do("cset", *self.range())
        else:
            self.do("cset", self.index())
        self.cursor_set, self.cursor_stale = True, False

    def _freshen(self) -> None:
        """What a caller has to do after somebody else has changed the tree."""
        how = self.random.choice(["cset", "creset", "cpause"])
        if how == "cset":
            self._set_cursor()
        else:
            self.do(how)
        self.cursor_stale = False

    def _keep_usable(self) -> None:
        """Reset a state that left the tree before it was in a node: going on would crash."""
        mas = self.runner.cursor
        outside = mas.status in (MA_OVERFLOW, MA_UNDERFLOW)
        if mas.status == MA_ERROR or (outside and (not mas.node or mas.node > self.top - 0x4000)):
            self.do("creset")

    # -- moves that the kernel's code is known not to survive

    def _stale(self) -> None:
        if self.cursor_set:
            self.do(self.random.choice([*FORWARD, *BACKWARD]), self.index())
        else:
            self._set_cursor()

    def _overfill(self) -> None:
        pick = self.random
        expected, count = pick.randrange(1, 60), pick.randrange(1, 200)
        self.change("bulk", expected, count, self.index(), pick.randrange(1, 64), 1, 0x1001)

    def _absurd(self) -> None:
        self.do("expect_raw", self.top >> self.random.randrange(8))
