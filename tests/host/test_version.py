"""The version, also where no installation tells it."""

import json
from importlib import metadata

from layout.cli.main import main
from layout.formats.findings import sarif
from layout.host.version import version


def test_a_checkout_on_the_path_has_none(monkeypatch, capsys):
    """Findings are written all the same."""

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    assert version() == metadata.version("maple-layout")
    monkeypatch.setattr(metadata, "version", missing)
    assert version() == "(not installed)"
    assert json.loads(sarif([]))["runs"][0]["tool"]["driver"]["version"] == "(not installed)"
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("maple-layout (not installed) (")
