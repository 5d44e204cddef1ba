r"""Translates the tree's operations into one Cython module. Runs when the package is built.

The bodies of ``layout/tree/*.py`` and of the accessors in ``layout/memory/node.py`` stay as they
are, but for types: a function becomes a C function, a ``Word`` an unsigned 64-bit number, an
``int`` a signed one, and the states become C structs on the stack. ``k.f(x)`` is a direct call of
what the kernel's table lists as ``f``, for the twin is used only where no operation is replaced.
What cannot be translated is refused with its place, so a change of the operations that goes too
far shows at once, also where there is no compiler.

To read it: :mod:`.signatures` (what a function takes and returns, and types in C), :mod:`.states`
(the structs), :mod:`.environment` (all that a body may refer to), :mod:`.types` (the type of an
expression), :mod:`.bodies` (one function rewritten), :mod:`.assembly` (the module's text).

>>> print(translate_function("def mte_to_node(enode: Word) -> Word:\n    return enode & ~255"))
cdef inline u64 mte_to_node(u64 enode) noexcept:
    return enode & ~255
"""

from layout.compiled.translate.assembly import module, translate_function
from layout.compiled.translate.signatures import Refused

__all__ = ["Refused", "module", "translate_function"]
