"""The kernel's maple tree operations, by subject.

Each module adds one layer of operations to the one below it; :class:`layout.tree.kernel.Kernel`
is the top. A layer calls what lies below it, so the order of the modules is the order in which
the code can be read: base, alloc, walk, iterate, gaps, search, destroy, bignode, replace,
spanning, split, write, store, dup, dump, validate, kernel.

Source of all behaviour: lib/maple_tree.c and include/linux/maple_tree.h of Linux 6.12.
"""
