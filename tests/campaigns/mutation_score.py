"""How many of all rule-made mutants of a kernel's maple_tree.c does the corpus find?

    python tests/campaigns/mutation_score.py [--kernel 7.3] [--out DIR] [--traces 600]
    python tests/campaigns/mutation_score.py --table

The rules are in mutants.py. Some 150 mutants are compiled into one program of the harness. Each
carries out the traces of fixtures/corpus/VERSION on this computer, those first that execute its
line, up to the first transcript, with sums of all memory, whose digest is not the stored one. For
those not found, gcc compiles the function once more: is the machine code the original's? What is
left gets other traces: those of corners.py, of the other kernels' corpora, and ``--traces`` random
ones; then the corpus where memory is not zero, and on other machines. Results are lines of JSON
in ``--out``. The same command goes on where it was stopped. ``--table`` counts what is done.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import re
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

from corners import area_traces, border_traces, cursor_traces
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from mutants import RULES, Mutant, all_in_one, functions, mutants, visible

import arches
from layout.ckernel import toolchain
from layout.ckernel.build import COVERAGE, Built, around_code, build, flags_of
from layout.ckernel.coverage import coverage, forget
from layout.ckernel.execute import _encode, run
from layout.ckernel.generate import generate
from layout.ckernel.programs import Programs
from layout.ckernel.source import open_source
from layout.host import children
from layout.host.progress import Progress
from layout.hunt.corpus import digest, narrow, operations_of, read_corpus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from layout.ckernel.source import KernelSource
    from layout.traces.trace import Operation

CORPUS = Path(__file__).parents[2] / "fixtures/corpus"
ARCH = "x86_64"
BATCH = 150
SECONDS = 1
"""Seconds of processor time after which an operation of a mutant never ends."""
MOST_NODES = 0x20000
HANGS = 120
INVALID, BY_CORPUS, SAME_CODE, BY_OTHERS, NOT_FOUND = (
    "invalid",
    "corpus",
    "same code",
    "other traces",
    "not found",
)
OLD_BYTES, NARROW, BIG = "old-bytes", "32-bits", "big-endian"
Numbered = tuple[int, Mutant]


@dataclass(frozen=True)
class Way:
    """Where and how mutants are carried out: an original's build, and options of gcc."""

    name: str
    built: Built
    options: tuple[str, ...] = ()


def compile_into(way: Way, folder: Path, code: str, options: Sequence[str]) -> set[int]:
    """Compile a source in the place of a build's; the numbers of mutants that gcc refuses."""
    folder.mkdir(parents=True, exist_ok=True)
    path, built = (folder / "maple_tree.c").resolve(), way.built
    path.write_text(code)
    words = [toolchain.find(built.arch).compiler, *flags_of(built.source)]
    words += [*around_code(str(path)), f"-DMOST_NODES={MOST_NODES:#x}UL", *way.options]
    done = children.run([*words, *options, "main.c"], cwd=built.directory)
    said = done.stderr.decode(errors="replace")
    complaint = r"^mutant(\d+):\d+:\d+: (?:error|note: in expansion)"
    refused = {int(number) for number in re.findall(complaint, said, re.MULTILINE)}
    if done.returncode and not refused - {0}:
        sys.exit(f"the mutants do not compile: {said[:2000]}")
    return refused


def program_of(way: Way, folder: Path, batch: Sequence[Numbered]) -> tuple[Built, set[int]]:
    """A program with all mutants of a batch that C allows, and the numbers of the others."""
    code = way.built.source.code.read_text()
    refused: set[int] = set()
    options = ["-O0", "-g0", "-static", "-o", str((folder / "harness").resolve())]
    while True:
        wanted = [each for each in batch if each[0] not in refused]
        more = compile_into(way, folder, all_in_one(code, wanted), options)
        if not more:
            return replace(way.built, directory=folder), refused
        refused |= more


def same_code(way: Way, folder: Path, batch: Sequence[Numbered]) -> set[int]:
    """The numbers of mutants whose function has the original's machine code at -O2, or none."""
    file = (folder / "main.o").resolve()
    code = all_in_one(way.built.source.code.read_text(), batch, "__attribute__((noipa))")
    options = ["-O2", "-g0", "-c", "-ffunction-sections", "-fdata-sections", "-o", str(file)]
    compile_into(way, folder, code, options)
    elf = ELFFile(io.BytesIO(file.read_bytes()))
    text: dict[str, list[Any]] = {}
    for section in elf.iter_sections():
        found = re.search(r"(\w+)__(\d+)\b", section.name)
        if found is None:
            continue
        what: Any = section.data()
        if isinstance(section, RelocationSection):
            symbols = elf.get_section(section["sh_link"])
            what = [_relocation(elf, symbols, each) for each in section.iter_relocations()]
        text.setdefault(f"{found[1]}__{found[2]}", []).append(
            (section.name.replace(found[0], found[1]), what)
        )
    return {
        n
        for n, mutant in batch
        if text.get(f"{mutant.function}__{n}") == text.get(f"{mutant.function}__0")
    }


def _relocation(elf: ELFFile, symbols: Any, each: Any) -> tuple[Any, ...]:
    symbol = symbols.get_symbol(each["r_info_sym"])
    index = symbol["st_shndx"]
    name = symbol.name or (elf.get_section(index).name if isinstance(index, int) else index)
    return each["r_offset"], each["r_info_type"], each["r_addend"], re.sub(r"__\d+\b", "", name)


class Suite:
    """Traces with what the original does on them; ``truth`` are the digests, if they are known."""

    def __init__(self, traces: Mapping[str, Sequence[Operation]]) -> None:
        self.traces = traces
        self.given = {
            name: "".join(f"{each.n} {_encode(each)}\n" for each in operations).encode()
            for name, operations in traces.items()
        }
        self.transcripts: dict[str, bytes] = {}

    def _carry_out(self, program: Built, name: str, programs: Programs) -> bytes:
        command, env = [*program.command, str(SECONDS), "sums"], dict(os.environ)
        signal.alarm(HANGS)
        try:
            if any(operation.op == "poke" for operation in self.traces[name]):
                return self._alone(command, name, env)
            return programs.run(command, self.given[name], env).stdout
        except TimeoutError:
            return b""
        finally:
            signal.alarm(0)

    def _alone(self, command: Sequence[str], name: str, env: Mapping[str, str]) -> bytes:
        return children.run(command, given=self.given[name], env=env).stdout

    def _differs(self, program: Built, name: str, number: int) -> bool:
        """Whether a mutant differs in a process of its own: old bytes of others are not in it."""
        command = [*program.command, str(SECONDS), "sums"]
        signal.alarm(HANGS)
        try:
            texts = [
                self._alone(command, name, {**os.environ, "MUTANT": str(each)})
                for each in (0, number)
            ]
        except TimeoutError:
            return True
        finally:
            signal.alarm(0)
        return _digest(texts[0]) != _digest(texts[1])

    def record(self, program: Built) -> dict[str, str]:
        """Take what a program does without a mutant for the truth; the digests of it."""
        os.environ["MUTANT"] = "0"
        with Programs() as programs:
            self.transcripts = {
                name: self._carry_out(program, name, programs) for name in self.traces
            }
        return {name: _digest(text) for name, text in self.transcripts.items()}

    def find(self, program: Built, number: int, order: Iterable[str]) -> str:
        """The first trace on which a mutant does something else, or nothing."""
        os.environ["MUTANT"] = str(number)
        with Programs() as programs:
            for name in order:
                text, truth = self._carry_out(program, name, programs), self.transcripts[name]
                if (
                    text != truth
                    and _digest(text) != _digest(truth)
                    and self._differs(program, name, number)
                ):
                    return name
        return ""


def _digest(transcript: bytes) -> str:
    """A transcript's digest; of one that a mutant has garbled, that it is none."""
    try:
        return digest(json.loads(line) for line in transcript.splitlines())
    except (ValueError, KeyError, TypeError):
        return "garbled"


def lines_of(
    built: Built, traces: Mapping[str, Sequence[Operation]], kept: Path
) -> dict[str, dict[int, int]]:
    """How often each trace executes each line of the original with code; ``kept`` in a file."""
    counts: dict[str, dict[int, int]] = {}
    if kept.exists():
        for name, lines in json.loads(kept.read_text()).items():
            counts[name] = {int(line): count for line, count in lines.items()}
        if counts.keys() == traces.keys():
            return counts
    counting = build(built.source, ARCH, COVERAGE)
    for name, operations in Progress("lines that traces execute", len(traces), "traces").over(
        traces.items()
    ):
        forget(counting)
        run(counting, operations)
        counts[name] = coverage(counting).counts
    kept.write_text(json.dumps(counts))
    return counts


def other_traces(built: Built, count: int) -> dict[str, list[Operation]]:
    """Those of corners.py, those of the other kernels' corpora that fit, and generated ones."""
    source, version = built.source, built.source.emulator
    found = {
        name: operations_of(text)
        for name, text in (*cursor_traces(), *border_traces(), *area_traces())
    }
    for other in sorted(
        path.name for path in CORPUS.iterdir() if path.is_dir() and path.name != version
    ):
        for name, operations in read_corpus(CORPUS / other).items():
            if not source.missing_operations & {each.op for each in operations}:
                found[f"{other}/{name}"] = operations
    for seed in Progress("random traces", count, "traces").over(range(count)):
        made = generate(seed, arches.get(ARCH), without=source.missing_operations, version=version)
        found[f"seed {seed}"] = made.operations
    return found


class Results:
    """The lines of one kernel's results; those of another source are not taken for them."""

    def __init__(self, folder: Path, sha256: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"results-{sha256[:12]}.jsonl"
        text = self._path.read_text() if self._path.exists() else ""
        self.rows: dict[int, dict[str, Any]] = {}
        for line in text.splitlines():
            row = json.loads(line)
            self.rows[row["number"]] = row

    def more(self, number: int) -> dict[str, Any]:
        """What is known of a mutant beyond itself and its outcome."""
        known = ("trace", "seconds", "executed", "unequal", "tried", "elsewhere", "shown")
        return {key: value for key, value in self.rows[number].items() if key in known}

    def add(self, numbered: Numbered, outcome: str, **more: Any) -> None:
        """Write one down."""
        number, mutant = numbered
        row = {"number": number, "outcome": outcome, **more, **asdict(mutant)}
        self.rows[number] = row
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def sample(source: KernelSource, size: int) -> list[Numbered]:
    """Mutants by chance, all if ``size`` is 0; a larger sample begins with the smaller one."""
    every = list(enumerate(mutants(source.code.read_text()), 1))
    random.Random(0).shuffle(every)
    return every[: size or None]


def campaign(
    built: Built, folder: Path, results: Results, every: Sequence[Numbered], count: int
) -> None:
    """Carry out what is not done yet."""
    version = built.source.emulator
    traces = read_corpus(CORPUS / version)
    truth = json.loads((CORPUS / f"{version}.json").read_text())[ARCH]
    todo = [each for each in every if each[0] not in results.rows]
    counts = lines_of(built, traces, folder.parent / f"lines-{version}.json") if todo else {}
    counted = sorted(next(iter(counts.values()), ()))  # some lines of a statement have no count
    code = built.source.code.read_text()
    begins = {each.name: code.count("\n", 0, each.start) + 1 for each in functions(visible(code))}
    suite, way = Suite(traces), Way("corpus", built)
    with Progress("mutants", len(every), "mutants") as progress:
        progress.at(len(every) - len(todo))
        for batch in _batches(todo):
            program, refused = program_of(way, folder, batch)
            if suite.record(program) != truth:
                sys.exit("the program of the mutants is not the kernel where none is chosen")
            for number, mutant in batch:
                if number in refused:
                    results.add((number, mutant), INVALID)
                    progress.step()
                    continue
                near = [each for each in counted if begins[mutant.function] <= each <= mutant.line]
                executing = [name for name in traces if near and counts[name][near[-1]]]
                order = sorted(traces, key=lambda name: (name not in executing, len(traces[name])))
                begun = time.monotonic()
                trace = suite.find(program, number, order)
                outcome = BY_CORPUS if trace else NOT_FOUND
                seconds = round(time.monotonic() - begun, 3)
                results.add(
                    (number, mutant), outcome, trace=trace, seconds=seconds, executed=len(executing)
                )
                progress.step()
    missed = [each for each in every if results.rows[each[0]]["outcome"] == NOT_FOUND]
    unequal = [each for each in missed if "unequal" not in results.rows[each[0]]]
    for batch in _batches(unequal):
        equal = same_code(way, folder, batch)
        for number, mutant in batch:
            more = results.more(number) | {"unequal": True}
            results.add((number, mutant), SAME_CODE if number in equal else NOT_FOUND, **more)
    left = [each for each in missed if results.rows[each[0]]["outcome"] == NOT_FOUND]
    left = [each for each in left if "tried" not in results.rows[each[0]]]
    suite = Suite(other_traces(built, count) if left else {})
    with Progress("other traces", len(left), "mutants") as progress:
        for batch in _batches(left):
            program, _ = program_of(way, folder, batch)
            suite.record(program)
            for number, mutant in batch:
                begun = time.monotonic()
                trace = suite.find(program, number, suite.traces)
                more = results.more(number) | {"trace": trace, "tried": len(suite.traces)}
                more["seconds"] = round(time.monotonic() - begun, 3)
                results.add((number, mutant), BY_OTHERS if trace else NOT_FOUND, **more)
                progress.step()


def elsewhere(
    source: KernelSource,
    folder: Path,
    results: Results,
    every: Sequence[Numbered],
    wanted: Iterable[str],
) -> None:
    """Carry out the corpus where a mutant that was not found might show."""
    traces = read_corpus(CORPUS / source.emulator)
    dirty = ("-DOLD_BYTES=0x5a", "-ftrivial-auto-var-init=pattern")
    ways = {OLD_BYTES: (ARCH, dirty), NARROW: ("i386", ()), BIG: ("s390x", ())}
    for name in wanted:
        arch, options = ways[name]
        way = Way(name, build(source, arch), options)
        if name == NARROW:  # this computer can do that itself
            way = replace(way, built=replace(way.built, runner=()))
        suite = Suite({key: narrow(each, arches.get(arch)) for key, each in traces.items()})
        left = []
        for number, mutant in every:
            row = results.rows[number]
            done = row.get("shown") or name in row.get("elsewhere", ())
            if row["outcome"] == NOT_FOUND and row["executed"] and not done:
                left.append((number, mutant))
        with Progress(name, len(left), "mutants") as progress:
            for batch in _batches(left):
                program, refused = program_of(way, folder, batch)
                suite.record(program)
                for number, mutant in batch:
                    more = results.more(number)
                    tried = [*more.get("elsewhere", []), name]
                    shown = "" if number in refused else suite.find(program, number, suite.traces)
                    more |= {"elsewhere": tried, "shown": name if shown else ""}
                    results.add((number, mutant), NOT_FOUND, **more)
                    progress.step()


def _batches(every: Sequence[Numbered]) -> Iterator[Sequence[Numbered]]:
    return (every[start : start + BATCH] for start in range(0, len(every), BATCH))


def table(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    """The results by rule."""
    found = list(rows)
    columns = (INVALID, SAME_CODE, BY_CORPUS, BY_OTHERS, NOT_FOUND)
    yield f"| rule | mutants | {' | '.join(columns)} | found of those that can be | median |"
    yield f"|---|{'---|' * (len(columns) + 3)}"
    for rule in (*RULES, ""):
        of_rule = [row for row in found if not rule or row["rule"] == rule]
        count = Counter(row["outcome"] for row in of_rule)
        left = len(of_rule) - count[INVALID] - count[SAME_CODE]
        times = [row["seconds"] for row in of_rule if row["outcome"] == BY_CORPUS]
        cells = [str(len(of_rule)), *(str(count[name]) for name in columns)]
        share = f"{100 * count[BY_CORPUS] / left:.1f} %" if left else "-"
        median = f"{1000 * statistics.median(times):.0f} ms" if times else "-"
        yield f"| {rule or 'all'} | {' | '.join([*cells, share, median])} |"


def on_alarm(*_: object) -> None:
    """A program that neither answers nor takes time."""
    raise TimeoutError


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", default="6.12", choices=("6.12", "7.3"))
    parser.add_argument("--out", type=Path, default=Path("mutation-score"))
    parser.add_argument("--traces", type=int, default=600, help="random ones for what is left")
    parser.add_argument("--only", type=int, default=0, help="so many mutants, by chance")
    ways = f"{OLD_BYTES},{NARROW},{BIG}"
    parser.add_argument("--elsewhere", default=ways, help=f"where to look for the rest: {ways}")
    parser.add_argument("--table", action="store_true", help="count what is done")
    args = parser.parse_args()
    signal.signal(signal.SIGALRM, on_alarm)
    source = open_source(deb=f"linux-source-{args.kernel}")
    results = Results(args.out, source.sha256)
    every = sample(source, args.only)
    if not args.table:
        with tempfile.TemporaryDirectory(dir=args.out) as name:  # no other process compiles there
            campaign(build(source, ARCH), Path(name), results, every, args.traces)
            elsewhere(source, Path(name), results, every, filter(None, args.elsewhere.split(",")))
    print("\n".join(table(results.rows[n] for n, _ in every if n in results.rows)))


if __name__ == "__main__":
    main()
