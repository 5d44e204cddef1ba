"""Kernels for the campaign of hostile input: sources, compilers and programs that are not as hoped.

A compiler takes seconds, so nearly all are scripts: they complain, print megabytes, end by a signal, or
write a program that does so. Where Debian's kernel source is installed, one case of 500 compiles
that, damaged, or with an operation that hangs, forks, prints or crashes.
"""

from __future__ import annotations

import os
import shutil
from functools import cache

from hostile_damage import LONG, damaged, fields, lines, number
from hostile_inputs import trace
from hostile_odd import MAKEFILES, no_file
from hostile_options import given

from layout.ckernel.source import CODE, HEADER
from layout.memory.errors import MapleLayoutError
from layout.traces.operations import OPERATIONS

INCLUDED = ("a/b", "a\0", "\x85", "a" * 300, "linux", "a/", ".", "//", "\x1b[2J", "linux/x.h/")
MAKEFILE = b"VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 3\n"
_SEEN = " ".join(f"{each.needs}();" for each in OPERATIONS.values() if each.needs)
CODE_TEXT = b"#include <linux/maple_tree.h>\n#include <linux/slab.h>\nint mas_init(void) { return nothing; }\n"
HEADER_TEXT = (
    f"struct maple_tree;\nenum maple_status {{ ma_x }};\nenum store_type store_type;\n{_SEEN}\n"
).encode()
"""What the harness looks for in them; only a script that plays the compiler takes them for C."""

_MUCH = "/usr/bin/head -c 9000000 /dev/zero | /usr/bin/tr '\\0' e"
_PROGRAMS = {
    "nothing": "exit 0",
    "garbage": "printf 'nonsense\\n'",
    "no text": "printf '\\377\\000\\033[2J\\n'",
    "other json": "printf '[]\\n{}\\n{\"n\":1}\\n'",
    "odd fault": 'printf \'{"n":1,"op":"init","fault":7}\\n{"n":1,"op":"init","ok":"x"}\\n\'',
    "deep": "/usr/bin/head -c 90000 /dev/zero | /usr/bin/tr '\\0' '['; echo",
    "half a line": 'printf \'{"n":1,"op":"init"\'',
    "much": f"{_MUCH}; echo",
    "complains much": f"{{ {_MUCH}; }} >&2; exit 1",
    "no memory": "echo 'line 1: no memory' >&2; exit 3",
    "refuses": "echo x >&2; exit 2",
    "killed": "kill -9 $$",
    "a signal without a name": "kill -40 $$",
    "leaves a child": "/bin/sleep 1000 & exit 0",
    "leaves a child that prints": "while :; do echo x; /bin/sleep 1; done & exit 0",
    "closes all": "exec 0<&- 1>&- 2>&-; exit 1",
}
"""What a program does that a script has written in the place of the harness."""
_WAITS = {
    "waits": "/bin/sleep 1000",
    "waits without streams": "exec 0<&- 1>&- 2>&-; exec /bin/sleep 1000",
}
"""The same, for seconds each."""
_VERSIONS = {
    "": "echo cc 1",
    "says much": f"{_MUCH}",
    "fails": "exit 1",
    "no text": "printf '\\377\\033[2J'",
    "is killed": "kill -9 $$",
}
_COMPILES = {
    "complains": "echo 'x.c:1: error: no' >&2; exit 1",
    "says nothing": "exit 1",
    "complains much": f"{{ {_MUCH}; }} >&2; exit 1",
    "complains in lines": "/usr/bin/yes 'error: x' | /usr/bin/head -n 900000 >&2; exit 1",
    "drives a terminal": "printf 'error: \\033[2J\\377\\n' >&2; exit 1",
    "is killed": "kill -9 $$",
    "writes nothing": "exit 0",
    "removes its folder": '/bin/rm -rf "$PWD"; exit 0',
    "makes a folder": '/bin/mkdir -p "$out"',
    "leaves a child": "/bin/sleep 1000 & exit 1",
}
_SCRIPT = """#!/bin/sh
case "$*" in
--version) {version}; exit;;
-print-file-name=*) echo {libc}; exit;;
esac
for word in "$@"; do out=$word; done
{act}
"""
COMPILERS = ("gcc", "s390x-linux-gnu-gcc", "qemu-s390x")


def _script(path, text):
    path.write_text(text)
    path.chmod(0o755)


def _compiler(r, folder, act):
    """A script for each compiler, in a folder that comes first in PATH."""
    folder.mkdir()
    version = _VERSIONS[r.choice(("",) * 9 + tuple(_VERSIONS))]
    libc = r.choice(("/usr/lib/libc.a",) * 12 + ("libc.a", "''", "$'\\377'"))
    for name in COMPILERS[:2]:
        _script(folder / name, _SCRIPT.format(version=version, libc=libc, act=act))
    _script(folder / COMPILERS[2], '#!/bin/sh\nexec "$@"\n')
    how = r.random()
    one = folder / r.choice(COMPILERS)
    if how < 0.03:
        one.write_bytes(r.choice((b"", b"\0" * 99, b"\x7fELF", b"#!/nowhere\n", b"#!\n")))
    elif how < 0.05:
        one.unlink()
        no_file(r, one)
    elif how < 0.07:
        one.chmod(0o644)


def _writes(program):
    """What a compiler does that makes a program of a script."""
    return f'/bin/cat > "$out" <<\'END\'\n#!/bin/sh\n{program}\nEND\n/bin/chmod 755 "$out"'


def _sources(r, root):
    """A kernel's folder, mostly whole enough to come to the compiler."""
    for name, data in ((CODE, CODE_TEXT), (HEADER, HEADER_TEXT), ("Makefile", MAKEFILE)):
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        how = r.random()
        if how < 0.02:
            no_file(r, place)
        elif how < 0.03:
            (root / "elsewhere").write_bytes(data)
            place.symlink_to(r.choice((root / "elsewhere", "../" * 40 + "etc/passwd")))
        else:
            place.write_bytes(_odd_text(r, name, data) if how < 0.12 else data)
            place.chmod(0 if how > 0.99 else 0o644)


def _odd_text(r, name, data):
    """The text of a source file, damaged, in another encoding, or huge."""
    how = r.random()
    if name == "Makefile":
        return r.choice(MAKEFILES)
    if how < 0.4:
        return r.choice((damaged, fields, lines))(r, data)
    if how < 0.5:
        return data.decode().encode(r.choice(("utf-16", "utf-32", "utf-7")))
    if how < 0.6:
        return data + b"\xff\0\x85\r" * r.choice((1, 9, 1 << 20))
    if how < 0.8:
        size = r.choice((1, 99, 1 << 16))
        return r.choice((b"\n", b" ", b"#include <a\n", b"#include <")) * size + data
    wanted = (f"#include <{r.choice(INCLUDED)}{i}>\n" for i in range(r.choice((1, 9, 9999))))
    return "".join(wanted).encode() + data


# -- the kernel's own code

_ACTS = {
    "hangs": b"for (;;) ;",
    "waits": b"extern int pause(void); for (;;) pause();",
    "forks": b"extern int fork(void); extern int pause(void); if (!fork()) for (;;) pause();",
    "goes round in a child": b"extern int fork(void), wait(int *); if (!fork()) for (;;) ; wait(0);",
    "prints": b'extern int puts(const char *); puts("nonsense\\n");',
    "ends": b"extern void _exit(int); _exit(3);",
    "uses up the stack": b"volatile char all[1 << 26]; all[0] = 1; all[1 << 25] = 2; (void)all;",
    "crashes": b"*(volatile int *)8 = 1;",
}


@cache
def real():
    """The folder of the kernel's source that is installed, or None."""
    from layout.ckernel.source import open_source

    try:
        return open_source().root
    except (MapleLayoutError, OSError):
        return None


def _patched(r, root, name):
    """Put the kernel's source there, damaged, or with something else in one function."""
    for each in (CODE, HEADER, "Makefile"):
        (root / each).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(real() / each, root / each)
    code = root / CODE
    data = code.read_bytes()
    if name == "damaged":
        code.write_bytes(r.choice((damaged, fields))(r, data))
        return
    at = data.index(b"\n{", data.index(b"\nvoid *mtree_load(")) + 2
    code.write_bytes(data[:at] + b"{" + _ACTS[name] + b"}" + data[at:])


# -- cases


def _kernel(r, path, out):
    """An action of ``kernel``, or ``hunt``, on a kernel that is not as hoped."""
    root, folder = path.with_name("linux"), path.with_name("bin")
    if r.random() < 0.002 and real() is not None:  # which takes 3 to 15 seconds
        name = r.choice(("damaged", "damaged", *_ACTS))
        _patched(r, root, name)
        path.write_bytes(b"init 0\nstore 1 2 5\nload 1\nload 2\n")
        action = r.choice(("run", "diff", "test"))
        check = ["--check"] * (action == "test")
        return ["kernel", action, str(path), "--source", str(root), "--arch", "x86_64", *check]
    programs = _PROGRAMS if r.random() < 0.97 else _WAITS
    act = _writes(r.choice(tuple(programs.values())))
    _sources(r, root)
    _compiler(r, folder, act if r.random() < 0.6 else r.choice(tuple(_COMPILES.values())))
    path.write_bytes(r.choice((b"init 0\nstore 1 2 5\nload 1\n", b"init 0\n", b"", trace(r))))
    action = r.choice(("build", "run", "run", "diff", "diff", "fuzz", "compare", "test"))
    where = root if r.random() < 0.97 else r.choice((path, root / CODE, "x\udcff"))
    source = ["--source", str(where)]
    both = ("x86_64,s390x",) if action in {"build", "diff", "fuzz", "compare"} else ()
    machine = ["--arch", r.choice(("x86_64", "s390x", *both)) if r.random() < 0.97 else "vax"]
    found = ["kernel", action, *source, *machine[: 2 * (r.random() < 0.9)]]
    more = given(r, ("kernel", action), path, out, 3) if r.random() < 0.5 else []
    found += more if "--deb" not in more or r.random() < 0.2 else []
    if action == "fuzz" or (action == "compare" and r.random() < 0.4):
        found += ["--fuzz"] * (action == "compare")
        found += ["--traces", "2", "--time", r.choice(("1", "1", "0", str(number(r)), LONG))]
        found += ["--seed", str(number(r)), "--out", str(out.with_name("found"))]
    elif action == "compare":
        found += ["--against", r.choice((str(root), str(root), str(path)))]
    return [*found, *[str(path)] * (action not in {"build", "fuzz"} and "--fuzz" not in found)]


def _hunt(r, path, out):
    """``hunt`` with options of its own, without a search of seconds."""
    folder, corpus = path.with_name("bin"), out.with_name("corpus")
    _sources(r, path.with_name("linux"))
    _compiler(r, folder, _writes(r.choice(tuple(_PROGRAMS.values()))))
    if r.random() < 0.7:
        corpus.mkdir()
        for each in range(r.randrange(4)):
            name = r.choice((f"{each:016x}.trace", f"x{each}.trace", f"{each}", "x\udcff.trace"))
            (corpus / name).write_bytes(trace(r))
    path.write_bytes(b"")
    found = ["hunt", "--source", str(path.with_name("linux")), *given(r, ("hunt",), path, out, 3)]
    kept = ["--corpus", str(corpus if r.random() < 0.9 else path)]
    return [*found, "--arch", r.choice(("x86_64", "s390x")), "--time", "0", *kept]


def first_in_path(folder):
    """Let the compilers in a folder be found first; what was found before is forgotten."""
    from layout.ckernel import execute, toolchain

    execute.IDLE = 2  # seconds of nothing, which a user's program may do for longer
    if folder.is_dir():
        os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"
    for found in (toolchain.find, toolchain.find_clang):
        found.cache_clear()


KINDS = {"kernel": _kernel, "hunt": _hunt}
"""More kinds of cases, as those of :mod:`hostile_inputs`."""
FREE = set(KINDS)
