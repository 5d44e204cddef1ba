"""Guided search: traces that execute ever more of a kernel's maple_tree.c, and their comparison."""
