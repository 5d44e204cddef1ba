"""Conformance of readers: tests whether a reader reads images of every shape of tree correctly.

A reader is a program (``layout.testing.conformance.command``) or a Python callable:

>>> from layout.testing.conformance import check
>>> def reads_nothing(memory, tree):
...     root_at = tree + memory.layout("maple_tree").offset("ma_root")
...     root = int.from_bytes(memory.read(root_at, memory.word_size), memory.byteorder)
...     return [(0, 0, root)] if root else []
>>> result = check(reads_nothing, arches=["s390x"], pattern=["empty", "root-value", "zero"])
>>> result.passed, [(failure.case, failure.difference()) for failure in result.failures]
(2, [('s390x-6.12-zero-entries', 'range 0: expected 10000-10fff 2900000, got 0-0 210000e')])
"""

from layout.testing.conformance.callback import CaseMemory, check
from layout.testing.conformance.cases import Case, corpus
from layout.testing.conformance.result import Failure, Result

__all__ = ["Case", "CaseMemory", "Failure", "Result", "check", "corpus"]
