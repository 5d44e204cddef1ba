"""Watches: subclasses of memory, node cache and kernel that record what a machine does."""
