"""All errors of this project, as one hierarchy of exceptions.

InputError and UsageError end a command with exit code 2; MachineFault and BrokenTree with 1.
"""

from __future__ import annotations


class MapleLayoutError(Exception):
    """The base of all errors that this project raises on purpose."""


class UsageError(MapleLayoutError):
    """The caller asked for something that does not exist or does not fit together."""


class InputError(MapleLayoutError):
    """A file does not have the expected format. The message names the place and the remedy."""


class TraceError(InputError):
    """A trace line that can't be understood; ``line`` counts from 1."""

    def __init__(self, line: int, message: str, source: str = "") -> None:
        super().__init__(f"{source}{', ' if source else ''}line {line}: {message}")
        self.line = line
        self.reason = message


class BrokenTree(MapleLayoutError):  # noqa: N818 - a finding about data, not about the program
    """Readable memory that holds no valid tree: a cycle, a pointer into nowhere."""


class KernelError(MapleLayoutError):
    """The kernel refused an operation; ``errno`` says why (EINVAL, ENOMEM, EEXIST, EBUSY)."""

    def __init__(self, errno: int, message: str) -> None:
        super().__init__(message)
        self.errno = errno


class MachineFault(MapleLayoutError):  # noqa: N818 - what the machine did, in its own terms
    """The simulated machine stopped the kernel.

    ``kind`` is one of unmapped, misaligned, null, double free, bad free, livelock, bug; ``address``
    is the failing address, ``width`` the bytes of the access (0 if there was none), ``arch`` the
    machine's name, ``doing`` the object of the access, and ``message`` the message of that
    machine's kernel.
    """

    def __init__(  # noqa: PLR0913 - the six facts of a fault
        self,
        kind: str,
        address: int,
        message: str,
        *,
        width: int = 0,
        arch: str = "",
        doing: str = "",
    ) -> None:
        super().__init__(message if not doing else f"{message} ({doing})")
        self.kind = kind
        self.address = address
        self.message = message
        self.width = width
        self.arch = arch
        self.doing = doing
