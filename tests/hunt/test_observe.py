"""What the access checker and the ledger say of a trace of a corpus."""

from types import SimpleNamespace

import arches
from layout.hunt import observe
from layout.hunt.corpus import operations_of

TEXT = "init 0\n" + "".join(f"store {i:x}0 {i:x}4 {i:x}001\n" for i in range(1, 8))


def test_damage_is_not_looked_at():
    """A metadata byte says that data ends behind slots that were never written."""
    damaged = TEXT + "poke 1000000000 f8 0\npoke 1000000000 f9 f\nmtdump\nwalk 80\nvalidate\n"
    assert observe.observe(operations_of(damaged), arches.get("s390x"), "6.12") == []


def test_a_ledger_that_is_wrong_is_a_report(monkeypatch):
    arch = arches.get("x86_64")
    assert observe.observe(operations_of(TEXT), arch, "7.3") == []
    empty = SimpleNamespace(accounts=[])
    monkeypatch.setattr(observe, "ledger_of", lambda _machine: empty)
    told = [str(each) for each in observe.observe(operations_of(TEXT), arch, "7.3")]
    assert told[0].startswith("ledger: requested 0 nodes, the node cache has ")
