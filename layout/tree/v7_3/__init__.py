"""What Linux 7.3 does otherwise than 7.2; :mod:`layout.tree.v7_3.kernel` lists it.

Source of all behaviour: lib/maple_tree.c and include/linux/maple_tree.h of Linux 7.3.4.
"""
