"""Logs of real programs against their /proc/PID/maps, and what happens between processes."""

import lzma
from pathlib import Path

import pytest

import arches
from layout.images.decode import decode
from layout.machine.machine import Machine
from layout.memory.errors import InputError, UsageError
from layout.record import maps as maps_file
from layout.record import processes
from layout.record.processes import record
from layout.traces.runner import Runner
from layout.traces.trace import parse

STRACE = Path(__file__).parents[2] / "fixtures/strace"
X86_64 = arches.get("x86_64")
RW = "PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0"


def text_of(name):
    path = STRACE / name
    if path.exists():
        return path.read_text(encoding="utf-8")
    return lzma.decompress((STRACE / f"{name}.xz").read_bytes()).decode()


def maps_of(name):
    return maps_file.parse(text_of(name), name)


def replay(lines, arch=X86_64, upto=None):
    """The runner after a trace's lines."""
    runner = Runner(Machine(arch))
    for operation in parse(lines[:upto], arch.ulong_max):
        line = runner.execute(operation)
        assert "fault" not in line, line
        assert line.get("ret", 0) == 0, line
    return runner


def ranges(runner):
    return [(low, high) for low, high, entry in decode(runner.mem, runner.tree).ranges if entry]


@pytest.mark.parametrize(
    ("log", "maps", "pid", "line", "borders"),
    [
        ("bash-ls", "bash-ls", None, 108, 29),
        ("bash-ls", "bash-ls", 1782, 108, 29),
        ("cat", "cat", None, 30, 29),
        ("perl", "perl", None, 102, 49),
        ("python3-real", "python3-real", None, 100, 79),
        ("python3-threads", "python3-threads", None, 363, 90),
        ("shell", "shell", None, 779, 33),
        ("stress4f", "stress4f", None, 3013, 432),
        ("stress4f", "stress4f-child", 29615, 2779, 141),
    ],
)
def test_agrees(log, maps, pid, line, borders):
    done = record(text_of(f"{log}.log"), log, X86_64, pid=pid, maps=maps_of(f"{maps}.maps"))
    assert done.notes == []
    assert done.found is not None
    assert (done.found.line, done.found.borders.both) == (line, borders)
    # the tree that the trace gives there has the same borders as the maps have
    found = ranges(replay(done.trace, upto=done.found.trace_line))
    there = {mapping.start for mapping in maps_of(f"{maps}.maps")}
    made = [low for low, _ in found if low not in there]
    assert made == done.found.borders.only_log[: len(made)] == []


def test_other_maps_do_not_agree():
    done = record(text_of("cat.log"), "cat", X86_64, maps=maps_of("perl.maps"))
    assert done.found is None
    line, difference = done.closest
    assert line == 31  # nowhere is anything alike: the last call
    assert str(difference).startswith("5604a0680000-5604a0681000: the log says r--p, the maps say")


def test_what_was_left_out_is_not_compared():
    log = "1 brk(NULL) = 0x1000\n1 mremap(0x10000, 4096, 8192, MREMAP_MAYMOVE) = 0x20001\n"
    done = go(log, maps=maps_of("cat.maps"))
    assert (done.found, done.closest) == (None, None)
    assert len(done.notes) == 1


def test_the_nearest_line_is_named():
    lines = text_of("cat.log").splitlines()
    del lines[7], lines[2]  # libc's data are not made writable; and what agrees by itself
    text = "\n".join(lines)
    done = record(text, "cat", X86_64, maps=maps_of("cat.maps"))
    line, difference = done.closest
    assert (line, done.found) == (28, None)
    assert (difference.here, difference.there) == ("r--p", "rw-p")


@pytest.mark.parametrize("name", ["bash-ls", "git-status", "stress4f"])
def test_the_trace_builds_the_same_nodes(name):
    """Replayed, the lines hand out the same nodes with the same bytes as the mm layer did."""
    from layout.mm.manager import MemoryManager
    from layout.record import processes

    managers = []

    class Manager(MemoryManager):
        def __init__(self, machine):
            super().__init__(machine)
            managers.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "MemoryManager", Manager)
        lines = text_of(f"{name}.log").splitlines()
        text = "\n".join(lines[: len(lines) * 2 // 3])  # before all is torn down
        done = record(text, name, X86_64)
    machine = managers[-1].machine
    runner = replay(done.trace)
    assert runner.cache.allocated == machine.cache.allocated
    trees = 0
    for number in range(8):
        tree = machine.tree(number)
        mine, replayed = decode(machine.mem, tree), decode(runner.mem, tree)
        assert mine.ranges == replayed.ranges
        assert [node.address for node in mine.nodes] == [node.address for node in replayed.nodes]
        for node in mine.nodes:
            assert machine.mem.read(node.address, 256) == runner.mem.read(node.address, 256)
        trees += bool(mine.nodes)
    assert trees


def go(log, **options):
    return record(log, "log", X86_64, **options)


def test_threads_share():
    done = go(
        f"1 mmap(NULL, 4096, {RW}) = 0x10000\n"
        "1 clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0} => {parent_tid=[2]}, 88) = 2\n"
        f"2 mmap(NULL, 8192, {RW}) = 0x20000\n2 +++ exited with 0 +++\n"
    )
    assert ranges(replay(done.trace)) == [(0x10000, 0x10FFF), (0x20000, 0x21FFF)]


def test_fork_copies_and_exit_frees():
    log = (
        f"1 mmap(NULL, 4096, {RW}) = 0x10000\n1 fork() = 2\n"
        f"2 mmap(NULL, 4096, {RW}) = 0x20000\n1 munmap(0x10000, 4096) = 0\n"
    )
    runner = replay(go(log).trace)
    runner.tree = runner.machine.tree(1)
    assert ranges(runner) == [(0x10000, 0x10FFF), (0x20000, 0x20FFF)]
    runner.tree = runner.machine.tree(0)
    assert ranges(runner) == []
    end = go(log + "2 exit_group(0) = ?\n1 +++ killed by SIGKILL +++\n")
    runner = replay(end.trace)
    assert runner.cache.allocated == runner.cache.freed


def test_execve_starts_anew():
    done = go(f'1 mmap(NULL, 4096, {RW}) = 0x10000\n1 execve("/x", [], 0x0) = 0\n')
    assert ranges(replay(done.trace)) == []
    failed = go(
        f"1 mmap(NULL, 4096, {RW}) = 0x10000\n"
        '1 execve("/x", [], 0x0) = -1 ENOENT (No such file or directory)\n'
    )
    assert ranges(replay(failed.trace)) == [(0x10000, 0x10FFF)]


def test_vfork_shares_until_execve():
    done = go(
        f"1 mmap(NULL, 4096, {RW}) = 0x10000\n1 vfork( <unfinished ...>\n"
        f'2 mmap(NULL, 4096, {RW}) = 0x20000\n2 execve("/x", [], 0x0) = 0\n'
        f"1 <... vfork resumed>) = 2\n2 mmap(NULL, 4096, {RW}) = 0x30000\n"
    )
    runner = replay(done.trace)
    runner.tree = runner.machine.tree(0)
    assert ranges(runner) == [(0x10000, 0x10FFF), (0x20000, 0x20FFF)]


def test_one_process_of_many():
    log = (
        f"1 mmap(NULL, 4096, {RW}) = 0x10000\n1 fork() = 2\n1 fork() = 3\n"
        f"2 mmap(NULL, 4096, {RW}) = 0x20000\n3 mmap(NULL, 4096, {RW}) = 0x30000\n"
        "2 exit_group(0) = ?\n"
    )
    done = go(log, pid=3)
    assert not any("process 2" in line for line in done.trace)
    assert ranges(replay(done.trace)) == [(0x10000, 0x10FFF), (0x30000, 0x30FFF)]


def test_many_processes_need_a_pid():
    log = f"1 mmap(NULL, 4096, {RW}) = 0x10000\n" + "".join(
        f"1 fork() = {pid}\n" for pid in range(2, 20)
    )
    with pytest.raises(UsageError, match=r"log, line 8: .*: record one process with --pid"):
        go(log)
    assert go(log, pid=19).notes == []


def test_a_pid_that_is_not_there():
    with pytest.raises(UsageError, match="no process 5 in it: choose one of 1"):
        go(f"1 mmap(NULL, 4096, {RW}) = 0x10000\n", pid=5)


def test_no_log():
    with pytest.raises(InputError, match="no line of strace in it"):
        go("to be or\nnot to be\n")


def test_errors_have_no_effect():
    done = go(
        f"1 mmap(NULL, 4096, {RW}) = 0x10000\n"
        "1 munmap(0x10000, 4096) = -1 EINVAL (Invalid argument)\n"
        f"1 mmap(NULL, 99999999999999, {RW}) = -1 ENOMEM (Cannot allocate memory)\n"
        "1 mprotect(0x10000, 4096, PROT_NONE) = ?\n"
    )
    assert done.notes == []
    assert ranges(replay(done.trace)) == [(0x10000, 0x10FFF)]


def test_lines_that_make_no_sense_are_named():
    done = go(
        f"1 mmap(NULL, 4096, {RW}) = 0x10000\n1 munmap(somewhere, 4096) = 0\n1 mun\n"
        "1 mprotect(0x10001, 4096, PROT_READ) = 0\n1 remap_file_pages(0x10000, 1, 0, 0, 0) = 0\n"
        "1 mmap(NULL, 4096, PROT_READ|PROT_ODD, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x20000\n"
    )
    assert done.notes == [
        (2, "munmap: argument 1 is 'somewhere', not a number: left out"),
        (3, "no line of strace"),
        (4, "mprotect: 0x10001 and 0x1000 are no range of pages: left out"),
        (5, "remap_file_pages is not carried out here"),
        (6, "mmap: PROT_ODD not known, left out"),
    ]
    assert ranges(replay(done.trace)) == [(0x10000, 0x10FFF), (0x20000, 0x20FFF)]


def test_what_another_thread_had_begun_comes_first():
    done = go(
        f"1 mmap(NULL, 8192, {RW}) = 0x10000\n"
        "1 clone3({flags=CLONE_VM|CLONE_THREAD} => {parent_tid=[2]}, 88) = 2\n"
        "1 munmap(0x10000, 8192 <unfinished ...>\n"
        f"2 mmap(NULL, 4096, {RW}) = 0x10000\n1 <... munmap resumed>) = 0\n"
    )
    assert done.notes == []
    assert ranges(replay(done.trace)) == [(0x10000, 0x10FFF)]


def test_a_fork_that_was_earlier_than_it_seemed():
    done = go(
        f"1 mmap(NULL, 4096, {RW}) = 0x10000\n"
        "1 clone3({flags=CLONE_VM|CLONE_THREAD} => {parent_tid=[3]}, 88) = 3\n"
        f"1 fork( <unfinished ...>\n3 mmap(NULL, 4096, {RW}) = 0x20000\n"
        f"1 <... fork resumed>) = 2\n2 mmap(NULL, 8192, {RW}) = 0x20000\n",
        pid=2,
    )
    assert done.notes == []
    assert ranges(replay(done.trace)) == [(0x10000, 0x10FFF), (0x20000, 0x21FFF)]


def _early_forks(count):
    """A log with so many forks whose child is given what the parent has once it returns."""
    text = f"1 mmap(NULL, 4096, {RW}) = 0x10000\n"
    for child in range(100, 100 + count):
        text += f"1 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>\n1 <... clone resumed>) = {child}\n"
        text += f"{child} mmap(NULL, 4096, {RW}) = 0x10000\n{child} +++ exited with 0 +++\n"
    return text


def test_all_forks_that_were_earlier_are_found_together(monkeypatch):
    passes = []
    run = processes._Recorder.run
    monkeypatch.setattr(processes._Recorder, "run", lambda self: passes.append(1) or run(self))
    assert len(go(_early_forks(40)).notes) == 40
    assert len(passes) == 2


def test_children_of_children_that_were_all_earlier_end(monkeypatch):
    monkeypatch.setattr(processes, "_PASSES", 3)
    text = f"1 mmap(NULL, 4096, {RW}) = 0x10000\n"
    for child in range(2, 7):
        parent = child - 1
        text += f"{parent} clone(flags=SIGCHLD <unfinished ...>\n{parent} <... clone resumed>) = {child}\n"
        text += f"{child} mmap(NULL, 4096, {RW}) = 0x10000\n{parent} +++ exited with 0 +++\n"
    with pytest.raises(InputError, match="record one of them with --pid"):
        go(text)


def test_a_log_without_numbers():
    """strace names no process until there are two; the first then has a number it had not."""
    head = f"mmap(NULL, 4096, {RW}) = 0x10000\n"
    done = go(head)
    assert ranges(replay(done.trace)) == [(0x10000, 0x10FFF)]
    done = go(
        f"{head}fork() = 8\n[pid 7] mmap(NULL, 4096, {RW}) = 0x20000\n"
        f"[pid 8] mmap(NULL, 4096, {RW}) = 0x30000\n",
        pid=7,
    )
    assert ranges(replay(done.trace)) == [(0x10000, 0x10FFF), (0x20000, 0x20FFF)]
    assert done.notes == []
    done = go(head, pid=9)
    assert done.trace[1].startswith("# log line 1, process 9: mmap(")


def test_numbers_are_used_again():
    done = go(
        f"1 mmap(NULL, 4096, {RW}) = 0x10000\n1 fork() = 2\n2 brk(NULL) = 0x1000\n1 fork() = 2\n"
    )
    assert done.notes == [(4, "process 2 begins anew, its end is not in the log")]


def test_a_process_from_nowhere():
    done = go(f"1 brk(NULL) = 0x1000\n2 mmap(NULL, 4096, {RW}) = 0x10000\n")
    assert done.notes == [(2, "process 2 appears from nowhere")]


def test_a_thread_that_execs_ends_the_others():
    done = go(
        f"1 mmap(NULL, 4096, {RW}) = 0x10000\n"
        "1 clone(child_stack=0x1, flags=CLONE_VM|CLONE_THREAD) = 2\n"
        '2 execve("/x", [], 0x0 <unfinished ...>\n1 +++ superseded by execve in pid 2 +++\n'
        f"1 <... execve resumed>) = 0\n1 mmap(NULL, 4096, {RW}) = 0x20000\n"
    )
    assert ranges(replay(done.trace)) == [(0x20000, 0x20FFF)]


def test_a_fork_without_flags():
    done = go(f"1 mmap(NULL, 4096, {RW}) = 0x10000\n1 clone(0x7f00) = 2\n")
    assert done.notes == [(2, "clone: no flags in its arguments: left out")]


def test_a_program_that_does_not_follow():
    done = go(
        f"1 mmap(NULL, 4096, {RW}) = 0x10000\n1 mmap(NULL, 4096, {RW}) = 0x10000\n"
        f"1 mremap(0x10000, 4096, 8192, MREMAP_MAYMOVE) = 0x20000\n"
        f"1 mmap(NULL, 4096, {RW}) = 0x30000\n"
        f"1 mremap(0x30000, 4096, 8192, MREMAP_MAYMOVE) = 0x20000\n"
        "1 brk(0x50000) = 0x50000\n1 brk(0x51000) = 0x52000\n1 shmdt(0x1000) = 0\n"
        "1 shmat(3, NULL, 0) = 0x60000\n1 munmap(0x7000) = 0\n1 mmap(NULL, 4096) = 0x90000\n"
        f"1 mmap(NULL, 0, {RW}) = 0x90000\n1 mremap(0x20000, 4096, 0, 0) = 0x20000\n"
    )
    assert done.notes == [
        (
            2,
            "mmap: the kernel gave 10000-11000, which is in use here: the log lacks the call that freed it",
        ),
        (5, "mremap: the kernel moved to 20000, which is in use here"),
        (6, "brk: no brk(NULL) before it: the heap is taken to begin here"),
        (7, "brk: the heap ends at 52000, at 50000 here"),
        (8, "shmdt: nothing was attached at 1000: left out"),
        (9, "shmat: its size is not in the log: trace shmget too: left out"),
        (10, "munmap: argument 2 is 'nothing', not a number: left out"),
        (11, "mmap: argument 3 is missing: left out"),
        (12, "mmap: nothing is mapped by it: left out"),
        (13, "mremap: nothing is left by it: left out"),
    ]


@pytest.mark.parametrize(
    ("calls", "wanted"),
    [
        ("mlockall(MCL_CURRENT|MCL_ONFAULT) = 0", [(0x10000, 0x13FFF)]),
        (
            f"mlockall(MCL_FUTURE|MCL_ONFAULT) = 0\nmmap(NULL, 4096, {RW}) = 0x14000\n"
            f"munlockall() = 0\nmmap(NULL, 4096, {RW}) = 0x15000",
            [(0x10000, 0x15FFF)],
        ),
        (
            "mlock2(0x10000, 4096, MLOCK_ONFAULT) = 0\nmlock2(0x11000, 4096, 0) = 0",
            [(0x10000, 0x10FFF), (0x11000, 0x11FFF), (0x12000, 0x13FFF)],
        ),
        ("mlock(0x10000, 4096) = 0\nmunlock(0x10000, 8192) = 0", [(0x10000, 0x13FFF)]),
        ("map_shadow_stack(NULL, 4096, 0) = 0x14000", [(0x10000, 0x14FFF)]),
        ("madvise(0x10000, 4096, 0x66 /* MADV_??? */) = 0", [(0x10000, 0x13FFF)]),
        ("mprotect(0x10000, 0, PROT_READ) = 0", [(0x10000, 0x13FFF)]),
        ("mremap(0x10000, 16384, 4096, MREMAP_MAYMOVE) = 0x10000", [(0x10000, 0x10FFF)]),
        ("mremap(0x10000, 16384, 32768, MREMAP_MAYMOVE) = 0x10000", [(0x10000, 0x17FFF)]),
        ("mremap(0x10000, 16384, 32768, MREMAP_MAYMOVE) = 0x50000", [(0x50000, 0x57FFF)]),
        (
            "mremap(0x12000, 4096, 4096, MREMAP_MAYMOVE|MREMAP_FIXED, 0x50000) = 0x50000",
            [(0x10000, 0x11FFF), (0x13000, 0x13FFF), (0x50000, 0x50FFF)],
        ),
        (
            "mremap(0x10000, 16384, 16384, MREMAP_MAYMOVE|MREMAP_DONTUNMAP, NULL) = 0x50000",
            [(0x10000, 0x13FFF), (0x50000, 0x53FFF)],
        ),
        (
            "mmap(0x11000, 4096, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0) = 0x11000",
            [(0x10000, 0x10FFF), (0x11000, 0x11FFF), (0x12000, 0x13FFF)],
        ),
        (
            "mmap(0x20000, 4096, PROT_READ, MAP_PRIVATE|MAP_FIXED_NOREPLACE|MAP_ANONYMOUS"
            "|MAP_GROWSDOWN|MAP_STACK, -1, 0) = 0x20000",
            [(0x10000, 0x13FFF), (0x20000, 0x20FFF)],
        ),
        (
            "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB|21<<MAP_HUGE_SHIFT"
            ", -1, 0) = 0x200000",
            [(0x10000, 0x13FFF), (0x200000, 0x3FFFFF)],
        ),
        (
            "shmget(IPC_PRIVATE, 5000, IPC_CREAT|0600) = 7\nshmat(7, NULL, 0) = 0x20000",
            [(0x10000, 0x13FFF), (0x20000, 0x21FFF)],
        ),
        (
            "shmget(IPC_PRIVATE, 5000, IPC_CREAT|0600) = 7\nshmat(7, NULL, 0) = 0x20000\n"
            "shmdt(0x20000) = 0",
            [(0x10000, 0x13FFF)],
        ),
        (
            "madvise(0x11000, 4096, MADV_DONTFORK) = 0",
            [(0x10000, 0x10FFF), (0x11000, 0x11FFF), (0x12000, 0x13FFF)],
        ),
        ("madvise(0x11000, 4096, MADV_DONTNEED) = 0", [(0x10000, 0x13FFF)]),
        ("mlock(0x10000, 4096) = 0", [(0x10000, 0x10FFF), (0x11000, 0x13FFF)]),
        (
            "brk(NULL) = 0x40000\nbrk(0x43000) = 0x43000\nbrk(0x41800) = 0x41800\n"
            "brk(0x99999999) = 0x41800",
            [(0x10000, 0x13FFF), (0x40000, 0x41FFF)],
        ),
        (
            "mprotect(0x80000, 4096, PROT_READ) = 0",  # of the executable
            [(0x10000, 0x13FFF), (0x80000, 0x80FFF)],
        ),
    ],
)
def test_calls(calls, wanted):
    log = f"1 mmap(NULL, 16384, {RW}) = 0x10000\n" + "".join(
        f"1 {call}\n" for call in calls.splitlines()
    )
    done = go(log)
    assert done.notes == []
    assert ranges(replay(done.trace)) == wanted
