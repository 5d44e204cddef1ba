"""What strace writes, in all its forms."""

import pytest

from layout.record.strace import flags, number, parse, split_args

NAMES = frozenset({"mmap", "munmap", "clone3", "execve", "exit_group"})
MMAP = "mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3, 0)"


def one(line):
    log = parse(line, NAMES)
    assert not log.unknown
    [call] = log.calls
    return call


@pytest.mark.parametrize(
    ("prefix", "pid"),
    [
        ("", None),
        ("1782  ", 1782),
        ("[pid  1782] ", 1782),
        ("[pid 1782<bash>] ", 1782),
        ("1782 12:34:56 ", 1782),
        ("1782 12:34:56.123456 ", 1782),
        ("12:34:56 ", None),
        ("1782 1732160000.123456 ", 1782),
        ("     0.000123 ", None),
        ("1782      0.000123 ", 1782),
        ("1782 12:34:56 (+     0.000100) ", 1782),
        ("1782 [00007f1b8e5c2b57] ", 1782),
        ("1782 [   9] ", 1782),
        ("[pid  1782] 12:34:56 [00007f1b8e5c2b57] ", 1782),
    ],
)
def test_prefixes(prefix, pid):
    call = one(f"{prefix}{MMAP} = 0x7f1344fe2000")
    assert (call.pid, call.name, call.result) == (pid, "mmap", 0x7F1344FE2000)
    assert call.args == ["NULL", "8192", "PROT_READ", "MAP_PRIVATE", "3", "0"]


@pytest.mark.parametrize(
    ("end", "result", "errno", "succeeded"),
    [
        ("= 0", 0, None, True),
        ("          = 0x7f00 <0.000012>", 0x7F00, None, True),
        ("= -1 ENOMEM (Cannot allocate memory)", -1, "ENOMEM", False),
        ("= ?", None, None, False),
        ("= ? ERESTARTNOINTR (To be restarted)", None, "ERESTARTNOINTR", False),
    ],
)
def test_results(end, result, errno, succeeded):
    call = one(f"1 {MMAP} {end}")
    assert (call.result, call.errno, call.succeeded) == (result, errno, succeeded)


def test_unfinished_and_resumed():
    log = parse(
        "1 munmap(0x1000, 4096 <unfinished ...>\n"
        "2 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3, 0 <unfinished ...>\n"
        "1 <... munmap resumed>) = 0\n"
        "2 --- SIGCHLD {si_signo=SIGCHLD} ---\n"
        "2 <... mmap resumed>)               = 0x2000\n",
        NAMES,
    )
    assert [(c.begun, c.line, c.pid, c.name, c.args[1]) for c in log.calls] == [
        (1, 3, 1, "munmap", "4096"),
        (2, 5, 2, "mmap", "8192"),
    ]
    assert not log.unknown


def test_what_is_no_call():
    log = parse(
        "1 +++ exited with 0 +++\n2 +++ killed by SIGKILL +++\n1 --- stopped by SIGSTOP ---\n"
        "strace: Process 7 attached\n > /usr/lib/libc.so.6(mmap+0x10) [0x1]\n"
        '1 read(3, ") = 5", 5) = 5\n1 ????( <unfinished ...>\n\n',
        NAMES,
    )
    assert [(call.pid, call.name) for call in log.calls] == [(1, "+++"), (2, "+++")]
    assert not log.unknown


def test_lines_that_cannot_be_understood():
    log = parse(
        f"{MMAP} = 0x1000\nwhat is this\n1 mmap(NULL, 81\n1 <... munmap resumed>) = 0\n"
        "1 munmap(0, 1 <unfinished ...>\n",
        NAMES,
    )
    assert log.unknown == [
        (2, "no line of strace"),
        (3, "mmap is cut short"),
        (4, "munmap is resumed, but was never begun"),
        (5, "munmap never returns in this log"),
    ]


def test_a_thread_that_becomes_the_process():
    log = parse(
        '8 execve("/bin/x", ["x"], 0x1 /* 3 vars */ <unfinished ...>\n'
        "7 +++ superseded by execve in pid 8 +++\n7 <... execve resumed>) = 0\n",
        NAMES,
    )
    assert [(c.pid, c.name, c.begun) for c in log.calls] == [(7, "+++", 2), (7, "execve", 1)]


def test_a_call_that_a_terminal_tore_apart():
    log = parse(
        "clone3({flags=CLONE_VM, tls=0x1}strace: Process 29772 attached\n"
        " => {parent_tid=[29772]}, 88) = 29772\n",
        NAMES,
    )
    assert [(c.line, c.result) for c in log.calls] == [(2, 29772)]


def test_arguments():
    text = 'clone3({flags=A|B, x={1, 2}} => {t=[3]}, 88 /* , */, 3</a, b>, "q\\"),") = 1'
    args, end = split_args(text, len("clone3("))
    assert args == ["{flags=A|B, x={1, 2}} => {t=[3]}", "88 /* , */", "3</a, b>", '"q\\"),"']
    assert text[end:] == " = 1"


def test_numbers_and_flags():
    assert number("NULL") == 0
    assert number("0x10") == number("length=16") == number("16 /* pages */") == 16
    assert number("PROT_READ") is None
    assert flags("MAP_X|21<<MAP_SHIFT|0x8000 /* MAP_??? */", {"MAP_X": 1, "MAP_SHIFT": 26}) == (
        0x8001 | 21 << 26,
        [],
    )


@pytest.mark.parametrize("unit", ["/*", "*//*", "<a", "[", "<... mmap resumed>", "|"])
@pytest.mark.parametrize("form", ["mmap({}) = 0", "1 mmap({} <unfinished ...>", "{}"])
def test_long_lines_take_time_by_their_length(unit, form):
    """A search from every character to the end of the line would take hours."""
    text = form.format(unit * (400_000 // len(unit)))
    for call in parse(text, frozenset({"mmap"})).calls:
        for arg in call.args:
            number(arg)
            flags(arg[:1000], {})
