"""A simulated machine of one architecture, and what stands in front of it to watch or replace."""
