"""Text output: hex, fields, the kernel's text, struct layouts."""
