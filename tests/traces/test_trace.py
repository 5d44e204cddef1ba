import pytest

from layout.memory.errors import TraceError
from layout.traces.trace import Operation, parse

TOP = 2**64 - 1


def one(text, top=TOP):
    return list(parse(text.split("\n"), top))


def test_comments_blank_lines_and_numbers():
    text = "# a comment\n\n  # another\nstore 10 1F abc001\r\n\tload  ffffffffffffffff \n"
    assert one(text) == [
        Operation(4, "store", (0x10, 0x1F, 0xABC001)),
        Operation(5, "load", (TOP,)),
    ]


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("rcu on", (1,)),
        ("rcu off", (0,)),
        ("fail -", (-1,)),
        ("fail 3", (3,)),
        ("failnw 3 2", (3, 2)),
        ("cset 5", (5,)),
        ("cset 5 9", (5, 9)),
        ("bulk 1 2 3 4 5 6", (1, 2, 3, 4, 5, 6)),
        ("poke 1000000000 8 ff", (0x1000000000, 8, 0xFF)),
        ("destroy", ()),
    ],
)
def test_arguments(text, args):
    assert one(text)[0].args == args


def test_numbers_may_have_0x():
    assert [o.args for o in one("store 0x10 0X1f ab\nload 0x5")] == [(0x10, 0x1F, 0xAB), (5,)]


def test_cursor_operations_ignore_further_arguments():
    assert [o.args for o in one("cset 0\ncnext 5 zzz\ncpause zzz\ncerase 1 2")] == [
        (0,),
        (5,),
        (),
        (),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stor 1 2 3", r"line 1: unknown operation 'stor'; did you mean store or storenw"),
        ("xyzzy", "line 1: unknown operation 'xyzzy'$"),
        ("\n\nstore 1 2", "line 3: missing argument, the line should read: store A B V"),
        ("store 1 2 3 4", "line 1: surplus argument, the line should read: store A B V"),
        ("destroy 1", "line 1: surplus argument"),
        *(
            (
                line,
                rf"line 1: a comment needs a line of its own: put it before the {line.split()[0]}$",
            )
            for line in ("store 1 2 3001 # c", "store 1 2 #c", "rcu on # c", "dump # c", "fail # -")
        ),
        ("store 0x 20 30", "line 1: A is '0x', it should be a hex number, digits"),
        ("store 10 2g 30", "line 1: B is '2g', it should be a hex number, digits"),
        ("store 10 -1 30", "line 1: B is '-1'"),
        ("store 1_0 20 30", "line 1: A is '1_0'"),
        ("load 10000000000000000", "line 1: I does not fit into this machine's 64 bits"),
        ("load " + "f" * 1000, "line 1: I does not fit into this machine's 64 bits"),
        ("load " + "z" * 1000, r"line 1: I is 'z{40}\.\.\.'"),
        ("rcu maybe", "line 1: rcu takes one argument: on or off"),
        ("rcu", "line 1: rcu takes one argument"),
        ("sel 8", "line 1: there is no tree 8: K is 0 to 7"),
        ("dup 9", "line 1: there is no tree 9"),
        ("poke 0 0 100", "line 1: BYTE is 100, a byte is 0 to ff"),
        ("fail", "line 1: missing argument"),
        ("cnext 5", "line 1: cnext before any cset"),
        ("cset 1\ncnext", "line 2: missing argument"),
        ("load " + "1" * 70000, "line 1: longer than 65536 characters"),
    ],
)
def test_errors_name_line_and_remedy(text, message):
    with pytest.raises(TraceError, match=message):
        one(text)


def test_numbers_fit_the_machine():
    assert one("load ffffffff", 2**32 - 1)[0].args == (2**32 - 1,)
    with pytest.raises(TraceError, match="32 bits"):
        one("load 100000000", 2**32 - 1)


def test_lines_before_an_error_are_yielded():
    operations = parse(["load 1", "load", "load 2"], TOP)
    assert next(operations).n == 1
    with pytest.raises(TraceError):
        next(operations)


@pytest.mark.parametrize("ulong_max", [(1 << 32) - 1, (1 << 64) - 1])
def test_flags_are_an_unsigned_int(ulong_max):
    """A larger number is cut by the call in C; compiled code has no room for it."""
    [operation] = parse([f"init {ulong_max & 0xFFFF_FFF0_0000_0007:x}"], ulong_max)
    assert operation.args == (7,)
    [operation] = parse([f"init {ulong_max:x}"], ulong_max)
    assert operation.args == (0xFFFFFFFF,)
