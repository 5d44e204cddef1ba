"""The commands in the documentation, run as a user would: what they print is what is printed here.

An example prints what stands indented in its docstring. Examples whose names start with ``test_``
are tests, which pytest finds by itself.

In a ``console`` block of the pages below, lines that start with ``$`` are commands, those that
start with ``>`` go on with one, and what follows is all they print, stderr included. The commands
of a page share a directory, in which ``fixtures`` are the project's. A line ``...`` stands for any
lines.
"""

from __future__ import annotations

import ast
import itertools
import os
import re
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = (
    "index.md",
    "maple-tree.md",
    "start-kernel.md",
    "start-reader.md",
    "start-tester.md",
    "tutorial.md",
    "time-travel.md",
    "glossary.md",
    "defects.md",
    "interleave.md",
    "memory.md",
    "kernels.md",
)
EXAMPLES = [
    path for path in sorted((ROOT / "docs/examples").glob("*.py")) if path.name[:5] != "test_"
]
_BLOCK = re.compile(r"^( *```console\n.*?)```", re.DOTALL | re.MULTILINE)


def sessions(page):
    """(command, output) in order."""
    found = []
    for block in _BLOCK.findall((ROOT / "docs" / page).read_text()):
        for part in re.split(r"^\$ ", textwrap.dedent(block), flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            count = 1
            while count < len(lines) and lines[count].startswith("> "):
                count += 1
            command = "\n".join([lines[0], *(line[2:] for line in lines[1:count])])
            found.append((command, lines[count:]))
    return found


def pattern(lines):
    parts = [
        r"(?:.*\n)*" if line.strip() == "..." else re.escape(line.rstrip()) + r" *\n"
        for line in lines
    ]
    return re.compile("".join(parts))


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES)
def test_commands_print_what_the_page_says(page, tmp_path):
    compare_commands(page, tmp_path)


@pytest.mark.long
@pytest.mark.kernel
@pytest.mark.parametrize("page", ["found.md"])
def test_commands_that_build_the_kernel_print_what_the_page_says(page, tmp_path, built):
    built("x86_64")
    built("s390x")
    compare_commands(page, tmp_path)


def compare_commands(page, tmp_path):
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }
    commands = sessions(page)
    assert commands
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    for command, wanted in commands:
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert pattern(wanted).fullmatch(ran.stdout), f"$ {command}\n{ran.stdout}"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_print_what_they_say(path, tmp_path):
    printed = subprocess.run(
        [sys.executable, path], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    about = ast.get_docstring(ast.parse(path.read_text()))
    assert printed.splitlines() == [line[4:] for line in about.splitlines() if line[:4] == " " * 4]
    assert printed


LINKED = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")


@pytest.mark.checkout
@pytest.mark.parametrize("page", LINKED)
def test_links_to_files_of_this_tree_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text()):
        if not target.startswith("https://"):
            path, _, heading = target.partition("#")
            assert (ROOT / path).exists(), target
            headings = (
                re.findall(r"^#+ (.*)$", (ROOT / path).read_text(), re.MULTILINE) if heading else ()
            )
            assert not heading or heading in {each.lower().replace(" ", "-") for each in headings}


def results():
    """The classes that docs/results.md names, and the states of operations, as ast has them."""
    named = re.findall(r"\{py:class\}`~?([\w.]+)`", (ROOT / "docs/results.md").read_text())
    states = ("WrState", "BigNode", "SubtreeState", "MaTopiary")
    for name in dict.fromkeys([*named, *(f"layout.tree.state.{each}" for each in states)]):
        module, _, wanted = name.rpartition(".")
        tree = ast.parse(Path(find_spec(module).origin).read_text())
        [found] = [each for each in tree.body if getattr(each, "name", "") == wanted]
        yield pytest.param(found, id=name)


@pytest.mark.parametrize("result", list(results()))
def test_every_field_of_a_result_has_its_meaning(result):
    assert ast.get_docstring(result)
    for field, below in itertools.pairwise([*result.body, ast.Pass()]):
        if isinstance(field, ast.AnnAssign):
            meaning = below.value.value if isinstance(below, ast.Expr) else None
            assert isinstance(meaning, str), f"{result.name}.{field.target.id} has no meaning"
