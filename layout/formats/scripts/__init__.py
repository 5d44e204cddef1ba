"""Programs for drgn, gdb and volatility3 that list a maple tree; exports copy them.

Each program is independent. Its arguments are an ELF core that maple-layout wrote and the address
of a struct maple_tree. It prints a line ``first last entry`` in hex for each range; volatility3's
walker yields only entries. Further files that they need are in the core's directory.
"""
