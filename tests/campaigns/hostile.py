"""Hostile input: generated traces and logs, damaged images, and what every command makes of them.

    python tests/campaigns/hostile.py [--cases N] [--seconds S] [--seed S] [--kind KIND,...]

Each case is one command. It has to end within SECONDS, with exit code 0, 1 or 2; with 2 it says
why in one line on stderr and prints nothing that begins with "Traceback"; an output file is whole
or not there. Traces run on both legs, which have to agree. What breaks a rule is printed with
the number that makes it again: --seed S --cases 1.
"""

from __future__ import annotations

import argparse
import bz2
import contextlib
import gzip
import io
import json
import lzma
import math
import random
import signal
import sys
import tempfile
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import arches
from layout.cli.main import VERBS, main
from layout.machine.machine import Machine
from layout.memory.errors import TraceError
from layout.memory.memory import Memory
from layout.traces.runner import Runner
from layout.traces.source import TraceText
from layout.traces.stream import Stream
from layout.traces.trace import OPERATIONS

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
SECONDS = 20
"""What a case may take, in seconds of processor time."""

NUMBERS = (0, 1, 2, 7, 0xF, 0x10, 0xFF, 0x100, 0x1000, 0x3001, 0xFFFFFFFF, 1 << 32, 1 << 63)
TOP = (1 << 64) - 1


class TooLong(BaseException):
    """A case that did not end in time."""


@dataclass
class Tally:
    """How many cases there were of each kind and exit code, and what broke a rule."""

    codes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)


# -- what is tried


def number(r):
    kind = r.random()
    if kind < 0.5:
        return r.randrange(1 << r.choice((4, 8, 12, 20)))
    if kind < 0.7:
        return TOP - r.randrange(1 << r.choice((2, 8, 40)))
    return r.choice(NUMBERS) if kind < 0.9 else r.randrange(1 << 64)


def trace_line(r):
    op = r.choice([*OPERATIONS, "store", "store", "store", "erase", "poke", "poke", "iter"])
    if op == "poke":
        return f"poke {0x1000000000 + 256 * r.randrange(6):x} {r.randrange(256):x} {r.randrange(256):x}"
    if op == "rcu":
        return f"rcu {r.choice(('on', 'off'))}"
    if op in {"sel", "dup", "dup_noinit"}:
        return f"{op} {r.randrange(9):x}"
    spec = OPERATIONS[op]
    names = str(getattr(spec, "usage", spec)).removesuffix("or -").split()
    count = sum(name[0] not in "[." for name in names)
    count += r.choice((0,) * 40 + (-1, 1))
    words = [op, *(f"{number(r):x}" for _ in range(count))]
    if op == "bulk":
        words[1:3] = [f"{r.randrange(200):x}", f"{r.choice((3, 50, TOP)):x}"]
    if r.random() < 0.01:
        words[r.randrange(len(words))] = r.choice(
            ("", "0x5", "zz", "9" * 5000, "\x00", "é", "#", "-")
        )
    return " ".join(words)


def trace(r):
    lines = [
        f"init {r.choice((0, 1, 2, 3))}",
        *(f"store {i:x} {i:x} 3001" for i in range(r.choice((0, 20, 300)))),
    ]
    lines += [trace_line(r) for _ in range(r.choice((1, 5, 30)))]
    return ("\n".join(lines) + "\n").encode()


ADDRESSES = (
    "NULL",
    "0",
    "0x1000",
    "0x7ffffffff000",
    "0x7fffffffffff",
    "0xffffffffffffffff",
    "-1",
    "9" * 5000,
    "",
)
LENGTHS = (
    "0",
    "1",
    "4096",
    "0x1000",
    str(TOP),
    "9" * 5000,
    "-1",
    "0x7fffffffffff",
    "1<<9999999",
    "NULL",
)
FLAGS = (
    "MAP_PRIVATE|MAP_ANONYMOUS",
    "MAP_SHARED",
    "MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS",
    "MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB|63<<MAP_HUGE_SHIFT",
    "1<<99999999999",
    "MREMAP_MAYMOVE",
    "MREMAP_MAYMOVE|MREMAP_FIXED",
    "-1",
    "",
    "MCL_CURRENT|MCL_FUTURE",
)
CALLS = (
    "mmap",
    "munmap",
    "mprotect",
    "mremap",
    "brk",
    "madvise",
    "mlock",
    "mlockall",
    "shmget",
    "shmat",
    "shmdt",
    "clone",
    "fork",
    "vfork",
    "execve",
    "exit_group",
    "remap_file_pages",
    "map_shadow_stack",
)


def log_line(r):
    def address():
        return r.choice(ADDRESSES) if r.random() < 0.4 else hex(r.randrange(1 << 20) << 12)

    name = r.choice(CALLS)
    args = [
        address(),
        r.choice(LENGTHS),
        r.choice(("PROT_READ", "PROT_NONE", "-1", "7")),
        r.choice(FLAGS),
        "-1",
        "0",
    ]
    if name == "mremap":
        args = [address(), r.choice(LENGTHS), r.choice(LENGTHS), r.choice(FLAGS), address()]
    if name == "clone":
        args = [
            "child_stack=NULL",
            f"flags={r.choice(('SIGCHLD', 'CLONE_VM|CLONE_THREAD', '1<<99999999'))}",
        ]
    result = r.choice((address(), "0", "1", "2", "780", "?", "-1 ENOMEM (no)", "9" * 5000))
    pid = r.choice(("", "1 ", "2 ", "3 ", "780 ", "[pid 3] ", "9" * 5000 + " "))
    return f"{pid}{name}({', '.join(args[: r.choice((1, 2, 6, 6, 6))])}) = {result}{r.choice(('', '', chr(0), chr(0x85)))}"


def log(r):
    return "\n".join(log_line(r) for _ in range(r.choice((1, 2, 5, 40)))).encode()


def mutated(r, data):
    """Bytes changed, cut, doubled or put in."""
    new = bytearray(data)
    for _ in range(r.choice((1, 1, 2, 8))):
        at = r.randrange(len(new) + 1)
        how = r.random()
        if how < 0.5 and at < len(new):
            new[at] = r.choice(
                (0, 0xFF, 0x22, 0x5B, r.randrange(256), new[at] ^ 1 << r.randrange(8))
            )
        elif how < 0.6:
            del new[at:]
        elif how < 0.8:
            del new[at : at + r.choice((1, 4, 100))]
        else:
            new[at:at] = r.choice(
                (
                    b"\0",
                    b"[" * 3000,
                    b'"',
                    b"9" * 5000,
                    b'{"a":',
                    new[: r.randrange(200)],
                    b"\xed\xa0\x80",
                    b"\\ud800",
                )
            )
    return bytes(new)


# -- what it has to do


def paste(r):
    """Text of memory, a few lines of it or all, damaged."""
    text = r.choice(sorted((FIXTURES / "paste").iterdir())).read_bytes()
    lines = text.splitlines(keepends=True)
    at = r.randrange(len(lines))
    return mutated(r, b"".join(lines[at : at + 40]) if r.random() < 0.7 else text)


@cache
def bomb():
    """A few bytes that are many lines."""
    return lzma.compress(b"#\n" * (1 << 24))


def packed(r):
    """A small input, packed once or twice, damaged before or after."""
    name = r.choice(("s390x-6.12.95-sleep", "x86_64-6.12.117-medium"))
    capture = (FIXTURES / "captures" / f"{name}.json").read_bytes()
    if r.random() < 0.05:
        return mutated(r, bomb()) if r.random() < 0.5 else bomb()
    data = r.choice((trace, log, lambda _: capture))(r)
    if r.random() < 0.3 and len(data) < 1 << 20:
        data = mutated(r, data)
    for _ in range(r.choice((1, 1, 1, 2))):
        data = r.choice((lzma.compress, gzip.compress, bz2.compress, zlib.compress))(data)
        data = data * r.choice((1, 1, 1, 3)) if len(data) < 1 << 20 else data
    return mutated(r, data) if r.random() < 0.6 else data


def types(r):
    """BTF or DWARF of an object file, damaged."""
    path = r.choice([p for p in sorted((FIXTURES / "proof").iterdir()) if p.suffix != ".c"])
    data = path.read_bytes()
    return mutated(r, lzma.decompress(data) if path.suffix == ".xz" else data)


def real_log(r):
    """Some lines of the log of a real program, damaged and in another order."""
    lines = (FIXTURES / "strace" / "perl.log").read_bytes().splitlines(keepends=True)
    at = r.randrange(len(lines))
    lines = lines[at if r.random() < 0.5 else 0 : at + 60]
    if r.random() < 0.3:
        r.shuffle(lines)
    return mutated(r, b"".join(lines) or b"x")


OPTIONS = (
    *("--tree", "--arch", "--kernel", "--lock-size", "--config", "--at", "--limit", "--base"),
    *("--direct-map", "--node", "--format", "--json", "--first", "--check", "--ledger", "--all"),
    *("--defect", "--maps", "--pid", "--list", "--diff", "--name", "--trace", "--help", "--nodes"),
)
WORDS = (
    *("", "0", "-1", "0x", "1", "fffff0000", "ffffffffffffffff", "9" * 5000, "x" * 5000, "6.12"),
    *("6.12.x", "7.3", "s390x", "s390", "s390x,x86_64", ",", "smp", "rt,up", "json", "mt", "d1"),
    *("\udcff", "\x1b[2J", "a\nb", "é", "--", "-", "@", "maple_node", "/dev/null", "/", "fields"),
)


def options(r):
    """What somebody may type behind any verb."""
    words = [r.choice([*VERBS, "nonsense", ""])]
    words = [verb for verb in words if verb not in {"kernel", "conformance"}] or ["struct"]
    for _ in range(r.randrange(6)):
        words += [r.choice(OPTIONS)] * (r.random() < 0.7)
        words += [r.choice(WORDS)] * (r.random() < 0.8)
    return words


INPUTS = {"paste": paste, "packed": packed, "types": types, "strace": real_log}


def words_of(kind, r, folder):  # noqa: C901, PLR0911 - one a kind
    """Write the input of a case; returns the words of its command."""
    path, out = folder / "in", folder / "out"
    if kind == "options":
        path.write_bytes(trace(r))
        words = options(r)
        for _ in range(r.choice((0, 1, 1, 2))):
            words.insert(r.randrange(1, len(words) + 1), str(path))
        return [*words, "-o", str(out)] if r.random() < 0.5 else words
    if kind == "raw":
        return _raw(r, folder)
    if kind in INPUTS:
        path.write_bytes(INPUTS[kind](r))
        if kind == "types":
            return ["struct", "--check", str(path), *r.choice(([], ["maple_node"]))]
        if kind == "strace" or (kind == "packed" and r.random() < 0.3):
            return ["record", str(path), "-o", str(out)]
        verb = r.choice(("decode", "dump", "validate", "draw", "scan", "explore", "run", "compare"))
        more = ["--arch", r.choice(("x86_64", "s390x"))] if r.random() < 0.5 else []
        more += ["-o", str(out)] * (verb in {"explore", "draw"})
        return [verb, str(path), *more]
    if kind == "log":
        path.write_bytes(log(r))
        return ["record", str(path), "-o", str(out)]
    tree = ["--tree", "fffff0000"] if kind == "core" else []
    verbs = ["decode", "dump", "validate"]
    if kind == "trace":
        path.write_bytes(trace(r))
        verbs = ["run", "run", "run", "compare", "dump", "validate"]
    elif kind == "json":
        name = r.choice(("s390x-6.12.95-sleep", "s390x-6.1.0-sleep"))
        path.write_bytes(mutated(r, (FIXTURES / "captures" / f"{name}.json").read_bytes()))
    else:
        path.write_bytes(mutated(r, _core(folder)))
    if r.random() < 0.1:
        return [r.choice(("draw", "explore")), str(path), "-o", str(out), *tree]
    if r.random() < 0.1:
        return ["export", str(path), "--format", "raw", "-o", str(out), *tree]
    return [r.choice(verbs), str(path), *tree]


def _raw(r, folder):
    """Raw memory and the JSON beside it, one of them damaged."""
    source, path = folder / "raw", folder / "raw.json"
    if not source.exists():
        _core(folder)
        with contextlib.redirect_stdout(io.StringIO()):
            build = str(folder / "build.trace")
            assert main(["export", build, "--format", "raw", "-o", str(source)]) == 0
    memory, document = folder / "in", folder / "in.json"
    data, text = source.read_bytes(), path.read_text().replace('"raw"', '"in"').encode()
    both = [mutated(r, data), text] if r.random() < 0.3 else [data, mutated(r, text)]
    memory.write_bytes(both[0])
    document.write_bytes(both[1])
    if r.random() < 0.3:
        base = ["--base", r.choice(("0", "fffff0000", "ffffffffffffff00"))]
        return [r.choice(("scan", "decode")), str(memory), "--arch", "x86_64", *base]
    return [r.choice(("decode", "dump", "validate", "draw", "scan")), str(document)]


def case(kind, seed, folder):
    """Carry out one case; returns its exit code and what broke a rule, or nothing."""
    path, out = folder / "in", folder / "out"
    out.unlink(missing_ok=True)
    words = words_of(kind, random.Random(f"{kind} {seed}"), folder)
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = main(words)
    told = stderr.getvalue().splitlines()
    if code not in {0, 1, 2}:
        return code, f"exit code {code}"
    if not all(line.startswith("maple-layout") for line in told) or (code == 2 and not told):
        return code, f"exit code {code} says: {told[:3]}"
    if code == 2 and out.exists():
        return code, "an output file after exit code 2"
    if kind in {"log", "strace"} and code == 0:
        replayed = _replayed(out.read_bytes(), Machine(arches.get("x86_64")))
        return code, "" if replayed.startswith(b"{") and b'"fault"' not in replayed else replayed
    if kind == "trace" and words[0] == "run":
        arch, data = arches.get("sparc64"), path.read_bytes()
        legs = [_replayed(data, Machine(arch)), _replayed(data, Machine(arch, _plain()))]
        return code, "" if legs[0] == legs[1] else "the two legs differ"
    return code, ""


def _plain():
    from layout.memory.node import NodeMemory

    return type("Plain", (NodeMemory,), {})


def _replayed(data, machine):
    try:
        return b"".join(Stream(Runner(machine), TraceText(data, "t")).transcript())
    except TraceError as error:
        return str(error).encode()


def _core(folder):
    path = folder / "core"
    if not path.exists():
        source = folder / "build.trace"
        source.write_text("init 0\n" + "".join(f"store {i:x} {i:x} 3001\n" for i in range(40)))
        with contextlib.redirect_stdout(io.StringIO()):
            assert main(["export", str(source), "--format", "elf", "-o", str(path)]) == 0
    return path.read_bytes()


def _on_alarm(*_):
    raise TooLong


def campaign(kinds, first, cases, seconds=None):
    """Carry out ``cases`` cases of each kind, from seed ``first`` on, in so many seconds at most."""
    tally = Tally()
    end = math.inf if seconds is None else time.monotonic() + seconds
    assert issubclass(_plain(), Memory)
    signal.signal(signal.SIGPROF, _on_alarm)
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(KeyboardInterrupt):
        for seed in range(first, first + cases):
            if time.monotonic() > end:
                break
            for kind in kinds:
                signal.setitimer(signal.ITIMER_PROF, SECONDS)
                try:
                    code, broken = case(kind, seed, Path(name))
                except TooLong:
                    code, broken = "slow", f"more than {SECONDS} s"
                except Exception as error:  # noqa: BLE001 - that is what is looked for
                    code, broken = "error", f"{type(error).__name__}: {error}"
                finally:
                    signal.setitimer(signal.ITIMER_PROF, 0)
                tally.codes[f"{kind} {code}"] += 1
                if broken:
                    tally.findings.append(f"{kind} {seed}: {broken[:400]}")
    return tally


KINDS = ("trace", "log", "json", "core", "raw", *INPUTS, "options")


def command():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=int, help="no more cases are begun after so many")
    parser.add_argument("--kind", default=",".join(KINDS))
    args = parser.parse_args()
    start = time.monotonic()
    tally = campaign(args.kind.split(","), args.seed, args.cases, args.seconds)
    print(json.dumps({"seconds": round(time.monotonic() - start), "cases": dict(tally.codes)}))
    print("\n".join(tally.findings))
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(command())
