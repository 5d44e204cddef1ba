"""How things look: hex, fields, the kernel's text, struct layouts."""
