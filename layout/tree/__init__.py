"""The kernel's maple tree operations, by subject.

Free functions with the kernel's names; :class:`layout.tree.kernel.Kernel` is their table of
contents, and how they reach one another. Each takes a kernel ``k`` first, and most a state.

Source of all behaviour: lib/maple_tree.c and include/linux/maple_tree.h of Linux 6.12. A folder
for each later kernel, ``v7_2`` and ``v7_3``, has what changed since the one before;
:mod:`layout.tree.versions` knows them all.
"""
