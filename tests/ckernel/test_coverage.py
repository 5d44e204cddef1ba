"""Lines of the kernel's code that were executed, and the functions that they are in."""

from layout.ckernel.coverage import _starts

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
