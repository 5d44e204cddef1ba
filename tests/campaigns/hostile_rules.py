"""What a command has to do wherever it runs: the rules of the campaign of hostile input.

Each function says what breaks a rule, in words; empty if nothing does.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

from hostile_process import MEGABYTES, SECONDS, SIGNALS

_LONGEST = 2100
"""Characters of a line on stderr at most."""

NOTED = {
    "log",
    "strace",
    "json",
    "core",
    "raw",
    "paste",
    "packed",
    "options",
    "known",
    "odd",
    "pair",
    "source",
    "kernel",
    "hunt",
}
LOOKING = {"decode", "draw", "dump", "explore", "export", "scan", "struct", "validate"}
"""Kinds of input and verbs where notes may come before the line that says why a command ends.

Each is a fact on what was read, such as the fault in which a trace ended. It is so whatever comes
after it, a full disk for one.
"""
_TOLD_FIRST = {"--junit", "--sarif"}
"""With these the result, such as a machine's fault, is told before files are written.

The fault and the full disk are two facts: a run of hours would be lost with the first.
"""
_NOTES = 21
"""So many of them at most."""
_DRIVES = re.compile(rb"[\0-\x08\x0b-\x1f\x7f]")
_STAYS = re.compile(r"maple-layout: .*/(\.[^/]*\.part) stays: .*: remove it")
_PROGRESS = re.compile(r"\d+ s: .+")
_ANNOTATION = re.compile(r"::error file=[^,:]*,(line=\d+,)?title=[^,:]*::")

_ENDED = {
    "gone": {128 + signal.SIGPIPE},
    "stopped": {code for number in SIGNALS for code in (-number, 128 + number)},
    "killed": {-signal.SIGKILL},
}
"""Exit codes that only some surroundings may give; negative is a signal."""


_LATE = {
    *_ENDED,
    "fails",
    "disk gone",
    "full",
    "no stdout",
    "file size",
    "ascii",
    "latin-1",
    "utf-16",
}
"""Surroundings in which a command may fail when its file is in its place: at what it says then."""


def wrong(here, place=None):
    """What is wrong with how a command ended, and with what it said."""
    where = "" if place is None else place.name
    if here.hung:
        return "it hangs"
    if here.cpu > SECONDS or here.code == -signal.SIGXCPU:
        return f"it takes {here.cpu:.0f} s"
    if here.megabytes > MEGABYTES:
        return f"it takes {here.megabytes} MB"
    if here.code not in {0, 1, 2} | _ENDED.get(where, set()):
        return f"exit code {here.code}: {here.err[-300:]!r}"
    return "" if where == "utf-16" else _printed(here, silent=where == "no stderr")


def _printed(here, *, silent):
    if found := _DRIVES.search(here.out) if here.kind not in {"options", "known", "odd"} else None:
        return f"stdout drives a terminal: {here.out[max(0, found.start() - 99) :][:200]!r}"
    return "" if "--ledger" in here.words else _said(here, silent=silent)  # a table is on stderr


def _said(here, *, silent):
    said = here.err.decode(errors="surrogateescape")
    told = said.split("\n")
    last = told.pop()
    if "--github" in here.words:
        told = [line for line in told if not _ANNOTATION.match(line)]
    if here.kind in {"kernel", "hunt"}:
        told = [line for line in told if not _PROGRESS.match(line)]
        if here.words[1:2] == ["run"]:  # what the program said
            told = [line for line in told if line.startswith("maple-layout") or _bad(line)]
    if last or not all(line.startswith("maple-layout") for line in told):
        return f"exit code {here.code} says: {said[:300]!r}"
    told = [line for line in told if not _STAYS.fullmatch(line)]
    if any(map(_bad, told)):
        return f"a line that no terminal should get: {said[:300]!r}"
    verb = set(here.words[:1])
    noted = here.kind in NOTED or verb & LOOKING or _TOLD_FIRST.intersection(here.words)
    most = 0 if silent else _NOTES + 1 if noted else 1
    if here.code == 2 and not bool(most) <= len(told) <= most:
        return f"exit code 2 says in {len(told)} lines: {said[:600]!r}"
    return ""


def _bad(line):
    """Whether a line is none for a terminal."""
    return len(line) > _LONGEST or any(char < " " and char != "\t" for char in line)


def left_over(here, before):
    """What is wrong with the hidden files that a command leaves; ``before`` were there."""
    new = {name for name in here.files if Path(name).name.startswith(".")} - before
    left = {name for name in new if Path(name).suffix in {".part", ".unit"}}
    return f"files are left: {sorted(left)}" if left else ""


def left_and_told(here):
    """Temporary files that could not be removed, each of which stderr names."""
    return {found[1] for found in map(_STAYS.fullmatch, _lines(here, stays=True)) if found}


def _lines(here, *, stays=False):
    said = here.err.decode(errors="surrogateescape").split("\n")[:-1]
    return [line for line in said if stays or not _STAYS.fullmatch(line)]


def wrong_files(here, plain, old, place=None):
    """What is wrong with the output files: all are as in ``old``, or as they have to become."""
    where = "" if place is None else place.name
    changed = here.files != old
    if any(Path(name).name.startswith(".") for name in here.files):
        return f"files are left: {sorted(here.files)}"
    if changed and where == "readonly":
        return f"files that nobody may write: {sorted(here.files)}"
    late = where in _LATE
    become = {**old, **plain.files}
    if changed and (here.files != become or (here.code not in {0, 1} and not late)):
        sizes = {name: len(data) for name, data in here.files.items()}
        return f"exit code {here.code}, and these files: {sizes}"
    if not changed and here.code in {0, 1} and here.code == plain.code and plain.files != old:
        return f"exit code {here.code}, and nothing written"
    return ""


def wrong_here(here, plain, old, place):
    """What breaks a rule of these surroundings, beside what plain surroundings give."""
    return (
        wrong(here, place)
        or _wrong_word(here, plain, place)
        or wrong_files(here, plain, old, place)
    )


def _wrong_word(here, plain, place):
    if place.same and place.name != "no stderr" and here.err != plain.err and place.name != "user":
        return f"stderr differs: {here.err[:300]!r}, elsewhere {plain.err[:300]!r}"
    if place.same and (here.code, here.out) != (plain.code, plain.out):
        return f"exit code {here.code}, elsewhere {plain.code}, or stdout differs"
    new = [line for line in _lines(here)[:-1] if line not in _lines(plain)]
    if here.code == 2 and new and place.name != "utf-16" and "--ledger" not in here.words:
        return f"notes that are not elsewhere: {new}"
    if place.name in {"full", "no stdout"} and plain.out and here.code != 2:
        return f"lost output, and exit code {here.code}"
    if place.name == "gone" and plain.out and here.code == 0:
        return "lost output, and exit code 0"
    return ""
