"""The version of this distribution, as its installation has it."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The version; a checkout that only lies on the path has none."""
    try:
        return metadata.version("maple-layout")
    except metadata.PackageNotFoundError:
        return "(not installed)"
