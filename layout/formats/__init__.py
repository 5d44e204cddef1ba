"""Declared layouts against what a kernel's or an object file's own type information says."""
