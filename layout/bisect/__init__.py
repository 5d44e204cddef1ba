"""Finds the first operation of a trace after which a condition holds, and the shortest such trace.

The conditions are those of ``maple-layout bisect --until``.
"""
