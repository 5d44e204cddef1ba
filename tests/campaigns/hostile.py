"""Hostile input: generated and damaged files, and what every command makes of them anywhere.

    python tests/campaigns/hostile.py [--cases N] [--seconds S] [--seed S] [--kind KIND,...]

Each case is one command on an input that :mod:`hostile_inputs` makes, in a child process. One in
three is carried out once more in surroundings that :mod:`hostile_places` makes: descriptors that
are closed or full, limits, small disks, other users, errors and signals at any step. What a command
has to do anywhere is in :mod:`hostile_rules`. Of a hundred cases in a row each kind has its share.
What breaks a rule is printed with the number that makes it again: --kind KIND --seed S --cases 1;
--keep DIR copies its files there.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import math
import os
import pkgutil
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

from hostile_inputs import KINDS as MADE
from hostile_inputs import unit
from hostile_kernel import FREE as FREE_KERNELS
from hostile_kernel import KINDS as KERNELS
from hostile_odd import FREE
from hostile_odd import KINDS as ODD
from hostile_places import may_mount, ordinary_user_reads_code, place_of
from hostile_process import PIPE, Folder, Worker, carried_out
from hostile_rules import left_and_told, left_over, wrong, wrong_files, wrong_here

import layout
from layout.cli.main import main
from layout.host.files import settle

OLD = b"what was there before"
SEVERAL = ("out", "out.json", "out.core")
"""Files of which some are written over."""
KINDS = {**MADE, **ODD, **KERNELS}
SHARES = {
    "options": 8, "known": 12, "json": 9, "raw": 7, "core": 7, "paste": 6, "log": 8, "odd": 7,
    "pair": 6, "export": 4, "together": 3, "trace": 8, "maps": 3, "strace": 2, "packed": 4,
    "types": 2, "interleave": 2, "source": 1, "reader": 1, "kernel": 1, "hunt": 0.2,
}  # fmt: skip
"""How many cases of about a hundred are of a kind: more of those that take a millisecond."""
DECKS = 5
"""Hundreds of cases in which each kind has its share."""
FREE = FREE | FREE_KERNELS | {"options", "known", "reader"}
"""Kinds whose files lie where their words say: of these only what is left is looked at."""
PROGRAMS = {"reader", "source", "kernel", "hunt"}
"""Kinds that start programs: each case has a child of its own, whose process group is ended."""
ENDED = "it ended the process"


@dataclass
class Tally:
    """How many cases there were of each kind and exit code, and what broke a rule."""

    kinds: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    again: int = 0
    slowest: tuple[float, str] = (0, "")
    largest: tuple[int, str] = (0, "")


def after_a_kill(folder, names=None):
    """What the next command does first, and what a kill may leave: ``names`` or any."""
    with contextlib.suppress(OSError):
        settle(folder.output)
    for left in folder.got.glob(".*.part"):
        if names is None or left.name in names:
            left.unlink()


class Campaign:
    """Cases of all kinds in one folder."""

    def __init__(self, top, tally, keep=None):
        self.folder, self.tally, self.keep = Folder(top), tally, keep
        self.worker = Worker(self.folder)
        self.mounts = may_mount()
        if os.geteuid() == 0 and not ordinary_user_reads_code():
            told = "others may not read the interpreter: the ordinary user may read all files"
            print(told, file=sys.stderr)

    def case(self, kind, seed):
        """Carry out one case, perhaps in other surroundings, too; returns what broke a rule.

        What breaks one in a child that has carried out others is tried again in a new one.
        """
        alone = kind in PROGRAMS
        broken = self._case(kind, seed, alone=alone)
        if broken and not alone:
            self.tally.again += 1
            self.worker.end()
            broken = self._case(kind, seed, alone=True) or f"after other cases: {broken}"
        return broken

    def _case(self, kind, seed, *, alone):
        r, words = self._made(kind, seed)
        folder = self.folder
        old = dict.fromkeys(SEVERAL if kind == "export" else ["out"], OLD)
        old = old if r.random() < 0.5 else {}
        there = set(folder.files())
        if kind not in FREE:
            folder.old(old)
        plain = self._carried_out(words, None, kind, alone=alone)
        if plain is None:
            return ENDED
        self._count(kind, seed, plain)
        broken = wrong(plain) or self._follow(kind, words, plain)
        if kind in FREE:
            broken = broken or left_over(plain, there)
        else:
            broken = broken or wrong_files(plain, plain, old)
        if broken or r.random() > 0.33:
            return broken
        place = place_of(r, plain.wall, mounts=self.mounts)
        scripts = kind in {"kernel", "hunt"} and place.name == "no folder"  # a shell complains
        if scripts or (folder.stdin and place.name == "no stdin"):
            return ""
        self.tally.places[place.name] += 1
        if kind in FREE:
            self._made(kind, seed)
        else:
            folder.old(old)
        here = self._carried_out(words, place, kind, alone=alone or place.alone)
        if here is None:
            return ENDED
        if kind in FREE:
            killed = place.name in {"killed", "disk gone"}
            broken = wrong(here, place) or ("" if killed else left_over(here, there))
        else:
            self._settled(here, place)
            broken = wrong_here(here, plain, old, place)
        return f"in the place '{place.name}': {broken}" if broken else ""

    def _settled(self, here, place):
        """Do what comes after a kill, and after a disk that was gone for good."""
        if place.name == "killed" and here.code == -signal.SIGKILL:
            after_a_kill(self.folder)
            here.files = self.folder.files()
        elif place.name == "disk gone":
            after_a_kill(self.folder, left_and_told(here))
            here.files = self.folder.files()

    def _carried_out(self, words, place, kind, *, alone):
        if alone:
            return carried_out(words, self.folder, place, kind)
        return self.worker.carried_out(words, place, kind)

    def _made(self, kind, seed):
        """Make the files of a case; the numbers that come next, and the words of its command."""
        r = random.Random(f"{kind} {seed}")
        folder = self.folder
        folder.clear()
        words = KINDS[kind](r, folder.input, folder.output)
        if not folder.input.is_file() or folder.input.is_symlink():
            return r, words
        how = r.random()
        if how < 0.05:  # a name that is no text
            folder.input.rename(folder.put / "i\udcffn\n\u2603")
            words = [word.replace("/put/in", "/put/i\udcffn\n\u2603") for word in words]
            folder.input.write_bytes(b"")
        elif how < 0.15:
            small = folder.input.stat().st_size < PIPE
            folder.stdin = r.choice(("pipe", "file")) if small else "file"
            words = ["-" if word == str(folder.input) else word for word in words]
        if r.random() < 0.02:
            unit(r, folder.put)
        return r, words

    def _follow(self, kind, words, plain):
        """What was written is fit to be read again."""
        folder = self.folder
        if plain.code or not words or not folder.output.is_file():
            return ""
        if words[0] == "record" and kind not in FREE:
            again = self._again(["run", str(folder.output)])
            if again.code or b'"fault"' in again.out:
                return f"its trace does not run: exit code {again.code}, {again.err[:300]!r}"
        if words[0] == "export" and words[-1] == str(folder.output) and "elf" in words:
            again = self._again(["scan", str(folder.output)])
            if again.code not in {0, 1}:
                return f"its core can't be read: exit code {again.code}, {again.err[:300]!r}"
        return ""

    def _again(self, words):
        """A command on what another has written."""
        return self.worker.carried_out(words) or carried_out(words, self.folder)

    def _count(self, kind, seed, plain):
        tally = self.tally
        tally.kinds[kind] += 1
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
        for found in pkgutil.walk_packages(layout.__path__, "layout."):
            name = found.name
            if name.startswith("layout.testing.") and "conformance" not in name:
                continue  # no command needs it
            with contextlib.suppress(ImportError):  # what is optional
                if not name.endswith("__main__"):
                    importlib.import_module(name)
        for kind, make in KINDS.items():
            for seed in range(3 if kind not in PROGRAMS else 0):
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


def dealt(kinds):
    """The kinds in turn, each with its share, well mixed."""
    deck = [kind for kind in kinds for _ in range(round(SHARES[kind] * DECKS))]
    random.Random(1).shuffle(deck)
    return deck


def campaign(kinds, first, cases, seconds=None, keep=None):
    """Carry out ``cases`` cases of some kinds, from seed ``first`` on, in so many seconds at most."""
    tally = Tally()
    end = math.inf if seconds is None else time.monotonic() + seconds
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    deck = dealt(kinds)
    with tempfile.TemporaryDirectory(dir=base) as name, contextlib.suppress(KeyboardInterrupt):
        Path(name).chmod(0o755)
        here = Campaign(Path(name), tally, keep)
        warm_up(here.folder)
        try:
            for seed in range(first, first + cases):
                if time.monotonic() > end:
                    break
                kind = deck[seed % len(deck)]
                broken = here.case(kind, seed)
                if broken:
                    here.found(kind, seed, broken)
        finally:
            here.worker.end()
    return tally


def command():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=int, help="no more cases are begun after so many")
    parser.add_argument("--kind", default=",".join(KINDS))
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where files of findings go")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # which ends it with its counts
    start = time.monotonic()
    tally = campaign(args.kind.split(","), args.seed, args.cases, args.seconds, args.keep)
    summary = {
        "seconds": round(time.monotonic() - start),
        "cases": sum(tally.kinds.values()),
        "in other surroundings": sum(tally.places.values()),
        "tried again": tally.again,
        "findings": len(tally.findings),
        "slowest": tally.slowest,
        "largest": tally.largest,
        "codes": dict(sorted(tally.codes.items())),
        "kinds": dict(sorted(tally.kinds.items())),
        "places": dict(sorted(tally.places.items())),
    }
    print(json.dumps(summary))
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(command())
