"""The pytest plugin: trees on several machines as fixtures, and reports that show their bytes.

pytest loads this module whenever maple-layout is installed. So it imports other modules only where
they are first used.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from layout.machine.machine import Machine
    from layout.testing.recording import RecordedTree, Recorder

_PARAMETER = "_maple_arch_name"
_KERNEL = "_maple_kernel_name"
_MARKER = "maple_arch"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--maple-arch``, ``--maple-kernel`` and ``--maple-full``."""
    group = parser.getgroup("maple-layout", "maple-layout")
    group.addoption(
        "--maple-full",
        action="store_true",
        help="show every field of the trees of a failing test, the kernel's dump of them, and "
        "machines that fail alike one by one",
    )
    group.addoption(
        "--maple-arch",
        metavar="NAMES",
        type=_machines,
        help=(
            "the machines that tests with maple trees run on: names, aliases and the groups all, "
            "be, le, 32bit, 64bit, joined by commas; x86_64,s390x,sparc64 if left out"
        ),
    )

    group.addoption(
        "--maple-kernel",
        metavar="VERSIONS",
        type=_kernels,
        help=(
            "the kernels whose operations the trees have: 6.12 (if left out), 7.2 and 7.3, several "
            "joined by commas"
        ),
    )


def _kernels(text: str) -> list[str]:
    from layout.memory.errors import UsageError
    from layout.tree.versions import kernel_of

    try:
        return list(dict.fromkeys(kernel_of(name.strip()).version for name in text.split(",")))
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _machines(text: str) -> list[str]:
    from layout.memory.errors import UsageError
    from layout.testing.machines import select

    try:
        return list(select(text))
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; let machines that fail alike be told together."""
    if not (hasattr(config, "workerinput") or config.getoption("maple_full")):
        config.pluginmanager.register(_Together(), "maple-layout-together")
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(*names): the machines that this test is for, named as for --maple-arch; "
        "of these it runs on those that the option asks for",
    )


def pytest_report_header(config: pytest.Config) -> str:
    """One line: the version, the selected machines and, if they are named, the kernels."""
    from layout.host.version import version

    kernels: list[str] | None = config.getoption("maple_kernel")
    named = f", kernel {','.join(kernels)}" if kernels else ""
    machines = ",".join(_wanted(config))
    return f"maple-layout: {version()}, on {machines}{named}"


def _wanted(config: pytest.Config) -> list[str]:
    from layout.testing.machines import DEFAULT

    asked: list[str] | None = config.getoption("maple_arch")
    return list(DEFAULT) if asked is None else asked


# -- fixtures


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that uses ``maple_arch`` on each machine, with each kernel if several."""
    kernels: list[str] | None = metafunc.config.getoption("maple_kernel")
    if _KERNEL in metafunc.fixturenames and kernels and len(kernels) > 1:
        metafunc.parametrize(_KERNEL, kernels, indirect=True, scope="module")
    # the parameter has a name of its own: who overrides maple_arch does not ask for it
    if _PARAMETER not in metafunc.fixturenames:
        return
    wanted = _wanted(metafunc.config)
    marker = metafunc.definition.get_closest_marker(_MARKER)
    names: list[object] = [*wanted]
    if marker is not None:
        meant = _meant(marker)
        if metafunc.config.getoption("maple_arch") is None:
            wanted = meant
        names = [name for name in meant if name in wanted]
        if not names:
            reason = f"for {', '.join(meant)}, not for {', '.join(wanted)}"
            names = [pytest.param("", marks=pytest.mark.skip(reason=reason), id="none")]
    metafunc.parametrize(_PARAMETER, names, indirect=True, scope="module")


def _meant(marker: pytest.Mark) -> list[str]:
    """The machines that a marker names; else the test is not collected."""
    from layout.memory.errors import UsageError
    from layout.testing.machines import select

    problem = "give it names of machines, such as 's390x'"
    if marker.args and not marker.kwargs and all(isinstance(arg, str) for arg in marker.args):
        try:
            return list(select(*marker.args))
        except UsageError as error:
            problem = str(error)
    raise pytest.UsageError(f"marker {_MARKER}: {problem}")


@pytest.fixture(scope="module")
def _maple_arch_name(request: pytest.FixtureRequest) -> str:
    name: str | None = getattr(request, "param", None)
    if name is None:
        raise pytest.UsageError(
            "maple_arch has no value here: it needs a test function that has it, or what is built "
            "on it, among its arguments; or a fixture maple_arch of your own"
        )
    return name


@pytest.fixture(scope="module")
def maple_arch(_maple_arch_name: str) -> str:
    """The name of a machine; tests run once for each that ``--maple-arch`` asks for.

    Override it, or parametrize it directly, to choose others.
    """
    return _maple_arch_name


@pytest.fixture(scope="module")
def _maple_kernel_name(request: pytest.FixtureRequest) -> str:
    from layout.memory.structs import DEFAULT_VERSION

    kernels: list[str] | None = request.config.getoption("maple_kernel")
    name: str = getattr(request, "param", kernels[0] if kernels else DEFAULT_VERSION)
    return name


@pytest.fixture(scope="module")
def maple_kernel(_maple_kernel_name: str) -> str:
    """The kernel version that trees have the operations of: what ``--maple-kernel`` asks for.

    Override it, or parametrize it directly, to choose others.
    """
    return _maple_kernel_name


@pytest.fixture
def maple_machine(maple_arch: str, maple_kernel: str) -> Machine:
    """A new simulated machine, which keeps freed nodes."""
    from layout.machine.machine import Machine
    from layout.testing.machines import find
    from layout.tree.versions import kernel_of

    return Machine(find(maple_arch), kernel=kernel_of(maple_kernel))


@pytest.fixture
def make_maple_tree(maple_machine: Machine) -> Recorder:
    """Makes trees on one machine: ``make_maple_tree(alloc_range=True, rcu=True)``."""
    from layout.testing.recording import Recorder

    return Recorder(maple_machine)


@pytest.fixture
def maple_tree(make_maple_tree: Recorder) -> RecordedTree:
    """An empty MapleTree that records its operations, for the report if the test fails."""
    return make_maple_tree()


# -- reports


_running: list[pytest.Item] = []
"""The test that runs now, if one does."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Remember which test runs: what is compared in it is looked up in its trees."""
    _running.append(item)
    try:
        return (yield)
    finally:
        _running.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add sections on the test's trees to the report of a failure."""
    report = yield
    if report.failed and call.when != "teardown" and "layout.machine.machine" in sys.modules:
        from layout.testing.failure import sections

        values = getattr(item, "funcargs", {}).values()
        told = sections(values, full=item.config.getoption("maple_full"))
        report.sections.extend(told)
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if told and _PARAMETER in parameters:
            others = {name: repr(value) for name, value in parameters.items() if name != _PARAMETER}
            vars(report).update(  # what a test's report carries from a worker to the terminal
                maple_machine=parameters[_PARAMETER],
                maple_test=f"{item.nodeid.partition('[')[0]} {others}",
                maple_sections=[heading for heading, _ in told],
            )
    return report


class _Together:
    """Tells machines that fail alike together: the first in whole, the others in a line."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], tuple[str, set[str]]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Shorten the report of a test that fails as it did on another machine.

        Of its sections only a reproducer stays that differs in more than the machine.
        """
        machine = getattr(report, "maple_machine", None)
        crash = getattr(report.longrepr, "reprcrash", None)
        if machine is None or crash is None:
            return
        ours = set(report.maple_sections)
        told = {text.replace(machine, "*") for heading, text in report.sections if heading in ours}
        what = f"{crash.path}:{crash.lineno}: {crash.message}".replace(machine, "*")
        first, before = self._first.setdefault((report.maple_test, what), (machine, told))
        if first == machine:
            return
        from layout.testing.failure import REPRODUCE

        message = crash.message.partition("\n")[0]
        report.longrepr = f"fails on {machine} as on {first}: {message} (--maple-full: in whole)"
        report.sections = [
            (heading, text)
            for heading, text in report.sections
            if heading not in ours
            or (heading.endswith(REPRODUCE) and text.replace(machine, "*") not in before)
        ]


def pytest_assertrepr_compare(
    config: pytest.Config, op: str, left: object, right: object
) -> list[str] | None:
    """Explain why two trees or nodes are not equal, or what two numbers are in a test's trees."""
    if "layout.mapletree" not in sys.modules:
        return None
    from layout.testing.comparison import explain, explain_numbers

    if isinstance(left, int) and isinstance(right, int):
        values = [value for item in _running for value in getattr(item, "funcargs", {}).values()]
        return explain_numbers(op, left, right, values)
    if op != "==":
        return None
    return explain(left, right, full=config.get_verbosity(config.VERBOSITY_ASSERTIONS) >= 2)
