"""The machines that tests of behaviour run on: those with transcripts of the kernel's own code."""

THREE = ("s390x", "sparc64", "x86_64")
