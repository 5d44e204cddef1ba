"""What the summaries of traces and campaigns have in common: lines on stdout, and findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from layout.ckernel.oracle import Campaign
    from layout.formats.findings import Checked
    from layout.traces.trace import Operation


class _Shrunk(Protocol):
    @property
    def shrunk(self) -> list[Operation]: ...


S = TypeVar("S", bound=_Shrunk)


def print_shrunk(lines: Sequence[str], until: int) -> None:
    """A shorter trace, if shortening has left out any of the ``until`` operations."""
    if len(lines) < until:
        print(f"\nshrunk to {len(lines)} operation{'s' * (len(lines) != 1)}:")
        print("\n".join(lines))


def print_work(campaign: Campaign[Any]) -> None:
    """Say how much was done."""
    on = ", ".join(f"{name} {number}" for name, number in campaign.on.items())
    print(
        f"{campaign.traces} traces ({on}), {campaign.operations} operations "
        f"of {len(campaign.counts)} kinds in {campaign.seconds:.0f} s"
    )


def print_ends(campaign: Campaign[Any], fault: str = "the same fault on both sides") -> None:
    """Say which traces did not come to their end, or parted for a reason that is known."""
    if campaign.faults:
        print(f"{campaign.faults} traces ended in {fault}")
    if campaign.refused:
        print(
            f"{campaign.refused} traces parted where refused allocations hit the two otherwise, "
            "because they ask for other numbers of nodes"
        )
    if campaign.too_long:
        print(f"{campaign.too_long} traces took too long and were given up")
    if campaign.too_large:
        print(f"{campaign.too_large} traces needed more nodes than there is room for")


def print_earlier(campaign: Campaign[Any]) -> None:
    """Name the files that earlier runs left."""
    for path in campaign.earlier:
        print(f"found by an earlier run: {path}")


def shortest_first(found: Iterable[S]) -> list[S]:
    """What was found, in the order in which it is easiest to look at."""
    return sorted(found, key=lambda each: len(each.shrunk))


def traces(number: int) -> str:
    """A number of traces in words."""
    return "1 trace" if number == 1 else f"{number} traces"


def all_checked(
    campaign: Campaign[Any], wrong: list[Checked], rule: str, nothing: str = "no difference"
) -> list[Checked]:
    """What was found, what earlier runs had found, and the machines on which nothing was."""
    from layout.formats.findings import Checked, Finding

    earlier = [
        Checked("earlier", path, Finding(rule, "found by an earlier run", path))
        for path in campaign.earlier
    ]
    bad = {each.group for each in wrong}
    right = [Checked(name, nothing) for name in campaign.on if name not in bad]
    return wrong + earlier + right
