"""Packages of the same names, from other distributions: the command says whose they are."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import _maple_layout

ROOT = Path(__file__).parents[1]
START = "from _maple_layout import main; raise SystemExit(main())"
"""What the installed command does."""


def wheel(folder, package):
    """A distribution ``sham-PACKAGE`` that installs one package."""
    path = folder / f"sham_{package}-1.5-py3-none-any.whl"
    info = f"sham_{package}-1.5.dist-info"
    files = {
        f"{package}/__init__.py": "print('sham')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: sham-{package}\nVersion: 1.5\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    """A virtual environment with this project and what it needs; returns its directory."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    links = folder.joinpath("lib", f"python{sysconfig.get_python_version()}", "site-packages")
    links.joinpath("ours.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    return folder


def pip(venv, *words):
    command = [sys.executable, "-m", "pip", "--python", venv / "bin/python", *words]
    options = ["--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*command, *options], stdin=subprocess.DEVNULL, check=True)


@pytest.fixture
def installed(venv, tmp_path):
    """Installs a sham into the environment, for one test."""
    there = []

    def install(package):
        pip(venv, "install", "--no-index", "--no-deps", wheel(tmp_path, package))
        there.append(f"sham-{package}")

    yield install
    pip(venv, "uninstall", "--yes", *there)


def command(venv, *words, start=("-P", "-c", START), **environment):
    return subprocess.run(
        [venv / "bin/python", *start, *words],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=venv,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("package", ["layout", "arches"])
def test_another_distribution_is_named(venv, installed, package):
    installed(package)
    done = command(venv, "--version")
    assert (done.returncode, done.stdout) == (2, "")
    start = f"maple-layout: the module '{package}' is of the distribution sham-{package} 1.5 ("
    assert done.stderr.startswith(start)
    assert done.stderr.endswith(
        f"/{package}/__init__.py): install maple-layout apart: pipx install maple-layout, "
        "uv tool install maple-layout, or pip in a virtual environment of its own\n"
    )
    assert done.stderr.count("\n") == 1


def test_both(venv, installed):
    installed("arches")
    installed("layout")
    done = command(venv, "--version")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_nothing_is_said_without_them(venv):
    done = command(venv, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("maple-layout ")
    asked = command(venv, "--version", start=("-m", "layout"))
    assert (asked.returncode, asked.stdout) == (0, done.stdout)


@pytest.mark.parametrize("start", [("-P", "-c", START), ("-m", "layout")])
def test_a_folder_in_pythonpath_is_named(venv, tmp_path, start):
    (tmp_path / "arches.py").touch()
    done = command(venv, "--version", start=start, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == (
        f"maple-layout: the module 'arches' is not ours but {tmp_path}/arches.py: "
        f"take {tmp_path} out of PYTHONPATH\n"
    )


def test_a_module_of_nobody(venv):
    [links] = venv.glob("lib/*/site-packages")
    (links / "layout.py").touch()
    try:
        done = command(venv, "--version")
    finally:
        (links / "layout.py").unlink()
    assert done.returncode == 2
    assert done.stderr.startswith(f"maple-layout: the module 'layout' is not ours ({links}/layout")


def test_a_package_that_is_gone_or_lacks_its_init(tmp_path, monkeypatch):
    (tmp_path / "hollow").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("hollow", "absent"):
        assert f"'{name}' lacks its __init__.py" in _maple_layout.shadow(name)
