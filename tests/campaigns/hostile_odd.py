"""Inputs of the campaign that are odd as a whole: no files, two images, folders, lists, stdin."""

from __future__ import annotations

import json
from pathlib import Path

from hostile_damage import LONG, damaged, document, fields, lines, number, sections
from hostile_inputs import LOOKS, MACHINES, built, log, looked_at, seed, trace, watched
from hostile_options import given

MAKEFILES = (
    b"VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 3\n",
    *(b"", b"VERSION = " + b"9" * 5000, b"VERSION = 6\nEXTRAVERSION = \x1b[2J\xff\n", b"\0" * 99),
)
CODE = b"""#include <linux/maple_tree.h>
#include <linux/slab.h>
int mas_init(void) { return nothing; }
"""


# -- files that are none


def no_file(r, path):
    """Put something at ``path`` that is no file, or one that no memory holds; another path of it."""
    how = r.randrange(10)
    if how == 0:
        path.mkdir()
    elif how == 1:
        path.symlink_to(path.name)
    elif how == 2:
        path.symlink_to("nowhere")
    elif how == 3:
        path.symlink_to(r.choice(("/dev/null", "/dev/tty", "/proc/self/mem", "/proc/self/maps")))
    elif how == 4:
        path.write_bytes(b"init 0\n")
        return path / "below"
    elif how == 5:
        path.write_bytes(b"init 0\n")
        path.chmod(0)
    elif how == 6:
        with path.open("wb") as file:  # a hole
            file.truncate(1 << r.choice((20, 31, 40)))
    elif how == 7:
        return path.with_name("x" * r.choice((255, 256, 5000)))
    elif how == 8:
        return Path("/dev/fd/0")
    else:
        path.write_bytes(b"")
    return path


def no_place(r, out):  # noqa: PLR0911 - one for each way
    """A path to write to, where that is odd."""
    how = r.randrange(9)
    if how == 0:
        out.unlink(missing_ok=True)
        out.mkdir()
    elif how == 1:
        return out / "below" / "this"
    elif how == 2:
        return out.with_name("x" * r.choice((100, 199, 249, 255, 256, 5000)))
    elif how == 3:
        return Path(r.choice(("/dev/full", "/dev/null", "/dev/stdout", "/dev/fd/1", "/dev/fd/77")))
    elif how == 4:
        link = out.with_name("link")
        link.symlink_to(r.choice(("out", "nowhere", "link", "/dev/full", "/")))
        return link
    elif how == 5:
        return out.with_name(r.choice(("\udcff\x1b[2J", "a\nb", " ", "-", ".x", "...")))
    elif how == 6:
        return out.parent / r.choice((".", ".."))
    elif how == 7:
        out.with_name(".out.unit").write_bytes(damaged(r, b'[["in","out"]]'))
    return out


def _odd(r, path, out):  # noqa: PLR0911 - one for each verb
    """An input or an output that is no file as others are."""
    if r.random() < 0.5:
        path = no_file(r, path)
        target = out
    else:
        path.write_bytes(r.choice((trace, log))(r))
        target = no_place(r, out)
        if r.random() < 0.1:
            target = path  # onto itself
    verb = r.choice((*LOOKS, "run", "record", "bisect", "struct", "compare", "maps", "history"))
    if verb == "record":
        return ["record", str(path), "-o", str(target)]
    if verb == "maps":
        maps = ["--maps", str(path)] if r.random() < 0.5 else ["--from-maps", str(path)]
        return ["record", *([str(path)] if maps[0] == "--maps" else []), *maps, "-o", str(target)]
    if verb == "bisect":
        return ["bisect", str(path), "--until", "invalid", "-o", str(target)]
    if verb == "struct":
        return ["struct", "--check", str(path)]
    if verb == "history":
        return ["history", str(path), "1000000000"]
    if verb == "run":
        told = r.choice(("--junit", "--sarif"))
        return ["run", str(path), told, str(target), "--github"]
    if verb == "compare":
        return ["compare", str(path), *[str(path)] * (r.random() < 0.5)]
    return looked_at(r, verb, path, target)


# -- two inputs, and readers beside a trace


def image(r):
    """An image of any kind, more often whole."""
    machine = r.choice(MACHINES)
    made = r.choice(("elf", "dump", "capture", "trace"))
    if made == "elf":
        data = built(machine, "elf")["in"]
        return r.choice((sections, fields, damaged))(r, data) if r.random() < 0.4 else data
    if made == "trace":
        return trace(r)
    text = built(machine, "dump")["in"]
    if made == "capture":
        text = seed("captures/s390x-6.12.95-sleep.json")
    return document(r, text) if r.random() < 0.5 else text


def _pair(r, path, out):  # noqa: ARG001 - nothing is written
    """compare of two images."""
    other = path.with_name("other")
    path.write_bytes(image(r))
    other.write_bytes(path.read_bytes() if r.random() < 0.3 else image(r))
    more = [option for option in ("--first", "--json") if r.random() < 0.3]
    tree = ["--tree", r.choice(("fffff0000", "0", "1"))] if r.random() < 0.3 else []
    return ["compare", str(path), str(other), *more, *tree]


READERS = (
    "load 10",
    "walk 0",
    "next 10",
    "prev ffffffffffffffff",
    "find 0 20",
    "load",
    "x 1",
    LONG,
)


def _interleave(r, path, out):  # noqa: ARG001 - nothing is written
    """Readers without a lock beside a trace of a few lines."""
    data = watched(r)
    count = data.count(b"\n")
    path.write_bytes(damaged(r, data) if r.random() < 0.2 else data)
    more = ["--arch", r.choice(MACHINES)] if r.random() < 0.5 else []
    if r.random() < 0.2:
        more += ["--reader", r.choice(READERS)]
    if r.random() < 0.5:
        more += ["--line", str(r.choice((1, count, count, count, count - 1, number(r))))]
    bound = r.choice(("1", "1", "2")) if r.random() < 0.98 else "0"
    if r.random() < 0.3:
        more += ["--beside", r.choice(("1", "2", "2", "3", "8", "9", "0"))]
        more += ["--one-lock"] * (r.random() < 0.4)
        bound = "1"
    more += given(r, ("interleave",), path, path, 2) if r.random() < 0.4 else []
    more += ["--readers", r.choice(("1",) * 9 + ("2", "0"))]
    return ["interleave", str(path), *more, "--bound", bound]


# -- folders of kernels


def _source(r, path, out):
    """A kernel's folder that is none, or whose code the harness does not fit."""
    root = path.with_name("linux")
    wanted = {"lib/maple_tree.c": CODE, "include/linux/maple_tree.h": b"struct maple_tree;\n"}
    for name, data in wanted.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        how = r.random()
        if how < 0.15:
            no_file(r, place)
        elif how < 0.25:
            continue
        else:
            text = r.choice((data, damaged(r, data), lines(r, data), r.randbytes(99), b"\0", b""))
            extra = r.choice((b"", b"#include <../../x.h>\n", b"#include </etc/passwd>\n",
                              b"#include <" + b"x" * 300 + b">\n", b"#include <a/\xff.h>\n",
                              b"#include <linux>\n#include <linux/x.h>\n"))  # fmt: skip
            place.write_bytes(extra + text)
    if r.random() < 0.8:
        (root / "Makefile").write_bytes(r.choice(MAKEFILES))
    else:
        no_file(r, root / "Makefile")
    path.write_bytes(trace(r))
    source = ["--source", str(r.choice((root, root, root, root, path, root / "lib", "x\udcff")))]
    machine = ["--arch", r.choice(("x86_64", "x86_64", "s390x", "x86_64,s390x", "vax"))]
    action = r.choice(("build", "run", "diff", "fuzz", "test", "compare", "compare", "hunt"))
    files = r.choice(([], ["--junit", str(out)], ["--sarif", str(out), "--github"]))
    if action == "hunt":
        kept = ["--corpus", str(out.with_name("corpus"))]
        return ["hunt", *source, *machine, "--time", "1", *kept, *files]
    words = ["kernel", action, *source, *machine]
    if action in {"fuzz", "compare"}:
        words += ["--time", "1", "--traces", "1", *files]
    if action == "fuzz" or (action == "compare" and r.random() < 0.3):
        words += ["--fuzz"] * (action == "compare")
        return [*words, "--out", str(out.with_name("found"))]
    if action == "compare":
        words += ["--against", r.choice((str(root), str(path), "linux-source-0.0", "", LONG))]
    if action == "test":
        words += r.choice((["--check"], ["--name", r.choice(("x", "9", "a b", LONG, "é"))]))
    return [*words, *[str(path)] * (action != "build")]


# -- several files that take their places together


def _export(r, path, out):
    """An image as several files: all are as before, or as they have to become."""
    path.write_bytes(image(r))
    machine = ["--arch", r.choice(MACHINES)] if r.random() < 0.3 else []
    tree = ["--tree", "fffff0000"] if r.random() < 0.3 else []
    how = ["--format", r.choice(("raw", "drgn", "gdb", "elf", "isf"))]
    return ["export", str(path), *machine, *tree, *how, "-o", str(out)]


def _together(r, path, out):
    """Two or three output files of one command, beside what a kill of another has left."""
    path.write_bytes(trace(r))
    if r.random() < 0.3:
        steps = [[r.choice((".out.a.part", "x", "../in", "")), r.choice(("out", "out2", "../in"))]]
        left = json.dumps(steps).encode()
        out.with_name(f".{r.choice(('out', 'out2'))}.unit").write_bytes(
            damaged(r, left) if r.random() < 0.5 else left
        )
        if r.random() < 0.5:
            out.with_name(".out.a.part").write_bytes(b"new")
    if r.random() < 0.5:
        machine = ["--arch", r.choice(MACHINES)]
        how = ["--format", r.choice(("raw", "drgn", "gdb", "elf"))]
        return ["export", str(path), *machine, *how, "-o", str(out)]
    other = r.choice((out.with_name("out2"), out.with_name("out2"), out, "/dev/full", "/dev/null"))
    verb = r.choice(("run", "validate"))
    more = ["--limit", "400"] * (r.random() < 0.95)  # else a second
    return [verb, str(path), "--junit", str(out), "--sarif", str(other), "--github", *more]


KINDS = {
    "odd": _odd, "pair": _pair, "interleave": _interleave, "source": _source,
    "together": _together, "export": _export,
}  # fmt: skip
"""More kinds of cases, as those of :mod:`hostile_inputs`."""

FREE = {"odd", "source", "together"}
"""Kinds whose files are not told by one path: what is left of them is looked at alone."""
