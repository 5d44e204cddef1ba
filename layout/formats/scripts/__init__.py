"""Programs for drgn, gdb and volatility3 that list a maple tree; exports copy them.

Each stands alone: it takes an ELF core that maple-layout wrote and the address of a struct
maple_tree, and prints a line ``first last entry`` in hex for each range; volatility3's walker
tells entries alone. What else they need lies beside the core.
"""
