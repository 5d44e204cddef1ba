"""What a command prints on a terminal."""

import os
import subprocess


def on_a_terminal(command, **environment):
    """The text, of a command that succeeds."""
    ours, theirs = os.openpty()
    env = {**os.environ, "TERM": "xterm-256color", **environment}
    env.pop("NO_COLOR" if "NO_COLOR" not in environment else "", None)
    with subprocess.Popen(command, stdout=theirs, env=env) as process:
        os.close(theirs)
        data = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not chunk:
                break
            data += chunk
    os.close(ours)
    assert process.returncode == 0
    return data.decode().replace("\r\n", "\n")
