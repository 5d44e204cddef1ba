"""Images as files that other programs read: ELF cores, raw memory, drgn, gdb, volatility3."""
