"""Differences in meaning between machines, and between images."""
