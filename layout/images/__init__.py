"""Trees in files: captures, cores and dumps, and what they hold."""
