"""What C source says of a line: the conditions around it, and who calls its function."""

import re
from functools import cached_property

_DEFINITION = re.compile(r"(?:[a-z_][\w *]*[ *])?([a-z_]\w*)\([^;]*$")
_CALL = re.compile(r"\b([a-zA-Z_]\w*)\s*\(")
_LABEL = re.compile(r"(\w+):\s*$")
_JUMP = re.compile(r"\s*(return\b|goto\b|break;|continue;)")
_TAB = 8


def bare(text):
    """C without comments and strings; every line stays where it is."""
    token = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"'
    return re.sub(
        token,
        lambda hit: '""' if hit[0][0] == '"' else "\n" * hit[0].count("\n"),
        text,
        flags=re.DOTALL,
    )


def _indent(line):
    return len(line.expandtabs(_TAB)) - len(line.expandtabs(_TAB).lstrip())


class Source:
    """The functions of a file in the kernel's style, whose indentation tells blocks."""

    def __init__(self, text):
        self.lines = ["", *bare(text).split("\n")]
        self.bodies = {}
        name = None
        opened = False
        for number, line in enumerate(self.lines):
            if name is None and (found := _DEFINITION.match(line)):
                name, start, opened = found[1], number, False
            elif name and line.startswith("}"):
                self.bodies.setdefault(name, range(start, number + 1))
                name = None
            elif name and not opened and line.endswith(";"):
                name = None  # a declaration of several lines
            opened = opened or line.startswith("{")

    def text(self, name):
        """A function's lines, signature and all."""
        return "\n".join(self.lines[number] for number in self.bodies[name])

    @cached_property
    def calls(self):
        """The names that each function calls."""
        none = {"if", "while", "for", "switch", "return", "sizeof"}
        return {name: set(_CALL.findall(self.text(name))) - {name} - none for name in self.bodies}

    def makes(self, name):
        """The lines that define a function, or give it to modules."""
        made = re.compile(rf"EXPORT_SYMBOL\w*\({name}\)|[a-z_][\w *]*?\b{name}\([^;]*$")
        return [line for line in self.lines if made.match(line)]

    def is_for_tests(self, name):
        """Whether the preprocessor leaves a function out of a kernel."""
        depth = []
        for line in self.lines[: self.bodies[name].start]:
            if line.startswith("#if"):
                depth.append(line)
            elif line.startswith("#endif"):
                depth.pop()
        return "#ifndef __KERNEL__" in depth

    def reached_from(self, *names):
        """These functions and all that they call, directly or not."""
        found, pending = set(), list(names)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += self.calls.get(name, ())
        return found

    def guard(self, name, number):
        """The conditions under which a line of a function runs, innermost first.

        ``not`` is before one whose other branch the line is in, ``after`` before a switch that the
        line follows, ``label`` before that of the line, with the conditions of jumps to it.
        """
        first = self.bodies[name].start
        depth, own = _indent(self.lines[number]), self.lines[number].strip()
        found = [own] if own.startswith(("case ", "default:", "} while")) else []
        for at in range(number - 1, first, -1):
            line = self.lines[at]
            if not line.strip() or line[0] in "#{":
                continue
            if depth == _TAB and not found:
                found += self._before(name, at)
            if line[0].isspace() and _indent(line) < depth:
                depth = _indent(line)
                found += self._head(at)
        return found

    def _before(self, name, at):
        """What a line says of those after it at the same level: a switch ended, or a label."""
        line = self.lines[at]
        if line.rstrip() == "\t}":
            opened = self.lines[self.opened(at)].strip()
            return [f"after {opened}"] if opened.startswith("switch") else []
        label = _LABEL.match(line)
        if label is None:
            return []
        before = next(line for line in reversed(self.lines[:at]) if line.strip())
        if not _JUMP.match(before) and before.strip() != "}":
            return []
        jumps = (n for n in self.bodies[name] if f"goto {label[1]};" in self.lines[n])
        return [f"label {label[1]}", *(each for n in jumps for each in self.guard(name, n)[:1])]

    def _head(self, at):
        """The condition of a block that begins at a line; for an else that of its if as well."""
        text = self.lines[at].strip()
        if not re.match(r"(\} )?else\b", text):
            return [text]
        own = re.findall(r"\bif\b.*", text)
        return [*own, "not " + self._joined(self.opened(at))]

    def _joined(self, at):
        text = self.lines[at].strip()
        while text.count("(") > text.count(")"):
            at += 1
            text += " " + self.lines[at].strip()
        return text

    def is_else_of(self, number, condition):
        """Whether a line is the ``else if`` of an ``if`` with this condition."""
        is_one = self.lines[number].strip().startswith("else if")
        return is_one and condition in self.lines[self.opened(number)]

    def opened(self, at):
        """The line that a closing brace, or an else, belongs to."""
        depth = _indent(self.lines[at])
        while at:
            at -= 1
            text = self.lines[at].strip()
            if (
                text
                and _indent(self.lines[at]) == depth
                and re.match(r"(if|switch|while|for|do)\b", text)
            ):
                return at
        return at


def without_prototypes(text):
    """A header without comments and declarations of functions."""
    return re.sub(r"^\w[^;{}#]*?\([^;{}#]*\);", "", bare(text), flags=re.MULTILINE)
