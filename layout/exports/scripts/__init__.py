"""Programs for drgn, gdb and volatility3 that list a maple tree's ranges; exports copy them.

Each stands alone: it takes the path of an ELF core that maple-layout wrote and the tree's
address, and prints a line ``first last entry`` in hex for each range. What else it needs lies
beside the core. Without arguments it shows the image that it was exported with.
"""
