"""Type information of kernels and object files, and files for compilers and debuggers."""
