"""Lines of the kernel's code that were executed, and the functions that they are in."""

from layout.ckernel.coverage import _starts
from layout.hunt import hunt
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
