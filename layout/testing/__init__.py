"""What testers use: a pytest plugin, strategies and state machines for hypothesis.

Nothing is imported here: each module is imported by those who use it.
"""
