"""drgn, gdb and volatility3 over the corpus: what docs/readers.md says of them holds."""

from __future__ import annotations

import pytest
from machines import THREE

from layout.testing.conformance.cases import corpus
from layout.testing.conformance.command import Commands
from layout.testing.conformance.judge import NOT_SAID, Judge

pytestmark = pytest.mark.readers

ALL_SLOTS = "all slots read, in use or not, and metadata; words below 16 dropped"


def run(command, cases, **options):
    """Failed cases and their causes, and the result."""
    commands = Commands(command, Judge(**options), jobs=2)
    result = commands.run(cases, lambda *_: None)
    return {failure.case: failure.cause for failure in result.failures}, result


def test_drgn_reads_every_tree_and_does_not_look_for_damage(drgn):
    cases = [case for case in corpus(THREE) if not case.name.endswith("-cycle")]
    failed, result = run(drgn, cases)
    assert failed == {f"{arch}-6.12-smeared-leaf": NOT_SAID for arch in THREE}
    assert result.passed == len(cases) - 3 > 130


def test_drgn_follows_a_cycle_for_ever(drgn):
    failed, _ = run(drgn, corpus(["s390x"], ["cycle"]))
    [cause] = failed.values()
    assert cause in ("did not end within 10 s", "printed more than 4 MiB")


@pytest.mark.long
def test_gdb_with_our_script_reads_everything(gdb):
    failed, result = run(gdb, corpus([*THREE, "m68k", "mips"], ["leaf", "root", "two", "cycle"]))
    assert failed == {}
    assert result.cases > 90


def test_volatility3_on_x86_64(volatility3):
    failed, _ = run(volatility3, corpus(["x86_64"], ["-6.12-"]), entries=True)
    assert failed == {
        "x86_64-6.12-empty": "a NULL root followed as a node",
        "x86_64-6.12-root-entry": "a root that is an entry followed as a node",
        "x86_64-6.12-up-root-entry": "a root that is an entry followed as a node",
        "x86_64-6.12-root-value": "a root that is an entry followed as a node",
        "x86_64-6.12-values": ALL_SLOTS,
        "x86_64-6.12-stale-leaf": ALL_SLOTS,
        "x86_64-6.12-stale-range-root": ALL_SLOTS,
        "x86_64-6.12-stale-arange-root": ALL_SLOTS,
        "x86_64-6.12-cycle": NOT_SAID,
        "x86_64-6.12-smeared-leaf": NOT_SAID,
        "x86_64-6.12-smeared-metadata": NOT_SAID,
    }


def test_volatility3_takes_metadata_for_an_entry_on_s390x(volatility3):
    cases = corpus(["s390x"], ["*-6.12-*full-leaf*", "6.12-process-map"])
    failed, result = run(volatility3, cases, entries=True)
    names = ("almost-full-leaf", "almost-full-leaf-to-max", "process-map")
    assert set(failed) == {f"s390x-6.12-{name}" for name in names}
    assert all(ALL_SLOTS in failure.causes for failure in result.failures)
    almost_full = next(f for f in result.failures if f.case == "s390x-6.12-almost-full-leaf")
    assert almost_full.answer.rows == [*almost_full.expected, (0x0E00000000000000,)]
