"""Hostile input: generated and damaged files, and what every command makes of them anywhere.

    python tests/campaigns/hostile.py [--cases N] [--seconds S] [--seed S] [--kind KIND,...]

Each case is one command on an input that :mod:`hostile_inputs` makes, in a child process. One in
three is carried out once more in surroundings that :mod:`hostile_process` makes: descriptors that
are closed or full, limits, small disks, other users, errors and signals at any step. What a command
has to do anywhere is :func:`wrong`. What breaks a rule is printed with the number that makes it
again: --kind KIND --seed S --cases 1; --keep DIR copies its files there.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hostile_inputs import KINDS, unit
from hostile_process import (
    MEGABYTES,
    SECONDS,
    SIGNALS,
    Folder,
    carried_out,
    may_mount,
    place_of,
)

from layout.host.files import settle

OLD = b"what was there before"
_LONGEST = 2100
"""Characters of a line on stderr at most."""


@dataclass
class Tally:
    """How many cases there were of each kind and exit code, and what broke a rule."""

    codes: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0, "")
    largest: tuple[int, str] = (0, "")


def wrong(here, place):
    """What breaks a rule in what a command did, wherever it ran; empty if nothing does."""
    allowed = {0, 1, 2}
    if place is not None and place.name == "gone":
        allowed.add(128 + signal.SIGPIPE)
    if place is not None and place.name == "stopped":
        allowed |= {sign * number for number in SIGNALS for sign in (-1,)}
        allowed |= {128 + number for number in SIGNALS}
    if place is not None and place.name == "killed":
        allowed.add(-signal.SIGKILL)
    if here.hung:
        return "it hangs"
    if here.cpu > SECONDS or here.code == -signal.SIGXCPU:
        return f"it takes {here.cpu:.0f} s"
    if here.megabytes > MEGABYTES:
        return f"it takes {here.megabytes} MB"
    if place is not None and place.name == "utf-16":
        return "" if here.code in allowed else f"exit code {here.code}"
    said = here.err.decode(errors="surrogateescape")
    told = said.split("\n")
    if here.code not in allowed:
        return f"exit code {here.code}: {said[-300:]!r}"
    if told.pop() or not all(line.startswith("maple-layout") for line in told):
        return f"exit code {here.code} says: {said[:300]!r}"
    if any(
        len(line) > _LONGEST or any(char < " " and char != "\t" for char in line) for line in told
    ):
        return f"a line that no terminal should get: {said[:300]!r}"
    if here.code == 2 and len(told) != (
        0 if place is not None and place.name == "no stderr" else 1
    ):
        return f"exit code 2 says in {len(told)} lines: {said[:600]!r}"
    return ""


def wrong_files(here, plain, old, place):
    """What breaks a rule of the output files: each is as before, or as it has to become."""
    before = {} if old is None else {"out": old}
    if here.files == before and (here.code not in {0, 1} or plain.files == before):
        return ""
    if any(Path(name).name.startswith(".") for name in here.files) or (
        place is not None and place.name == "readonly"
    ):
        return f"files are left: {sorted(here.files)}"
    if here.code in {0, 1} and here.files == plain.files:
        return ""
    ended = place is not None and place.name in {"stopped", "killed"}
    if ended and here.files == plain.files:
        return ""  # it came too late
    if place is not None and place.name == "fails" and here.files == plain.files:
        return ""  # what comes behind the last rename
    sizes = {name: len(data) for name, data in here.files.items()}
    return f"exit code {here.code}, and these files: {sizes}"


def wrong_here(here, plain, old, place):
    """What breaks a rule of these surroundings, beside what plain surroundings give."""
    broken = wrong(here, place)
    if broken:
        return broken
    if place.same and place.name != "no stderr" and here.err != plain.err and place.name != "user":
        return f"stderr differs: {here.err[:300]!r}, elsewhere {plain.err[:300]!r}"
    if place.same and (here.code, here.out) != (plain.code, plain.out):
        return f"exit code {here.code}, elsewhere {plain.code}, or stdout differs"
    if place.name in {"full", "no stdout"} and plain.out and here.code != 2:
        return f"lost output, and exit code {here.code}"
    if place.name == "gone" and plain.out and here.code == 0:
        return "lost output, and exit code 0"
    return wrong_files(here, plain, old, place)


def after_a_kill(folder):
    """What the next command does first, and what a kill may leave."""
    with contextlib.suppress(OSError):
        settle(folder.output)
    for left in folder.got.glob(".*.part"):
        left.unlink()


class Campaign:
    """Cases of all kinds in one folder."""

    def __init__(self, top, tally, keep=None):
        self.folder, self.tally, self.keep = Folder(top), tally, keep
        self.mounts = may_mount()

    def case(self, kind, seed):
        """Carry out one case, perhaps in other surroundings, too; returns what broke a rule."""
        r = random.Random(f"{kind} {seed}")
        folder = self.folder
        folder.clear()
        words = KINDS[kind](r, folder.input, folder.output)
        if r.random() < 0.05:  # a name that is no text
            folder.input.rename(folder.put / "i\udcffn\n\u2603")
            words = [word.replace("/put/in", "/put/i\udcffn\n\u2603") for word in words]
            folder.input.write_bytes(b"")
        if r.random() < 0.02:
            unit(r, folder.put)
        old = OLD if r.random() < 0.5 else None
        folder.old(old)
        plain = carried_out(words, folder)
        self._count(kind, seed, plain)
        if plain.code == 2 and kind == "reader":
            plain.files = {} if old is None else {"out": old}
        broken = wrong(plain, None) or self._follow(kind, words, plain)
        if kind not in {"options", "reader"}:
            broken = broken or wrong_files(plain, plain if plain.code != 2 else plain, old, None)
            if plain.code == 2 and plain.files != ({} if old is None else {"out": old}):
                broken = broken or f"exit code 2, and these files: {sorted(plain.files)}"
        if broken or r.random() > 0.33 or kind in {"options", "reader"}:
            return broken
        place = place_of(r, plain.wall, mounts=self.mounts)
        folder.old(old)
        self.tally.places[place.name] += 1
        here = carried_out(words, folder, place)
        if place.name == "killed" and here.code == -signal.SIGKILL:
            after_a_kill(folder)
            here.files = folder.files()
        broken = wrong_here(here, plain, old, place)
        return f"in the place '{place.name}': {broken}" if broken else ""

    def _follow(self, kind, words, plain):
        """What was written is fit to be read again."""
        folder = self.folder
        if plain.code or not words or not folder.output.is_file():
            return ""
        if words[0] == "record" and kind != "options":
            again = carried_out(["run", str(folder.output)], folder)
            if again.code or b'"fault"' in again.out:
                return f"its trace does not run: exit code {again.code}, {again.err[:300]!r}"
        if words[0] == "export" and words[-1] == str(folder.output) and "elf" in words:
            again = carried_out(["scan", str(folder.output)], folder)
            if again.code not in {0, 1}:
                return f"its core can't be read: exit code {again.code}, {again.err[:300]!r}"
        return ""

    def _count(self, kind, seed, plain):
        tally = self.tally
        tally.codes[f"{kind} {plain.code}"] += 1
        tally.slowest = max(tally.slowest, (round(plain.cpu, 1), f"{kind} {seed}"))
        tally.largest = max(tally.largest, (plain.megabytes, f"{kind} {seed}"))

    def found(self, kind, seed, broken):
        """Note a finding, and keep its files if they are wanted."""
        self.tally.findings.append(f"{kind} {seed}: {broken[:900]}")
        print(self.tally.findings[-1].encode(errors="backslashreplace").decode(), flush=True)
        if self.keep is not None:
            shutil.copytree(self.folder.put, self.keep / f"{kind}-{seed}", dirs_exist_ok=True)


def warm_up(folder):
    """Let this process load what its children need, and make what all cases have in common."""
    saved = os.dup(1), os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        from layout.cli.main import main

        for kind, make in KINDS.items():
            for seed in range(12 if kind != "reader" else 0):
                folder.clear()
                words = make(random.Random(f"{kind} {seed}"), folder.input, folder.output)
                with contextlib.suppress(Exception):
                    main(words)
    finally:
        sys.stdout.flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        for each in (*saved, null):
            os.close(each)
    gc.collect()
    gc.freeze()


def campaign(kinds, first, cases, seconds=None, keep=None):
    """Carry out ``cases`` cases of each kind, from seed ``first`` on, in so many seconds at most."""
    tally = Tally()
    end = math.inf if seconds is None else time.monotonic() + seconds
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=base) as name, contextlib.suppress(KeyboardInterrupt):
        Path(name).chmod(0o755)
        here = Campaign(Path(name), tally, keep)
        warm_up(here.folder)
        for seed in range(first, first + cases):
            for kind in kinds:
                if time.monotonic() > end:
                    return tally
                broken = here.case(kind, seed)
                if broken:
                    here.found(kind, seed, broken)
    return tally


def command():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=int, help="no more cases are begun after so many")
    parser.add_argument("--kind", default=",".join(KINDS))
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where files of findings go")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    start = time.monotonic()
    tally = campaign(args.kind.split(","), args.seed, args.cases, args.seconds, args.keep)
    summary = {
        "seconds": round(time.monotonic() - start),
        "cases": sum(tally.codes.values()),
        "in other surroundings": sum(tally.places.values()),
        "findings": len(tally.findings),
        "slowest": tally.slowest,
        "largest": tally.largest,
        "codes": dict(sorted(tally.codes.items())),
        "places": dict(sorted(tally.places.items())),
    }
    print(json.dumps(summary))
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(command())
