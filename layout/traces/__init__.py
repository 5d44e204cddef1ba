"""Traces in, transcripts and differences out."""
