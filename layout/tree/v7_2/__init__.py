"""What Linux 7.2 does otherwise than 6.12; :mod:`layout.tree.v7_2.kernel` lists it.

Nodes in reserve come in sheaves of the slab allocator. Stores that need new nodes gather up to
four nodes' data in a struct maple_copy and write it out, without a big node between.

Source of all behaviour: lib/maple_tree.c and include/linux/maple_tree.h of Linux 7.2.13.
"""
