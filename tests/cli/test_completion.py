"""Completion in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

import arches
from layout.cli.completion import SHELLS, script

CASES = {
    "maple-layout deco": "decode",
    "maple-layout kernel di": "diff",
    "maple-layout run --arch s3": "s390x",
    "maple-layout run --defect D1": "D10",
    "maple-layout export --format d": "drgn",
    "maple-layout examples s3": "s390x-6.12.95-sleep.json",
    "maple-layout dump here.tr": "here.trace",
    "maple-layout kernel fuzz --out di": "directory",
}
BASH = """
source "$1"; COMP_WORDS=($2); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_shtab_maple_layout; printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = 'source $argv[1]; complete -C "$argv[2]"'
ZSH = """
zmodload zsh/zpty; zpty -b z zsh -f -i
drain() { local out; integer quiet; all=
  while ((quiet++ < 15)); do if zpty -r -t z out; then all+=$out quiet=0; else sleep 0.1; fi; done }
zpty -w z "PS1=; TERM=dumb; fpath=(${1:h} \\$fpath); autoload -Uz compinit; compinit -u -D"
drain; zpty -n -w z "$2"$'\\t'; drain; print -r -- $all
"""


def complete(shell, line, folder):
    """What the shell offers for a line, or what it makes of it."""
    if not shutil.which(shell):
        if os.environ.get("MAPLE_LAYOUT_NEEDS_TOOLCHAIN"):
            pytest.fail(f"{shell} is missing")
        pytest.skip(f"{shell} is missing")
    (folder / "here.trace").touch()
    (folder / "directory").mkdir()
    file = folder / "_maple-layout"
    file.write_text(script(shell))
    words = {
        "bash": ["bash", "--norc", "-c", BASH, "bash", file, line],
        "fish": ["fish", "--no-config", "-c", FISH, file, line],
        "zsh": ["zsh", "-f", "-c", ZSH, "zsh", file, line],
    }[shell]
    done = subprocess.run(
        words,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        start_new_session=True,  # shells take hold of the terminal, if there is one
    )
    return done.stdout.split()


@pytest.mark.parametrize("line", CASES)
@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_words_are_offered(shell, line, tmp_path):
    assert CASES[line] in [word.rstrip("/") for word in complete(shell, line, tmp_path)]


@pytest.mark.long  # a terminal's pauses
@pytest.mark.parametrize("line", CASES)
def test_zsh_completes_the_line(line, tmp_path):
    words = " ".join(complete("zsh", line, tmp_path))
    assert CASES[line] in words.replace("\b", "")


def test_every_machine_is_offered(run):
    for shell in SHELLS:
        code, out, err = run("completion", shell)
        assert (code, err) == (0, "")
        assert all(name in out for name in arches.names())
    code, _, err = run("completion", "csh")
    assert code == 2
    assert "'csh' is none of bash, zsh, fish" in err
