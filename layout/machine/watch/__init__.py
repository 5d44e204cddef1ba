"""What watches a machine from outside: memory, node cache and kernel code that take notes."""
