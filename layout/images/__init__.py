"""Trees in files: reads, decodes and validates captures, cores and dumps."""
