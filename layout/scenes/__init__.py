"""Scenes: what readers and writers do step by step, and whether defects show in them."""
