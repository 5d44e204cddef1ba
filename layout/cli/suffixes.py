"""Names of output files whose suffix says another format than the one that is written."""

from __future__ import annotations

from pathlib import Path

from layout.memory.errors import UsageError

_FORMATS = {
    "html": ("html", "htm"),
    "svg": ("svg",),
    "dot": ("dot", "gv"),
    "json": ("json", "sarif"),
    "xml": ("xml",),
    "picture": ("png", "pdf", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff", "ps", "eps"),
    "packed": ("xz", "gz", "bz2", "zst", "zip", "svgz"),
}
_SAYS = {suffix: name for name, suffixes in _FORMATS.items() for suffix in suffixes}
"""What each suffix says; others say nothing, and are never refused."""

_CONVERTED = {"png", "pdf", "ps", "eps"}
"""What rsvg-convert writes."""


def said_by(path: str | None) -> str | None:
    """The format that the name of a file says, such as ``dot``; None where it says none."""
    return None if path in {None, "-"} else _SAYS.get(_suffix(str(path)))


def refuse_suffix(path: str | None, written: str, what: str, *others: str) -> None:
    """Raise UsageError where the name of an output says another format than ``written``.

    ``what`` says what is written, and ``others`` with which options something else is.
    """
    said = said_by(path)
    if path is None or said in {None, written}:
        return
    suffix, stem = _suffix(path), str(Path(path).with_suffix(""))
    if said == "packed":
        remedy = f"give {stem} as its name, and pack that"
    elif written not in _FORMATS:
        remedy = "give another name"
    else:
        name = f"{stem}.{_FORMATS[written][0]}"
        remedy = f"give {name} as its name"
        if said == "picture" and written == "svg":
            convert = (
                f"rsvg-convert -f {suffix} {name} -o" if suffix in _CONVERTED else f"magick {name}"
            )
            remedy += f", and convert that: {convert} {path}"
    message = f"{path}: {what} is written, not {suffix}: {', or '.join([remedy, *others])}"
    raise UsageError(message)


def _suffix(path: str) -> str:
    return Path(path).suffix[1:].lower()
