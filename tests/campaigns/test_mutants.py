"""The rules that make mutants, on a C source made up here, and the program that has them all."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mutants import RULES, all_in_one, functions, mutants, visible

CODE = """\
#define LIMIT 8
int printf(const char *format, ...);
int atoi(const char *);

/* a < b in a comment */
static inline unsigned long area(unsigned long width,
\t\tconst char *why)
\t__must_hold(why)
{
\tunsigned long end = width + 1;
\tunsigned long min = 3, sum = 0;

\tif (width < 2 && !why)
\t\treturn 0;

\tWARN_ON(width == 77);
\tfor (; sum < LIMIT; sum++) {
\t\tif (sum == width)
\t\t\tbreak;
\t\tend += sum * 2;
\t}
\tprintf("%s < %s\\n",
\t       __func__, why);
#ifdef DEBUG
\tend = 0;
#endif
\treturn end | min;
}

int main(int argc, char **argv)
{
\treturn area(atoi(argv[1]), "x");
}
"""

EXPECTED = [
    "area:10: off by one: '+ 1' -> ''",
    "area:11: min and max: 'min' -> 'max'",
    "area:11: constant: '3' -> '4'",
    "area:11: constant: '0' -> '1'",
    "area:13: condition negated: 'width < 2 && !why' -> '!(width < 2 && !why)'",
    "area:13: comparison: '<' -> '<='",
    "area:13: constant: '2' -> '3'",
    "area:13: logic: '&&' -> '||'",
    "area:13: not left out: '!' -> ''",
    "area:14: constant: '0' -> '1'",
    "area:17: comparison: '<' -> '<='",
    "area:17: step: '++' -> '--'",
    "area:18: comparison: '==' -> '!='",
    "area:19: jump left out: 'break' -> ''",
    "area:20: statement left out: 'end += sum * 2' -> ''",
    "area:20: arithmetic: '+=' -> '-='",
    "area:20: arithmetic: '*' -> '/'",
    "area:20: constant: '2' -> '3'",
    "area:22: statement left out: 'printf(\"%s < %s\\\\n\", __func__, why)' -> ''",
    "area:27: bits: '|' -> '&'",
    "area:27: min and max: 'min' -> 'max'",
    "main:32: constant: '1' -> '2'",
]


def test_each_rule_changes_what_it_says_and_nothing_else():
    made = mutants(CODE)
    assert [str(mutant) for mutant in made] == EXPECTED
    assert {mutant.rule for mutant in made} == set(RULES) - {"truth"}
    assert len({mutant.apply(CODE) for mutant in made}) == len(made)
    assert "returned true" not in visible("/* returned true */")


def test_functions_have_their_names_and_parameters():
    found = [(each.name, each.parameters) for each in functions(visible(CODE))]
    assert found == [("area", ("width", "why")), ("main", ("argc", "argv"))]
    pointer = "static void walk(void (*step)(int), int slots[4])\n{\n}\n"
    [walk] = functions(visible(pointer))
    assert (walk.name, walk.parameters) == ("walk", ("step", "slots"))
    assert pointer[walk.start : walk.end] == pointer.rstrip("\n")


@pytest.fixture
def program(tmp_path):
    """A program with all mutants: ``program(number, argument)``, its exit status and output."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not installed")
    chosen = [(n, each) for n, each in enumerate(mutants(CODE), 1) if each.rule != "min and max"]
    path = tmp_path / "all.c"
    path.write_text(all_in_one(CODE, chosen))
    words = [gcc, "-w", "-DWARN_ON(x)=", "-D__must_hold(x)=", path, "-o", tmp_path / "all"]
    subprocess.run(words, check=True)

    def run(number, argument):
        env = {**os.environ, "MUTANT": str(number)}
        done = subprocess.run(
            [tmp_path / "all", str(argument)], env=env, capture_output=True, check=False
        )
        return done.returncode, done.stdout.decode()

    return run


def test_the_program_is_the_mutant_that_is_chosen(program):
    number = {text: at for at, text in enumerate(EXPECTED, 1)}
    said = "area < x\n"
    assert program(0, 2) == (5 | 3, said)
    assert program(number["area:10: off by one: '+ 1' -> ''"], 2) == (4 | 3, said)
    assert program(number["area:19: jump left out: 'break' -> ''"], 2) == (59 | 3, said)
    assert program(number["area:27: bits: '|' -> '&'"], 2) == (5 & 3, said)
    assert program(number[EXPECTED[18]], 2) == (7, "")
