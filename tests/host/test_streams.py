"""Descriptors that are closed, full or gone: output that is lost is never exit code 0."""

import signal
import subprocess
import sys
import time

import pytest

COMMAND = [
    sys.executable,
    "-c",
    "import sys; from _maple_layout import main; sys.exit(main())",
]
STRUCT = [*COMMAND, "struct", "maple_node"]


def shell(line, *words, **options):
    return subprocess.run(
        ["sh", "-c", line, "sh", *words], capture_output=True, text=True, check=False, **options
    )


def test_a_closed_stdout():
    done = shell('"$@" >&-', *STRUCT)
    assert done.returncode == 2
    assert done.stderr.startswith("maple-layout: stdout: Bad file descriptor")
    assert done.stderr.count("\n") == 1


def test_a_full_disk():
    for words in (STRUCT, [*COMMAND, "--help"], [*COMMAND, "--version"]):
        done = shell('"$@" >/dev/full', *words)
        assert done.returncode == 2
        assert done.stderr.startswith("maple-layout: stdout: No space left on device")


def test_a_closed_stderr_puts_no_note_into_stdout():
    done = shell('"$@" 2>&-', *COMMAND, "struct", "nonsense")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_closed_stdin():
    done = shell('"$@" <&-', *COMMAND, "run", "-")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_pipe_that_nobody_reads():
    done = shell('{ "$@"; echo $? >&2; } | true', *COMMAND, "struct", "--format", "json")
    assert done.stderr.strip() in {"141", "0"}  # 0 if all was in the pipe before its end


def test_a_table_that_nobody_reads():
    """Exit code 1 would be a finding."""
    done = shell('{ "$@"; echo $? >&2; } | true', *COMMAND, "defects")
    assert done.stderr.strip() in {"141", "0"}


def test_a_table_in_no_columns():
    done = shell('COLUMNS=0 TERM=dumb "$@"', *COMMAND, "defects")
    assert done.returncode == 0
    assert "R1" in done.stdout


@pytest.mark.parametrize("encoding", ["ascii:strict", "utf-16", "latin-1:strict"])
def test_strict_encodings(encoding, tmp_path):
    name = tmp_path / "n\N{SNOWMAN}\udcff"
    done = subprocess.run(
        [*COMMAND, "run", str(name)],
        capture_output=True, check=False, env={"PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_signals(number, code, tmp_path):
    target = tmp_path / "trace"
    with subprocess.Popen(
        [*COMMAND, "record", "/dev/stdin", "-o", target],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # nohup and "&" ignore some
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509 - no threads
    ) as process:
        while not list(tmp_path.iterdir()) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(number)
        assert process.communicate(timeout=60)[1] == b""
        assert process.returncode == code
    assert list(tmp_path.iterdir()) == []
