"""The version of this distribution, as its installation has it."""

from __future__ import annotations


def version() -> str:
    """The version; a checkout that only lies on the path has none."""
<<<<<<< HEAD
    from importlib import metadata  # noqa: PLC0415 - takes 10 ms, and few commands tell it
=======
    from importlib import metadata  # noqa: PLC0415 - slow to import, seldom asked for
>>>>>>> main

    try:
        return metadata.version("maple-layout")
    except metadata.PackageNotFoundError:
        return "(not installed)"
