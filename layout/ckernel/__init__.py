"""The kernel's own lib/maple_tree.c, built for any machine and run beside the emulator."""
