"""Ctrl-C ends what is long, also inside compiled loops: exit code 130, no traceback."""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import arches
from layout.machine.machine import Machine
from layout.memory.slab import GFP_KERNEL

MAIN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run where it is ignored
from layout.cli.main import main
sys.exit(main())
"""


class Rang(Exception):  # noqa: N818 - no error
    """The alarm."""


@pytest.fixture
def alarm():
    """``alarm(seconds)``: Rang is raised then, as KeyboardInterrupt would be."""

    def ring(*_):
        raise Rang

    old = signal.signal(signal.SIGALRM, ring)
    # what is raised in a callback of the collector, such as hypothesis has, is lost
    callbacks, gc.callbacks[:] = gc.callbacks[:], []
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, old)
    gc.callbacks[:] = callbacks


def cpu_seconds(pid):
    """What the process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def long_trace(tmp_path_factory):
    """Minutes of work in few lines: walks over a large tree."""
    lines = ["init 0"]
    lines += [f"store {i * 16:x} {i * 16 + 7:x} {i << 1 | 1:x}" for i in range(20_000)]
    lines += ["find_after 0 ffffffff", "iter 0 ffffffff", "next 0 ffffffff"] * 20_000
    path = tmp_path_factory.mktemp("long") / "long.trace"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.usefixtures("leg")
@pytest.mark.parametrize("command", ["run", "compare", "decode"])
def test_ctrl_c_ends_a_command(command, long_trace, leg):
    env = os.environ | {"MAPLE_LAYOUT_PURE": "1" if leg == "python" else ""}
    words = [sys.executable, "-c", MAIN, command, str(long_trace)]
    with subprocess.Popen(
        words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        while cpu_seconds(process.pid) < 1.5:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = cpu_seconds(process.pid)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(timeout=60) == 130
        finally:
            process.kill()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert process.stderr.read() == ""
    # not by the clock: others may use this computer
    total = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert total - used < 1


@pytest.mark.usefixtures("extension")
def test_a_signal_ends_lines_in_lock_step(alarm):
    from layout.compiled._core import LockStep, Replay

    data = b"init 0\n" + b"load 10\n" * 20_000_000
    machines = [Machine(arches.get(name)) for name in ("x86_64", "s390x")]
    replays = [Replay(machine.core, data, len("init 0\n")) for machine in machines]
    for replay, machine in zip(replays, machines, strict=True):
        replay.tree = machine.tree(0)
    together = LockStep(replays)
    alarm(0.1)
    with pytest.raises(Rang):
        together.run()
    assert 0 < together.operations < 20_000_000


@pytest.mark.usefixtures("extension")
@pytest.mark.parametrize("what", ["lines", "looking for lines that show freed nodes"])
def test_a_signal_ends_lines_of_one_machine(alarm, what):
    from layout.compiled._core import Replay

    # blank lines give no transcript that would be handed over
    replay = Replay(Machine(arches.get("x86_64")).core, b"\n" * 200_000_000)
    alarm(0.05)
    with pytest.raises(Rang):
        replay.run() if what == "lines" else replay.shows_no_freed_node()
    assert replay.n < 200_000_000


@pytest.fixture(scope="module")
def large():
    """A machine with a tree of 60,000 leaves."""
    machine = Machine(arches.get("x86_64"))
    if machine.core is not None:
        for i in range(500_000):
            machine.cache.begin()
            machine.kernel.mtree_store_range(
                machine.tree(0), i * 16, i * 16 + 7, i << 1 | 1, GFP_KERNEL
            )
    return machine


@pytest.mark.usefixtures("extension")
def test_a_signal_ends_decoding(alarm, large):
    from layout.compiled._core import Decoder

    mem, tree = large.mem, large.tree(0)
    decoder = Decoder(mem, (mem.ma_flags(tree) & 0x7C) >> 2)
    alarm(0.01)
    with pytest.raises(Rang):
        decoder.decode(mem.ma_root(tree), large.arch.ulong_max)
    assert 0 < len(decoder.levels[-1]) < 30_000


@pytest.mark.usefixtures("extension")
def test_a_signal_ends_one_long_operation(alarm, large):
    allocated = large.cache.allocated
    alarm(0.003)
    with pytest.raises(Rang):
        large.kernel.mtree_dup(large.tree(0), large.tree(1))
    assert 0 < large.cache.allocated - allocated < 30_000
