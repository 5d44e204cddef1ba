"""Rule-made mutants of a C source: one small change each, and one source that has them all.

The rules know C's tokens and the kernel's style: a function begins with its signature at the
margin and a ``{`` alone on a line. Code under ``#if`` and arguments of debug checks are left alone.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HIDDEN = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])+' """
    r"""| ^[ \t]*\#(?:\\\n|[^\n])*""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
"""Comments, strings, characters, and lines of the preprocessor."""

_CHECK = re.compile(r"\b\w*(?:BUG|WARN)_ON\w*(?=\()")
_TYPES = r"(?:struct|enum|union|unsigned|signed|int|long|short|char|void|bool|size_t|static|const|extern|\w+_t|u\d+)\b"
_NO_STATEMENT = re.compile(
    rf"{_TYPES}|(?:return|goto|break|continue|if|else|for|while|do|switch|case|default)\b"
    r"|\w*(?:BUG|WARN)_ON|trace_|\w+:"
)

SWAPS = {
    "comparison": {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="},
    "logic": {"&&": "||", "||": "&&"},
    "arithmetic": {"+": "-", "-": "+", "*": "/", "/": "*", "+=": "-=", "-=": "+="},
    "bits": {"&": "|", "|": "&", "<<": ">>", ">>": "<<", "|=": "&=", "&=": "|="},
    "step": {"++": "--", "--": "++"},
    "min and max": {"min": "max", "max": "min", "min_t": "max_t", "max_t": "min_t"},
    "truth": {"true": "false", "false": "true"},
}
"""What a token becomes, by rule. Arithmetic and bits are those of two operands."""

RULES = (
    *SWAPS, "off by one", "constant", "condition negated", "not left out", "statement left out",
    "jump left out",
)  # fmt: skip

_SPACED = ("arithmetic", "bits")
_TOKEN = re.compile(
    r"->|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||\+\+|--|\+=|-=|\|=|&=|[<>+*/&|-]"
    r"|\b(?:min|max|min_t|max_t|true|false)\b"
)
_BECOMES = {token: (rule, new) for rule, pairs in SWAPS.items() for token, new in pairs.items()}


@dataclass(frozen=True)
class Function:
    """A definition: offsets of its signature, of the ``{`` and of the end, with its parameters."""

    name: str
    parameters: tuple[str, ...]
    start: int
    body: int
    end: int


@dataclass(frozen=True)
class Mutant:
    """The text from ``start`` to ``end`` becomes ``new``; ``line`` counts from 1."""

    rule: str
    function: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        old = " ".join(self.old.split())
        return f"{self.function}:{self.line}: {self.rule}: {old!r} -> {self.new!r}"

    def apply(self, code: str) -> str:
        """The changed source."""
        return code[: self.start] + self.new + code[self.end :]


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def visible(code: str) -> str:
    """The code with blanks for what no rule looks at; every offset stays."""
    hidden = list(code)
    depth = 0
    for found in _HIDDEN.finditer(code):
        hidden[found.start() : found.end()] = _blank(found[0])
    masked = "".join(hidden)
    lines = []
    for line, shown in zip(code.splitlines(), masked.splitlines(), strict=True):
        directive = re.match(r"\s*#\s*(if|endif)", line)
        if directive:
            depth += 1 if directive[1] == "if" else -1
        lines.append(_blank(shown) if depth else shown)
    masked = "\n".join(lines) + "\n"
    for found in _CHECK.finditer(masked):
        end = _closing(masked, found.end())
        masked = masked[: found.end() + 1] + _blank(masked[found.end() + 1 : end]) + masked[end:]
    return masked


def _closing(text: str, start: int) -> int:
    """The offset of the parenthesis that closes the one at ``start``."""
    depth = 0
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if not depth:
            return at
    message = f"a parenthesis at {start} stays open"
    raise ValueError(message)


def functions(masked: str) -> Iterator[Function]:
    """The definitions in visible() code."""
    for found in re.finditer(r"^\{", masked, re.MULTILINE):
        start = max(masked.rfind(end, 0, found.start()) for end in (";", "}", "{")) + 1
        start += len(masked[start:]) - len(masked[start:].lstrip())
        name = re.compile(r"(\w+)\s*\(").search(masked, start, found.start())
        if name is None:
            continue
        inside = masked[name.end() : _closing(masked, name.end() - 1)]
        parameters = tuple(
            (re.search(r"\(\s*\*\s*(\w+)", each) or re.search(r"(\w+)\s*(?:\[.*)?$", each.strip()))[
                1
            ]  # type: ignore[index] # every parameter has a name
            for each in re.split(r",(?![^()]*\))", inside)
            if each.strip() not in ("", "void")
        )
        yield Function(
            name[1], parameters, start, found.start(), masked.index("\n}", found.end()) + 2
        )


def mutants(code: str) -> list[Mutant]:
    """All mutants, in the order of the source; no two have the same text."""
    masked = visible(code)
    newlines = [found.start() for found in re.finditer("\n", code)]
    made: dict[tuple[int, int, str], Mutant] = {}
    for function in functions(masked):
        for rule, start, end, new in _changes(masked, function.body + 1, function.end - 1):
            line = bisect_right(newlines, start) + 1
            made.setdefault(
                (start, end, new),
                Mutant(rule, function.name, line, start, end, code[start:end], new),
            )
    return sorted(made.values(), key=lambda mutant: (mutant.start, mutant.end, mutant.new))


_ONE = re.compile(r"\s*1\b")
_NUMBER = re.compile(r"\b\d+(?=[UL]*\b)")
_NOT = re.compile(r"(?<=[(\s])!(?=[\w(])")
_JUMP = re.compile(r"\b(?:break|continue|goto \w+|return)(?=;)")
_LINE = re.compile(r"(?<=[;{})\w:])\s*\n\s+([a-z*(][^;{}]*);")


def _changes(text: str, first: int, last: int) -> Iterator[tuple[str, int, int, str]]:
    """Rule, start, end and new text of what the rules change between two offsets."""
    yield from _swapped(text, first, last)
    for found in _NUMBER.finditer(text, first, last):
        if not re.search(r" [-+] $", text[: found.start()][-3:]) or found[0] != "1":
            yield "constant", *found.span(), str(int(found[0]) + 1)
    for found in re.compile(r"\bif \(").finditer(text, first, last):
        end = _closing(text, found.end() - 1)
        inside = text[found.end() : end]
        if "&&" in inside or "||" in inside or not re.search(r"[!=]=|^!", inside):
            yield "condition negated", found.end(), end, f"!({inside})"
    for rule, pattern in (("not left out", _NOT), ("jump left out", _JUMP)):
        for found in pattern.finditer(text, first, last):
            yield rule, *found.span(), ""
    for found in _LINE.finditer(text, first, last):
        before = text[first - 1 : found.start()]
        begins = before[-1] in ";{}:" or re.search(r"\belse$", before) or _ends_condition(before)
        if begins and not _NO_STATEMENT.match(found[1]):
            yield "statement left out", *found.span(1), ""


def _swapped(text: str, first: int, last: int) -> Iterator[tuple[str, int, int, str]]:
    """The changes of a token into another; that of + 1 and - 1 into nothing."""
    for found in _TOKEN.finditer(text, first, last):
        rule, new = _BECOMES.get(found[0], ("", ""))
        spaced = text[found.start() - 1].isspace() and text[found.end()].isspace()
        one = _ONE.match(text, found.end())
        if rule == "arithmetic" and spaced and one and found[0] in "+-":
            yield "off by one", found.start(), one.end(), ""
        elif rule and (spaced or rule not in _SPACED):
            yield rule, *found.span(), new


def _ends_condition(before: str) -> bool:
    """Whether code ends with the parentheses of an if, for or while."""
    depth = 0
    for at in range(len(before) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(before[at], 0)
        if not depth:
            return re.search(r"\b(?:if|while|for\w*|\w+_for_each\w*) ?$", before[:at]) is not None
    return False


_CHOICE = """static int mutant_number;
extern char *getenv(const char *);
extern int atoi(const char *);
__attribute__((constructor)) static void choose_mutant(void)
{
\tconst char *number = getenv("MUTANT");

\tmutant_number = number ? atoi(number) : 0;
}
"""


def all_in_one(code: str, chosen: Iterable[tuple[int, Mutant]], attributes: str = "") -> str:
    """A source whose program is the mutant with the number in ``MUTANT``, or the original.

    Each mutant is a copy of its function, and the function calls the one that is chosen. Names and
    line numbers in messages stay; complaints of a compiler name the file ``mutantN``.
    ``attributes`` are for the copies.
    """
    masked = visible(code)
    by_function: dict[str, list[tuple[int, Mutant]]] = {}
    for number, mutant in chosen:
        by_function.setdefault(mutant.function, []).append((number, mutant))
    pieces, at = [_CHOICE, '#line 1 "maple_tree.c"\n'], 0
    for function in functions(masked):
        wanted = by_function.get(function.name, [])
        if not wanted:
            continue
        line = code.count("\n", 0, function.start) + 1
        named = re.compile(rf"\b{function.name}\b").search(masked, function.start)
        assert named is not None
        signature = code[function.start : function.body]
        pieces += [code[at : function.start], _until_attributes(signature), ";\n"]
        pieces.append(f'#undef __func__\n#define __func__ "{function.name}"\n')
        for number, mutant in [(0, None), *wanted]:
            body = code[function.start : function.end]
            if mutant is not None:
                start = function.start
                body = (
                    body[: mutant.start - start]
                    + mutant.new
                    + "\n" * mutant.old.count("\n")
                    + body[mutant.end - start :]
                )
            head = named.start() - function.start
            tail = head + len(function.name)
            pieces.append(
                f'#line {line} "mutant{number}"\n{attributes} {body[:head]}{function.name}__{number}{body[tail:]}\n'
            )
        given = ", ".join(function.parameters)
        cases = "".join(f"\tcase {n}: return {function.name}__{n}({given});\n" for n, _ in wanted)
        pieces += [
            f"{signature}{{\n\tswitch (mutant_number) {{\n{cases}\tdefault: return {function.name}__0({given});\n\t}}\n}}\n",
            f'#undef __func__\n#line {line + code.count(chr(10), function.start, function.end)} "maple_tree.c"\n',
        ]
        at = function.end
    return "".join([*pieces, code[at:]])


def _until_attributes(signature: str) -> str:
    return signature[: _closing(signature, signature.index("(")) + 1]
