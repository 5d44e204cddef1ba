"""The options of every verb, as the command's own parser has them, with values right and wrong.

What is new in the parser is in the campaign at once: by its metavar, or its choices. An option whose
metavar has no values here is an error, and so is one that is left out without a reason.
"""

from __future__ import annotations

import argparse
from functools import cache

from hostile_damage import LONG, number

import arches
from layout.cli.main import VERBS, parser
from layout.interleave.barriers import KINDS as BARRIERS

JUNK = (
    *("", "0", "-1", "0x", "1", "fffff0000", "ffffffffffffffff", LONG, "x" * 5000, "6.12"),
    *("6.12.x", "7.3", "s390x", "s390", "s390x,x86_64", ",", "smp", "rt,up", "json", "mt", "d1"),
    *("\udcff", "\x1b[2J", "a\nb", "é", "--", "-", "@", "maple_node", "/dev/null", "/proc"),
    *("1e9", "0b1", "٣", "6.12,7.3", "x86_64@7.3", "entry 10", "R1", "+up", "/dev/full", "in"),
)
"""What somebody may type in the place of any value."""
WRONG = 0.06
"""How many values are junk."""

_MACHINES = arches.names()
_READERS = ("load 10", "walk 0", "next 10", "prev ffffffffffffffff", "find 0 20", "load", "x 1")
_PLACES = ("out", "out", "out2", "kept", "./x/y", "/dev/null", "/dev/full", "/dev/stdout", "-")
_COUNTS = ("1", "2", "3", "4", "7", "50", "100", "3000", "0")
VALUES = {
    "A": _MACHINES,
    "A,B,...": (*_MACHINES[:4], "x86_64,s390x", "s390x,i386,hppa", "x86_64,x86_64", "all"),
    "K|ADDR": ("0", "1", "2", "7", "8", "fffff0000", "1000000000", "tree"),
    "ADDR": ("0", "1000000000", "1000000100", "fffff0000", "ffffffffffffff00", "7"),
    "V": ("6.12", "7.2", "7.3", "6.1", "6.6", "6.12,7.3", "6.12.3", "5.4"),
    "OPTIONS": ("smp", "up", "rt", "lockdep", "debug-spinlock", "lock-stat", "rt,up", "smp,rt"),
    "N": _COUNTS,
    "LINE": ("1", "2", "5", "20", "400", "0"),
    "NAME": ("R1", "D1", "D4", "r1", "mm_mt", "init_mm", "case_1", "kasan"),
    "PID": ("1", "0", "780", str(1 << 70)),
    "P": ("1", "0", "780", str(1 << 70)),
    "CONDITION": ("invalid", "report", "fault", "entry 10", "entry 10 = 3001", "entry 0 = 0"),
    "S": ("0", "1", "0.5", "2", "1e-9"),
    "WORDS": _READERS,
    "BARRIER": (*BARRIERS, "mas_wmb_replace", "smp_mb"),
    "[ARCH][@V][+OPTIONS]": ("s390x", "@7.3", "+rt", "x86_64@6.12+up", "s390x@", "@", "+"),
    "TEXT": ("single-indexes", "empty", "s", "\udcff"),
    "B": ("in", "out", "linux-source-0.0"),
    "J": ("1", "2"),
    "PACKAGE": ("linux-source-0.0", "../x"),
    "TRACE": _PLACES,
}
"""What is written after an option, by its metavar."""
FILES = {"FILE", "DIR"}
"""Metavars of paths: what is read is the input, what is written goes beside the output."""
READ = {"--debug-info", "--check", "--maps", "--from-maps", "--source"}
"""Options whose path is read."""

LEFT_OUT = {
    "--download": "it asks Debian's archive",
    "--scheduler": "it asks a computer of a cluster; tests/ckernel has one",
    "--long": "generates traces for minutes before it looks at the time",
    "--coverage": "it compiles with gcov, for each case; tests/ckernel does",
    "--sanitize": "the same, with sanitizers",
}
"""Options that no case has, and why."""

PROGRAMS = {"kernel", "hunt", "conformance"}
"""Verbs that start programs: their words are made where folders of kernels and readers are."""


@cache
def options():
    """The options of each verb, or verb and action: the spelling, and metavar, choices or None."""
    found = {}
    _walk(parser(), (), found)
    return found


def _walk(one, path, found):
    for action in one._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                _walk(below, (*path, name), found)
        elif action.option_strings and path:
            takes = None if action.nargs == 0 else action.choices or action.metavar
            for spelling in action.option_strings:
                found.setdefault(path, {})[spelling] = takes


def spellings():
    """Every option of every verb, once."""
    return sorted({each for below in options().values() for each in below} - {*LEFT_OUT})


def value(r, spelling, takes, path, out):
    """What is written after an option that takes something."""
    if r.random() < WRONG:
        return r.choice((*JUNK, f"{number(r):x}"))
    if not isinstance(takes, str):
        return r.choice(tuple(takes))
    if takes in FILES:
        return str(path) if spelling in READ else str(out.parent / r.choice(_PLACES))
    return r.choice(VALUES[takes])


def given(r, verb, path, out, most):
    """Some options of a verb, at most so many, with values."""
    known = [each for each in options()[verb] if each not in {*LEFT_OUT, "-h", "--help"}]
    found = []
    for spelling in r.sample(known, min(len(known), r.randrange(most + 1))):
        takes = options()[verb][spelling]
        found += [spelling] * (r.random() < 0.99)
        if takes is not None:
            found.append(value(r, spelling, takes, path, out))
    return found


def unknown():
    """Options that no case could have: what they take has no values here; and stale reasons."""
    taken = {
        (spelling, takes)
        for below in options().values()
        for spelling, takes in below.items()
        if isinstance(takes, str) and spelling not in LEFT_OUT
    }
    known = {*VALUES, *FILES}
    missing = {f"{spelling} {takes}" for spelling, takes in taken if takes not in known}
    there = {each for below in options().values() for each in below}
    return sorted(missing | ({*LEFT_OUT} - there) | ({*VALUES} - {takes for _, takes in taken}))


# -- cases


def words_of(r, path, out, verbs=()):
    """What somebody may type behind any verb: options and words in any order."""
    names = [verb for verb in VERBS if verb not in PROGRAMS]
    found = [r.choice([*(verbs or names), *names, "nonsense", ""])]
    for _ in range(r.randrange(6)):
        found += [r.choice(spellings())] * (r.random() < 0.7)
        found += [r.choice(JUNK)] * (r.random() < 0.8)
    for _ in range(r.choice((0, 1, 1, 2))):
        found.insert(r.randrange(1, len(found) + 1), str(path))
    if found[0] == "interleave" and r.random() < 0.95:
        found += ["--readers", "1", "--bound", "1"]  # else seconds
    return [*found, "-o", str(out)] if r.random() < 0.5 else found


def right_words(r, verb, path, out):
    """A verb with what it needs, and options of its own; ``path`` is a file that it understands."""
    found = [verb, *_needed(r, verb, path)]
    found += given(r, (verb,), path, out, r.choice((1, 1, 2, 2, 4)))
    if verb == "interleave":
        found += ["--readers", "1"] * (r.random() < 0.9)
        found += ["--bound", r.choice(("1", "2"))] * (r.random() < 0.98)
    if verb == "record" and "--from-maps" in found:
        found.remove(str(path))
    if verb == "bisect" and "--until" not in found:
        found += ["--until", r.choice(VALUES["CONDITION"])]
    if verb in {"record", "export", "explore"} and not {"-o", "--output"}.intersection(found):
        found += ["-o", str(out)]
    if verb == "export" and "--format" not in found:
        found += ["--format", r.choice(("raw", "elf", "isf"))]
    return found


def _needed(r, verb, path):
    """What a verb takes without an option."""
    if verb == "struct":
        structs = ("maple_node", "maple_tree", "maple_range_64", "x")
        return [r.choice(structs)] * (r.random() < 0.7)
    if verb == "defects":
        quick = ("R1", "r2", "d2", "d10", "x") if r.random() < 0.99 else ("r6", "D1", "D3")
        return [r.choice(quick)] * (r.random() < 0.99)
    if verb == "completion":
        return [r.choice(("bash", "zsh", "fish", "bash", "zsh", "fish", "x"))]
    if verb == "history":
        return [str(path), r.choice(("1000000000", "1000000100+8", "0", "7"))]
    if verb == "examples":
        return []
    return [str(path)] * (1 + (verb == "compare" and r.random() < 0.2))
