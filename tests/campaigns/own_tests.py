"""How many rule-made mutants do the kernel's own tests in user space find?

    python tests/campaigns/own_tests.py TREE [--kernel 7.3] [--out DIR] [--only 200]

TREE is the top of that kernel's source, unpacked; its tools/testing/radix-tree/maple.c includes
lib/test_maple_tree.c. It needs liburcu-dev; ``CPATH`` and ``LIBRARY_PATH`` say where that is, if
it is not installed. The mutants are the first of mutation_score.py, those that do not compile and
those with the original's machine code left out; results go to the same folder. The tests with threads
(check_rcu_simulated, check_rcu_threaded) take minutes and keep all processors busy: they are
left out. So are gcc's sanitizers.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from mutants import all_in_one
from mutation_score import BY_CORPUS, INVALID, SAME_CODE, Results, sample

from layout.ckernel.source import CODE, open_source
from layout.host.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mutants import Mutant

TESTS = "tools/testing/radix-tree"
BATCH = 100
_THREADED = re.compile(r"^\s+check_rcu_(?:simulated|threaded)\(&tree\);", re.MULTILINE)
_PASSED = re.compile(r"maple_tree: (\d+) of (\d+) tests passed")


def make(tree: Path, folder: Path, chosen: Sequence[tuple[int, Mutant]]) -> Path:
    """The program of the tests, with these mutants in its maple_tree.c, in a copy of the tree."""
    if not folder.exists():
        for part in ("lib", "include", "tools"):
            shutil.copytree(tree / part, folder / part, symlinks=True)
        file = folder / TESTS / "maple.c"
        file.write_text(_THREADED.sub("\t;", file.read_text(errors="surrogateescape")))
    (folder / CODE).write_text(all_in_one((tree / CODE).read_text(), chosen))
    include = "-I../shared -I. -I../../include -I../../arch/x86/include -I../../../lib"
    words = ["make", "maple", f"CFLAGS={include} -O2 -w -D_LGPL_SOURCE", "LDFLAGS="]
    done = subprocess.run(words, cwd=folder / TESTS, capture_output=True, check=False)
    if done.returncode:
        sys.exit(done.stderr.decode(errors="replace")[-2000:])
    return folder / TESTS / "maple"


def passes(program: Path, number: int, seconds: int) -> bool:
    """Whether all tests pass with a mutant, in so many seconds of processor time."""
    log = program.with_name("log")
    words = ["prlimit", f"--cpu={seconds}", "--as=4000000000", "--core=0", f"--fsize={1 << 28}"]
    with log.open("wb") as out:
        env = {**os.environ, "MUTANT": str(number)}
        try:
            done = subprocess.run(
                [*words, program], stdout=out, stderr=out, env=env, timeout=9 * seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return False
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 1000))
        end = file.read().decode(errors="replace")
    passed = _PASSED.search(end)
    whole = passed is not None and passed[1] == passed[2]
    return done.returncode == 0 and whole


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", type=Path)
    parser.add_argument("--kernel", default="6.12", choices=("6.12", "7.3"))
    parser.add_argument("--out", type=Path, default=Path("mutation-score"))
    parser.add_argument("--only", type=int, default=200)
    args = parser.parse_args()
    source = open_source(deb=f"linux-source-{args.kernel}")
    if (args.tree / CODE).read_bytes() != source.code.read_bytes():
        sys.exit(f"{args.tree} has another {CODE} than linux-source-{args.kernel}")
    results = Results(args.out, source.sha256)
    chosen = [
        (number, mutant)
        for number, mutant in sample(source, 0)
        if results.rows.get(number, {}).get("outcome", INVALID) not in (INVALID, SAME_CODE)
    ][: args.only]
    kept = args.out / f"own-tests-{source.sha256[:12]}.json"
    done = json.loads(kept.read_text()) if kept.exists() else {}
    chosen = [each for each in chosen if str(each[0]) not in done]
    with Progress("the kernel's own tests", len(chosen), "mutants") as progress:
        for start in range(0, len(chosen), BATCH):
            batch = chosen[start : start + BATCH]
            program = make(args.tree, args.out / f"own-{args.kernel}", batch)
            begun = os.times().children_user
            if not passes(program, 0, 600):
                sys.exit("the tests fail without a mutant")
            seconds = 10 + round(4 * (os.times().children_user - begun))
            for number, _ in batch:
                clock = time.monotonic()
                found = not passes(program, number, seconds)
                done[str(number)] = [found, round(time.monotonic() - clock, 1)]
                kept.write_text(json.dumps(done))
                progress.step()
    both = Counter(
        (results.rows[int(number)]["outcome"] == BY_CORPUS, found)
        for number, (found, _) in done.items()
        if results.rows[int(number)]["outcome"] not in (INVALID, SAME_CODE)
    )
    print("| found by | mutants |\n|---|---|")
    for name, key in (
        ("both", (True, True)), ("the corpus alone", (True, False)),
        ("the kernel's own tests alone", (False, True)), ("neither", (False, False)),
    ):  # fmt: skip
        print(f"| {name} | {both[key]} |")


if __name__ == "__main__":
    main()
