"""Tools for tests: a pytest plugin, strategies and state machines for hypothesis.

This module imports nothing. Import the modules that you use.
"""
