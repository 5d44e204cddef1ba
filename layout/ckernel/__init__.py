"""Builds the kernel's own lib/maple_tree.c for any machine and compares it with the emulator."""
