"""Reads traces, runs them, and writes transcripts."""
