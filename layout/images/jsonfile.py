"""JSON from a file: each value has its path, so that errors can name it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NoReturn

from layout.memory.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEX = re.compile(r"(0[xX])?[0-9a-fA-F]+")
_BYTES = re.compile(r"([0-9a-fA-F]{2})*")
_SHOWN = 40
"""How many characters of a wrong value an error shows."""


class Json:
    """A value in a JSON file; ``where`` is its path, as in ``nodes[3].addr``.

    A method raises InputError if the value has another type or range than requested.
    """

    __slots__ = ("source", "value", "where")

    def __init__(self, source: str, where: str, value: object) -> None:
        self.source = source
        self.where = where
        self.value = value

    def fail(self, message: str) -> NoReturn:
        """Raise InputError about this value."""
        place = f"{self.source}: {self.where}" if self.where else self.source
        text = f"{place}: {message}"
        raise InputError(text)

    def _wrong(self, wanted: str) -> NoReturn:
        shown = json.dumps(self.value)
        if len(shown) > _SHOWN:
            shown = f"{shown[:_SHOWN]}..."
        self.fail(f"{wanted} is needed here, not {shown}")

    def get(self, key: str) -> Json | None:
        """The member called ``key`` of an object, or None."""
        if not isinstance(self.value, dict):
            self._wrong("an object")
        if key not in self.value:
            return None
        return Json(self.source, f"{self.where}.{key}".lstrip("."), self.value[key])

    def __getitem__(self, key: str) -> Json:
        found = self.get(key)
        if found is None:
            self.fail(f"{key!r} is missing: the file is damaged or of another kind")
        return found

    def items(self) -> Iterator[Json]:
        """The elements of an array."""
        if not isinstance(self.value, list):
            self._wrong("an array")
        for i, value in enumerate(self.value):
            yield Json(self.source, f"{self.where}[{i}]", value)

    def text(self) -> str:
        """A string."""
        if not isinstance(self.value, str):
            self._wrong("a string")
        return self.value

    def number(self, most: int) -> int:
        """A hex string with or without 0x, or an integer; 0 to ``most``, both inclusive."""
        value = self.value
        if isinstance(value, str) and _HEX.fullmatch(value):
            value = int(value, 16)
        if not isinstance(value, int) or isinstance(value, bool):
            self._wrong("a hex number")
        if not 0 <= value <= most:
            self._wrong(f"a number from 0 to {most:x}")
        return value

    def count(self, most: int) -> int:
        """An integer that is no string; 0 to ``most``, both inclusive."""
        if isinstance(self.value, str):
            self._wrong("an integer")
        return self.number(most)

    def data(self) -> bytes:
        """Bytes written as hex digits."""
        if not isinstance(self.value, str) or not _BYTES.fullmatch(self.value):
            self._wrong("a string of hex digits, two for each byte,")
        return bytes.fromhex(self.value)


def parse(data: bytes, source: str) -> Json:
    """The JSON in ``data``. Raises InputError with line and column."""
    try:
        return Json(source, "", json.loads(data))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        what = f"not JSON from {place} on ({error.msg})"
    except RecursionError:
        what = "JSON nested too deeply"
    except ValueError as error:  # not UTF-8, or an integer of thousands of digits
        what = f"not JSON ({error})"
    message = f"{source}: {what}: the file is cut short or damaged, fetch it again"
    raise InputError(message)
