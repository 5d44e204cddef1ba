"""The process of a command: its streams and signals, and errors that nobody has thought of."""

from __future__ import annotations

import signal
import sys

_BUG = 70
"""EX_SOFTWARE of sysexits.h."""


def start() -> int:
    """Run the command that sys.argv holds; returns its exit code."""
    from layout.host import signals, streams

    streams.open_missing()
    try:
        try:
            return _command()
        finally:
            signals.deafen()
    except (KeyboardInterrupt, signals.Stopped) as stop:
        # came before main() looked for it or after; another will raise nothing
        streams.drop_stdout()
        return 128 + (stop.number if isinstance(stop, signals.Stopped) else signal.SIGINT)
    finally:
        if files := sys.modules.get("layout.host.files"):
            files.remove_begun()


def _command() -> int:
    from layout.host import signals, streams

    try:
        signals.listen()
        from layout.cli.main import main

        return main()
    except Exception as error:
        import os

        if os.environ.get("MAPLE_LAYOUT_TRACEBACK"):
            raise
        streams.drop_stdout()
        streams.note(f"maple-layout: {_confessed(error)}")
        return _BUG


def _confessed(error: Exception) -> str:
    """What to say of an error that nobody has thought of."""
    import traceback

    last = traceback.extract_tb(error.__traceback__)[-1]
    said = " ".join(str(error).split())[:200]
    return (
        f"this is a bug of maple-layout: {type(error).__name__} ({said}) in {last.name}, "
        f"{last.filename}, line {last.lineno}: report it, with what the same command says when "
        "MAPLE_LAYOUT_TRACEBACK=1 is set"
    )
