"""Inputs and commands of the campaign of hostile input: each kind makes files and words."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import struct
import zlib
from functools import cache
from pathlib import Path

from hostile_damage import LONG, damaged, document, fields, lines, number, sections, words
from hostile_options import PROGRAMS, right_words, words_of

import arches
from layout.cli.main import VERBS, main
from layout.traces.trace import OPERATIONS

FIXTURES = Path(__file__).parents[2] / "fixtures"
TOP = (1 << 64) - 1

# -- traces


def line(r, state):
    """A line of a trace; ``state`` is what indexes the last ones were about."""
    op = r.choice([*OPERATIONS, *("store", "erase", "poke") * 4, "iter", "bulk", "cset"])
    if op in {"rcu_unlock", "expect_raw", "sel"} and r.random() < 0.9:
        op = "store"
    if op == "poke":
        tree = 0xFFFFF0000 if r.random() < 0.2 else 0x1000000000 + 256 * r.randrange(12)
        return f"poke {tree:x} {r.randrange(260):x} {r.randrange(256):x}"
    if op == "rcu":
        return f"rcu {r.choice(('on', 'off'))}"
    if op in {"sel", "dup", "dup_noinit"}:
        return f"{op} {r.randrange(9):x}"
    if op == "fail":
        return f"fail {r.choice(('-', '0', '1', '2 3', '0 ffffffff'))}"
    usage = OPERATIONS[op].usage.removesuffix("or -").split()
    count = sum(name[0] not in "[." for name in usage) + r.choice((0,) * 400 + (-1, 1))
    given = [index(r, state) for _ in range(count)]
    if len(given) > 1 and r.random() < 0.8:
        given[:2] = sorted(given[:2])
    found = [op, *(f"{each:x}" for each in given)]
    if op == "bulk" and r.random() < 0.9:
        found[1:3] = [f"{r.randrange(200):x}", f"{r.choice((3, 50, 50, 300) * 9 + (TOP,)):x}"]
    if r.random() < 0.001:
        found[r.randrange(len(found))] = r.choice(
            ("", "0x5", "zz", LONG, "\x00", "é", "#", "-", "1_0", "\udcff", "+1", "\x85")
        )
    return " ".join(found)


def index(r, state):
    """An index near those that came before, or any number."""
    if state and r.random() < 0.6:
        new = max(0, min(TOP, r.choice(state) + r.choice((-1, 0, 0, 1, 0x10, -0x10, 0x100))))
    else:
        new = number(r)
    state.append(new)
    del state[:-20]
    return new


def trace(r):
    """A trace: a tree that is built, then lines of any kind."""
    start = ["init 0", "init 1", "init 2", "init 3", f"init {number(r):x}"]
    found = [r.choice(start[: 5 if r.random() < 0.05 else 4])]
    count = r.choice((0, 0, 5, 20, 20)) if r.random() < 0.97 else 300
    step = r.choice((1, 0x10, 0x1000))
    found += [f"store {i * step:x} {i * step + step - 1:x} 3001" for i in range(count)]
    state = [0, 0x10, step * count]
    if r.random() < 0.95:
        found += ["cset 10"] + ["rcu_lock"] * (r.random() < 0.2)
    found += [line(r, state) for _ in range(r.choice((1, 5, 30, 30)))]
    if r.random() < 0.05:
        found = ["#: begin", *found, f"#: end at line {r.choice((len(found) + 2, number(r)))}"]
    end = r.choice(("\n", "\n", "\n", "\r\n", ""))
    data = ("\n".join(found) + end).encode(errors="surrogateescape")
    return damaged(r, data) if r.random() < 0.1 else data


UNTIL = (
    *("invalid", "report", "report x", "fault", "entry 10", "entry 10 = 3001", "entry 0 = 0"),
    *("byte 1000000000+8 = 77", "machines x86_64,s390x", "machines x86_64", "entry", LONG, ""),
)
CONFORMANCE = ("cat", "true", "false", "head -c 9 {core}", "echo {tree}", "yes", "no-such-reader")
EXPORTS = ("elf", "raw", "drgn", "gdb", "isf")


def _trace(r, path, out):
    path.write_bytes(trace(r))
    arch = ["--arch", r.choice(arches.names())] if r.random() < 0.5 else []
    kernel = ["--kernel", r.choice(("6.12", "7.2", "7.3"))] if r.random() < 0.3 else []
    json_ = ["--json"] * (r.random() < 0.3)
    verb = r.choice(("run", "run", "run", "compare", "dump", "validate", "decode", "history",
                     "bisect", "draw", "explore", "export"))  # fmt: skip
    kernel += ["--limit", str(r.choice((1, 50, 400)))] * (r.random() < 0.95)  # else seconds
    if verb == "run":
        watch = [option for option in ("--check", "--ledger") if r.random() < 0.2]
        told = r.choice(([], [], ["--junit", str(out)], ["--sarif", str(out), "--github"]))
        return [verb, str(path), *arch, *kernel, *watch, *json_, *told]
    if verb == "compare":
        if r.random() < 0.3:
            kernel += ["--kernel", "6.12,7.3", *["--costs"] * (r.random() < 0.3)]
        return [verb, str(path), *kernel, *json_]
    if verb == "history":
        at = f"{0x1000000000 + 256 * r.randrange(3):x}+{r.randrange(256)}"
        return [verb, str(path), r.choice((at, "1000000000", LONG, "0")), *arch, *kernel, *json_]
    if verb == "bisect":
        out = ["-o", str(out)] * (r.random() < 0.3)
        until = ["--until", r.choice(UNTIL), "--shrink", r.choice(("0", "1"))]
        return [verb, str(path), *until, *arch, *kernel, *json_, *out]
    if verb == "explore":
        return [verb, str(path), "-o", str(out), *kernel]
    tree = ["--tree", r.choice(("0", "1", "7", "8", "fffff0000"))] if r.random() < 0.2 else []
    at = ["--at", str(r.randrange(400))] if r.random() < 0.2 else []
    return [*looked_at(r, verb, path, out), *arch, *kernel, *tree, *at]


def looked_at(r, verb, path, out):
    """A verb that opens images, with some of its options."""
    more = []
    if verb == "dump":
        more = ["--format", r.choice(("hex", "fields", "mt", "json"))]
    elif verb == "export":
        more = ["--format", r.choice(EXPORTS), "-o", str(out)]
    elif verb == "draw":
        more = ["--format", r.choice(("svg", "dot")), *["-o", str(out)] * (r.random() < 0.7)]
    elif verb == "explore":
        more = ["-o", str(out)]
    elif verb in {"validate", "decode", "scan"} and r.random() < 0.3:
        more = ["--json"]
    elif verb == "validate" and r.random() < 0.3:
        more = ["--junit", str(out)]
    if verb in {"dump", "draw"} and r.random() < 0.1:
        more += ["--node", f"{number(r):x}"]
    return [verb, str(path), *more]


LOOKS = ("decode", "decode", "dump", "dump", "validate", "draw", "explore", "export", "scan")

# -- logs

ADDRESSES = ("NULL", "0", "0x1000", "0x7ffffffff000", "0x7fffffffffff", hex(TOP), "-1", LONG, "")
LENGTHS = ("0", "1", "4096", str(TOP), LONG, "-1", "0x7fffffffffff", "1<<9999999", "NULL")
FLAGS = (
    *("MAP_PRIVATE|MAP_ANONYMOUS", "MAP_SHARED", "MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS", "-1", ""),
    *("MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB|63<<MAP_HUGE_SHIFT", "1<<99999999999"),
    *("MREMAP_MAYMOVE", "MREMAP_MAYMOVE|MREMAP_FIXED", "MCL_CURRENT|MCL_FUTURE"),
    "MAP_SHARED|MAP_GROWSDOWN|MAP_ANONYMOUS",
)
CALLS = (
    *("mmap", "mmap", "munmap", "mprotect", "mremap", "brk", "madvise", "mlock", "mlockall"),
    *("shmget", "shmat", "shmdt", "clone", "fork", "vfork", "execve", "exit_group", "clone3"),
    *("remap_file_pages", "map_shadow_stack", "munlock", "munlockall", "mlock2", "exit"),
)


def call(r):
    """A line of strace."""

    def address():
        return r.choice(ADDRESSES) if r.random() < 0.3 else hex(r.randrange(1 << 12) << 12)

    def length():
        return r.choice(LENGTHS) if r.random() < 0.3 else str(r.randrange(1, 64) << 12)

    name = r.choice(CALLS)
    given = [address(), length(), r.choice(("PROT_READ", "PROT_NONE", "-1", "7", "PROT_READ|8")),
             r.choice(FLAGS), "-1", "0"]  # fmt: skip
    if name == "mremap":
        given = [address(), length(), length(), r.choice(FLAGS), address()]
    if name.startswith("clone"):
        flags = r.choice(("SIGCHLD", "CLONE_VM|CLONE_THREAD", "CLONE_VM", "1<<99999999"))
        given = ["child_stack=NULL", f"flags={flags}"]
    result = r.choice((address(), given[0], "0", "1", "2", "780", "?", "-1 ENOMEM (no)", LONG))
    pid = r.choice(("", "1 ", "2 ", "3 ", "780 ", "[pid 3] ", "[pid 2] ", LONG + " "))
    whole = f"{name}({', '.join(given[: r.choice((1, 2, 6, 6, 6))])}"
    shape = r.random()
    if shape < 0.15:
        return f"{pid}{whole} <unfinished ...>"
    if shape < 0.3:
        return f"{pid}<... {name} resumed>) = {result}"
    if shape < 0.33:
        return f"{pid}{r.choice(('+++ exited with 0 +++', '--- SIGSEGV ---', 'strace: x'))}"
    return f"{pid}{whole}) = {result}{r.choice(('', '', chr(0), chr(0x85)))}"


def log(r):
    """A log of strace that no program has made."""
    return "\n".join(call(r) for _ in range(r.choice((1, 2, 5, 40, 100)))).encode()


def _recorded(r, path, out):
    more = []
    if r.random() < 0.2:
        more = ["--pid", str(r.choice((0, 1, 2, 3, 780, 1 << 70)))]
    if r.random() < 0.2:
        maps = path.with_name("maps")
        maps.write_bytes(lines(r, seed("strace/perl.maps")))
        more += ["--maps", str(maps)]
    return ["record", str(path), "-o", str(out), *more]


def _log(r, path, out):
    path.write_bytes(log(r))
    return _recorded(r, path, out)


def _strace(r, path, out):
    name = r.choice(("perl.log", "shell.log.xz", "stress4f.log.xz", "python3-threads.log.xz",
                     "bash-ls.log", "fixed-calls.log.xz"))  # fmt: skip
    text = seed(f"strace/{name}")
    found = lines(r, text, r.choice((5, 20, 20, 20, 20, 60)) if r.random() < 0.97 else 400)
    path.write_bytes(words(r, found) if r.random() < 0.5 else found)
    return _recorded(r, path, out)


def _maps(r, path, out):
    text = seed(f"strace/{r.choice(('perl.maps', 'stress4f.maps', 'cat.maps'))}")
    text = lines(r, text, 12) if r.random() < 0.9 else text
    path.write_bytes(words(r, text) if r.random() < 0.5 else text)
    return ["record", "--from-maps", str(path), "-o", str(out)]


# -- images


@cache
def seed(name):
    """The bytes of a fixture, unpacked."""
    data = (FIXTURES / name).read_bytes()
    return lzma.decompress(data) if name.endswith(".xz") else data


def _json(r, path, out):
    source = r.choice(
        ("s390x-6.12.95-sleep", "s390x-6.1.0-sleep", "x86_64-6.12.117-mt_plain200",
         "sparc64-6.12.117-mt_empty", "x86_64-6.12.117-mt_one_at_0")
    )  # fmt: skip
    text = seed(f"captures/{source}.json") if r.random() < 0.7 else _dump(r.choice(MACHINES))
    path.write_bytes(document(r, text) if r.random() < 0.7 else damaged(r, text))
    return looked_at(r, r.choice(LOOKS), path, out)


MACHINES = ("x86_64", "s390x", "i386", "hppa", "powerpc64le")


@cache
def built(machine, how):
    """The files that ``export --format`` makes of a tree of some nodes; by their names."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "t", Path(name) / "in"
        source.write_text("init 0\n" + "".join(f"store {i:x} {i:x} 3001\n" for i in range(40)))
        with contextlib.redirect_stdout(io.StringIO()) as told:
            if how == "dump":
                assert main(["dump", str(source), "--arch", machine, "--format", "json"]) == 0
                return {"in": told.getvalue().encode()}
            line_ = ["export", str(source), "--arch", machine, "--format", how, "-o", str(target)]
            assert main(line_) == 0
        return {each.name: each.read_bytes() for each in Path(name).iterdir() if each != source}


def _dump(machine):
    return built(machine, "dump")["in"]


def _core(r, path, out):
    big = ("memory/x86_64-6.12.117.elf.xz", "memory/s390x-6.12.95.elf-vmcoreinfo.xz",
           "memory/x86_64-6.12.117.elf-paging.xz")  # fmt: skip
    if r.random() < 0.8:
        data = built(r.choice(MACHINES), "elf")["in"]
    else:
        data = large(r.choice(big))[: 1 << 20]
    path.write_bytes(r.choice((sections, sections, fields, damaged))(r, data))
    if r.random() < 0.15:
        data = struct.pack("<8s4sI6s", b"KDUMP   ", b"\6\0\0\0", number(r) & 0xFFFFFFFF, b"Linux")
        path.write_bytes(damaged(r, data + bytes(r.choice((0, 400, 4096)))))
    tree = ["--tree", "fffff0000"] if r.random() < 0.8 else []
    verb = r.choice(LOOKS)
    tree = [] if verb in {"scan", "explore"} and r.random() < 0.8 else tree
    return [*looked_at(r, verb, path, out), *tree]


@cache
def large(name):
    """The beginning of a large fixture."""
    return lzma.LZMADecompressor().decompress((FIXTURES / name).read_bytes(), 1 << 20)


def _raw(r, path, out):
    """Raw memory and the JSON beside it, one of them damaged."""
    files = built(r.choice(MACHINES), "raw")
    data, text = files["in"], files["in.json"]
    if r.random() < 0.4:
        data = r.choice((damaged, fields))(r, data)
    else:
        text = document(r, text)
    path.write_bytes(data)
    beside = path.with_name(f"{path.name}.json")
    beside.write_bytes(text)
    if r.random() < 0.3:
        base = r.choice(("0", "fffff0000", "ffffffffffffff00", "1000000000", "x"))
        machine = ["--arch", r.choice(MACHINES), "--base", base]
        return [*looked_at(r, r.choice(("scan", "decode", "dump")), path, out), *machine]
    return looked_at(r, r.choice(LOOKS), beside, out)


def _paste(r, path, out):
    text = seed(f"paste/{r.choice(sorted(p.name for p in (FIXTURES / 'paste').iterdir()))}")
    path.write_bytes(r.choice((words, words, damaged, lines))(r, text))
    machine = r.choice(("x86_64", "x86_64", "x86_64", "s390x", "i386"))
    more = ["--arch", machine] if r.random() < 0.8 else []
    if r.random() < 0.1:
        more += ["--base", f"{number(r):x}"]
    return [*looked_at(r, r.choice(LOOKS), path, out), *more]


@cache
def bomb(what):
    """A few bytes that are many."""
    return lzma.compress({"lines": b"#\n" * (1 << 24), "zeros": bytes(1 << 26)}[what])


def _xz(data):
    return lzma.compress(data, preset=0)  # the usual one fills 90 MB with zeros first


@cache
def _zeros_packed(size):
    return zlib.compress(bytes(size), 9)


def _packed(r, path, out):
    """A small input, packed once or twice, damaged before or after."""
    if r.random() < 0.002:  # which take a second each
        data = bomb(r.choice(("lines", "zeros")))
        data = damaged(r, data) if r.random() < 0.5 else data
    else:
        make = r.choice((trace, log, lambda _: seed("captures/s390x-6.12.95-sleep.json")))
        data = make(r)
        data = damaged(r, data) if r.random() < 0.3 else data
        for _ in range(r.choice((1, 1, 1, 2))):
            data = r.choice((_xz, gzip.compress, bz2.compress, zlib.compress))(data)
            data = data * r.choice((1, 1, 1, 3)) if len(data) < 1 << 20 else data
        data = damaged(r, data) if r.random() < 0.6 else data
    path.write_bytes(data)
    if r.random() < 0.3:
        return _recorded(r, path, out)
    return looked_at(r, r.choice((*LOOKS, "run", "compare")), path, out)


def types_packed(r, data):
    """An object file whose sections of debug information are packed, and claim any size."""
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    new = bytearray(data)
    shoff = struct.unpack_from(order + ("Q" if wide else "I"), data, 40 if wide else 32)[0]
    step, count, names = struct.unpack_from(f"{order}3H", data, 58 if wide else 46)
    form = order + ("II4Q" if wide else "6I")
    _, _, _, _, name_at, name_size = struct.unpack_from(form, data, shoff + names * step)
    labels = data[name_at : name_at + name_size]
    old = r.random() < 0.3  # as it was done before ELF had a form for it
    for at in range(shoff, shoff + count * step, step):
        name, kind, flags, address, offset, size = struct.unpack_from(form, data, at)
        label = data[name_at + name :].split(b"\0")[0]
        if not label.startswith(b".debug") or r.random() < 0.2:
            continue
        packed = zlib.compress(data[offset : offset + size], 1)
        if r.random() < 0.1:
            size = 1 << r.choice((20,) * 50 + (24, 27))
            packed = _zeros_packed(size)
        claimed = r.choice((size, size, size, number(r), 1 << 40))
        sizes = (1, 0, claimed, 1) if wide else (1, claimed & 0xFFFFFFFF, 1)
        head = struct.pack(order + ("IIQQ" if wide else "III"), *sizes)
        flags |= 0x800
        if old:
            head, flags = b"ZLIB" + struct.pack(">Q", claimed), flags & ~0x800
            name = len(labels)
            labels += b".z" + label[1:] + b"\0"
        if r.random() < 0.05:
            kind = 8  # SHT_NOBITS
        body = head + packed
        struct.pack_into(form, new, at, name, kind, flags, address, len(new), len(body))
        new += body
    at = shoff + names * step + (24 if wide else 16)
    struct.pack_into(order + ("QQ" if wide else "II"), new, at, len(new), len(labels))
    return bytes(new + labels)


@cache
def _objects(*, large):
    """Names of files with types: all, or those that take milliseconds."""
    most = 1 << 20 if large else 1300
    found = [p for p in (FIXTURES / "proof").iterdir() if p.suffix != ".c"]
    return sorted(p.name for p in found if p.suffix == ".btf" or p.stat().st_size < most)


def _types(r, path, out):  # noqa: ARG001 - nothing is written
    """BTF or DWARF of an object file, damaged."""
    data = seed(f"proof/{r.choice(_objects(large=r.random() < 0.1))}")
    if data[:4] == b"\x7fELF" and r.random() < 0.3:
        data = types_packed(r, data)
    else:
        data = r.choice((damaged, fields, sections))(r, data)
    path.write_bytes(data)
    return ["struct", "--check", str(path), *r.choice(([], ["maple_node"], ["--json"]))]


# -- the command line


def _options(r, path, out):
    """What somebody may type behind any verb."""
    path.write_bytes(trace(r))
    return words_of(r, path, out)


def _known(r, path, out):
    """A verb with options of its own, on what it reads."""
    verb = r.choice([verb for verb in VERBS if verb not in PROGRAMS])
    if verb == "defects" and r.random() < 0.8:  # which take a tenth of a second each
        verb = "run"
    tree = []
    if verb == "record":
        path.write_bytes(r.choice((log(r), lines(r, seed("strace/perl.maps"), 12))))
    elif verb == "interleave":
        path.write_bytes(watched(r))
    elif verb == "scan" or (verb in IMAGES and r.random() < 0.5):
        machine = r.choice(MACHINES)
        path.write_bytes(r.choice((built(machine, "elf")["in"], _dump(machine))))
        tree = ["--tree", "fffff0000"] * (verb != "scan" and r.random() < 0.8)
    else:
        path.write_bytes(trace(r))
    return [*right_words(r, verb, path, out), *tree]


IMAGES = {"compare", "decode", "draw", "dump", "explore", "export", "validate"}
"""Verbs that read images and traces."""


def watched(r):
    """A trace of a few lines in RCU mode."""
    count, step = r.choice((0, 2, 3, 5, 5, 17)), r.choice((1, 0x10))
    found = [f"init {r.choice((0, 1, 2, 2, 2, 3)):x}", "rcu on"]
    found += [f"store {i * step:x} {i * step + step - 1:x} 3001" for i in range(count)]
    state = [0, step, step * count]
    for _ in range(r.choice((1, 2, 2, 3))):
        first, last = sorted((index(r, state), index(r, state)))
        found.append(
            r.choice((f"erase {first:x}", f"store {first:x} {last:x} 3005", f"load {last:x}"))
            if r.random() < 0.9
            else line(r, state)
        )
    return ("\n".join(found) + "\n").encode(errors="surrogateescape")


def _reader(r, path, out):  # noqa: ARG001 - it reads nothing
    """conformance with a reader that is none."""
    given = r.choice(CONFORMANCE).split()
    told = r.choice(([], ["--json"], ["--junit", str(out)], ["--keep", str(out.with_name("kept"))]))
    case = r.choice(("single-indexes", "empty", "nothing-of-that-name"))
    return ["conformance", "--arch", "s390x", "-k", case, "--timeout", "2", *told, "--", *given]


KINDS = {
    "trace": _trace, "log": _log, "strace": _strace, "maps": _maps, "json": _json, "core": _core,
    "raw": _raw, "paste": _paste, "packed": _packed, "types": _types, "options": _options, "known": _known,
    "reader": _reader,
}  # fmt: skip
"""Each kind of case: writes its input to a path, for an output file; returns the words."""


def unit(r, folder):
    """A list of files that take their places together, which nobody here has written."""
    steps = [[r.choice(("in", "x.part", ".out.x.part", "../x.part", "", 1, "\0.part")),
              r.choice(("out", "in", "../out", "", "/", [], "x" * 300))] for _ in range(3)]  # fmt: skip
    text = json.dumps(r.choice((steps, steps, [], {}, steps[0], 1)))
    (folder / f".{r.choice(('in', 'out'))}.unit").write_bytes(
        damaged(r, text.encode()) if r.random() < 0.5 else text.encode()
    )
