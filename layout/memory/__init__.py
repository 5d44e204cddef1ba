"""The bytes: arenas, nodes and their fields, tagged pointers, node caches, struct layouts."""
