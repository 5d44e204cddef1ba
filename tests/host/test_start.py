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
