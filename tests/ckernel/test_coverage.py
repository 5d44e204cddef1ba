"""Lines of the kernel's code that were executed, and the functions that they are in."""

import pytest

from layout.ckernel.build import COVERAGE
from layout.ckernel.coverage import (
    _starts,
    coverage,
    coverage_of,
    executed_alone,
    forget,
)
from layout.ckernel.execute import run
from layout.hunt import hunt
from layout.hunt.corpus import operations_of
from layout.memory.errors import InputError

CODE = """\
static __always_inline unsigned long
mas_safe_min(struct ma_state *mas, unsigned long *pivots,
\t     unsigned char offset)
{
\tother(mas);
}
EXPORT_SYMBOL(mas_safe_min);
void *mas_find(struct ma_state *mas);
static void *mtree_load(struct maple_tree *mt)
"""


def test_functions_begin_where_their_names_are():
    """Also those whose names are at the beginning of a line."""
    assert _starts(CODE) == {2: "mas_safe_min", 9: "mtree_load"}


def test_hunt_goes_on_where_lines_are_not_counted(monkeypatch, capsys):
    """The comparison comes after it."""

    def no_coverage(_):
        message = "gcov has nothing to say"
        raise InputError(message)

    for name in ("build", "forget"):
        monkeypatch.setattr(hunt, name, lambda *_: None)
    monkeypatch.setattr(hunt.toolchain, "own", lambda: "x86_64")
    monkeypatch.setattr(hunt, "run", lambda *_: None)
    monkeypatch.setattr(hunt, "coverage", no_coverage)
    assert hunt.executed_by(None, {"": []}) is None
    said = "the lines of maple_tree.c that were executed are not known: gcov has nothing to say"
    assert capsys.readouterr().err == f"maple-layout: {said}\n"


@pytest.mark.kernel
def test_what_traces_execute_alone_is_what_they_execute_together(built):
    counting = built("x86_64", COVERAGE)
    one = operations_of("init 0\nstore 10 20 3001\n")
    other = operations_of("init 0\nload 10\nmtdump\n")
    forget(counting)
    run(counting, other)  # elsewhere: of that the first one has nothing
    first = executed_alone(counting, [one], seconds=5)
    second = executed_alone(counting, [other], seconds=5)
    assert "mt_dump_range" in second.entered - first.entered
    assert executed_alone(counting, [one, other, one], seconds=5) == first | second
    assert first | second | first == second | first
    assert first | first == first
    assert coverage_of(counting, second).missed == coverage(counting).missed
    run(counting, one)
    both, together = coverage_of(counting, first | second), coverage(counting)
    assert both.missed == together.missed
    assert both.never == together.never
    assert str(both) == str(together)
    assert both.executed == len(first.lines | second.lines) > len(first.lines) > 0
