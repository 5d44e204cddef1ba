"""The version of this distribution, as its installation has it."""

from __future__ import annotations


def version() -> str:
    """The version; a checkout that only lies on the path has none."""
    from importlib import metadata  # noqa: PLC0415 - slow to import, seldom asked for

    try:
        return metadata.version("maple-layout")
    except metadata.PackageNotFoundError:
        return "(not installed)"
