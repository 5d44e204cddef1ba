"""The first moments of a command: SIGINT ends it as any other program."""

import ast
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "layout" / "cli" / "script" / "maple-layout"


@pytest.mark.checkout
def test_the_first_statements_see_to_sigint():
    """The script has one import before; that module's first statements import what is built in."""
    script = ast.parse(SCRIPT.read_text()).body
    assert ast.unparse(script[1]) == "from _maple_layout import main"
    _, imported, sets, *_ = ast.parse((ROOT / "_maple_layout.py").read_text()).body
    assert ast.unparse(imported) == "import _signal"
    assert "_signal" in sys.builtin_module_names
    assert "_signal.signal(_signal.SIGINT, _signal.SIG_DFL)" in ast.unparse(sets)


def ended(delay, *words):
    """The exit code and stderr of a command that gets a SIGINT after so many seconds."""
    with subprocess.Popen(
        [sys.executable, SCRIPT, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT)},
        # nohup and "&" ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1].decode()
    return process.returncode, told


@pytest.mark.long
def test_an_interrupt_at_any_moment_shows_no_line_of_ours():
    """Until the first statement has run the interpreter's own code prints a traceback."""
    codes = set()
    for delay in range(0, 100, 4):
        code, told = ended(delay / 1000, "defects", "R1")
        codes.add(code)
        assert f"{ROOT}/layout" not in told.replace(str(SCRIPT), "the script")
        assert f"{ROOT}/arches" not in told
        assert f"{ROOT}/_maple_layout.py" not in told
        assert code in {-signal.SIGINT, 128 + signal.SIGINT, 0, 1}
        assert not (code == 1 and f'"{SCRIPT}"' in told)
    assert codes & {-signal.SIGINT, 128 + signal.SIGINT}


LAST = """
import os, signal, sys
from layout.cli import entry, main
from layout.host import files, signals, streams
place, name = {
    "deafen": (signals, "deafen"), "note": (streams, "note"), "__exit__": (files.Output, "__exit__")
}[sys.argv.pop(1)]
real = getattr(place, name)
def late(*given):
    os.kill(os.getpid(), signal.SIGTERM)
    real(*given)
setattr(place, name, late)
def broken():
    raise ZeroDivisionError
if name == "note":
    main.main = broken
code = entry.start()
os.kill(os.getpid(), signal.SIGHUP)
sys.exit(code)
"""


@pytest.mark.parametrize("moment", ["deafen", "note"])
def test_a_signal_in_the_last_moments_ends_it_without_a_traceback(moment):
    """While it stops to listen, or says why it ends; and one more after that."""
    done = subprocess.run(
        [sys.executable, "-c", LAST, moment, "struct", "--list"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr == ""


def test_a_signal_before_the_first_step_of_cleaning_up_leaves_no_file(tmp_path):
    """Python looks for signals at the entry of a function, before any block in it begins."""
    (tmp_path / "t").write_text("init 0\n")
    done = subprocess.run(
        [sys.executable, "-c", LAST, "__exit__", "draw", "t", "-o", "out"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")
    assert [path.name for path in tmp_path.iterdir()] == ["t"]
