"""The playground in Chromium, from a server on this machine: the package itself runs in the page."""

from __future__ import annotations

import importlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from layout.defects import get

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parents[2]
PYODIDE = ROOT / "build/pyodide/node_modules/pyodide"
LONGEST_START = 120_000
"""Milliseconds that Chromium may take to load Python and to run R1, on a busy machine."""


@pytest.fixture(scope="module")
def docs():
    """``docs(name)``: a module of the documentation's folder."""
    sys.path.insert(0, str(ROOT / "docs"))
    yield importlib.import_module
    sys.path.remove(str(ROOT / "docs"))


@pytest.fixture(scope="module")
def site(tmp_path_factory, docs, missing):
    """The address of the built page; what the server was asked for must be all that pages load."""
    if docs("make_playground").missing(PYODIDE):
        missing("Pyodide is missing: make site fetches it")
    built = tmp_path_factory.mktemp("site")
    only = [
        "root_doc=playground",
        "include_patterns=playground.md",
        f"playground_pyodide={PYODIDE}",
    ]
    options = [word for each in only for word in ("-D", each)]
    subprocess.run(
        [sys.executable, "-m", "sphinx", "-Q", *options, ROOT / "docs", built], check=True
    )
    with docs("check_site").served(built) as address:
        yield address


@pytest.fixture(scope="module")
def browsing(chromium):
    """One window: what it has loaded once it has in its cache."""
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(LONGEST_START)
    yield context
    context.close()


@pytest.fixture
def open_page(browsing, site):
    """``open_page(fragment)``: the playground; no error may show up, nothing come from elsewhere."""
    errors, requests = [], []

    def opened(fragment=""):
        page = browsing.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and errors.append(message.text))
        page.goto(f"{site}/playground.html{fragment}")
        page.locator("body[data-playground]").wait_for()
        return page

    browsing.on("request", lambda request: requests.append(request.url))
    yield opened
    for page in browsing.pages:
        page.close()
    assert errors == []
    assert requests
    assert [url for url in requests if not url.startswith((site, f"blob:{site}", "data:"))] == []


def explorer(page):
    """The frame with the explorer, when it shows a run."""
    frame = page.frame_locator("#pg-frame")
    frame.locator("body[data-ready]").wait_for()
    return frame


@pytest.mark.browser
@pytest.mark.long
def test_r1_on_s390x_is_typed_run_and_shared(open_page, site):
    page = open_page()
    page.locator("#pg-trace").fill(get("R1").trace)
    page.keyboard.press("Control+Enter")
    assert "e00000000000000" in explorer(page).locator("#result").inner_text()
    assert "0e00000000000000" in explorer(page).locator("#byte").inner_text()
    machines = explorer(page).locator("#runs button").all_inner_texts()
    assert machines == ["s390x", "s390x with R1", "x86_64", "x86_64 with R1"]

    # a link has the moment as well
    explorer(page).locator("#rows .row", has_text="store 16000").click()
    page.locator("#pg-share").click()
    assert "link" in page.locator("#pg-status").inner_text()
    link = page.url
    assert link.startswith(f"{site}/playground.html#")
    page.goto(f"{site}/playground.html#example=damage")
    explorer(page).locator(".byte.differs").first.wait_for()
    page.goto(link)
    explorer(page).locator("#runs button", has_text="s390x with R1").wait_for()
    assert page.locator("#pg-trace").input_value() == get("R1").trace
    assert "line=5&" in explorer(page).locator("body").evaluate("() => location.hash")

    # light and dark as the pages around it
    def back():
        return explorer(page).locator("body").evaluate("(b) => getComputedStyle(b).backgroundColor")

    page.evaluate("document.body.dataset.theme = 'dark'")
    assert back() == "rgb(20, 23, 27)"
    page.evaluate("document.body.dataset.theme = 'light'")
    assert back() == "rgb(255, 255, 255)"


@pytest.mark.browser
@pytest.mark.long
def test_what_is_wrong_is_told_in_one_line(open_page):
    page = open_page("#machines=s390x&kernel=6.12&trace=init+0%0Astore+10+zz+3001")
    said = page.locator("#pg-said")
    said.wait_for()
    assert said.inner_text() == (
        "maple-layout: trace, line 2: B is 'zz', it should be a hex number, digits 0-9 and a-f only"
    )
    assert page.locator("#pg-result").is_hidden()
    # mended, it runs in the same Python
    page.locator("#pg-trace").fill("init 0\nstore 10 20 3001\n")
    page.locator("#pg-run").click()
    assert explorer(page).locator("#moment").inner_text() == "2/2 line 2: store 10 20 3001"
    assert said.is_hidden()


@pytest.mark.browser
@pytest.mark.long
@pytest.mark.parametrize(
    ("fragment", "said"),
    [
        ("#z=xx", "This link is damaged: its trace can't be unpacked. Ask for it again."),
        ("#example=R0", "There is no example R0."),
        ("#machines=z80&kernel=6.12&trace=init+0", "This link names z80, which is not known here."),
    ],
)
def test_a_damaged_link_is_told(open_page, fragment, said):
    page = open_page(fragment)
    assert page.locator("#pg-said").inner_text() == said


@pytest.mark.browser
@pytest.mark.long
def test_it_fits_a_phone_and_long_traces_fit_a_link(open_page):
    page = open_page()
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    long = "init 0\n" + "".join(f"store {i:x}0 {i:x}f {i + 1:x}001\n" for i in range(400))
    page.locator("#pg-trace").fill(long)
    page.locator("#pg-share").click()
    page.wait_for_function("location.hash.includes('z=')")
    assert len(page.url) < 4000
    again = page.evaluate(
        "import(new URL('playground/link.js', location)).then((m) => m.readLink(location.hash))"
    )
    assert again["trace"] == long


def test_the_archive_runs_the_package_without_anything_else(tmp_path, docs):
    archive = docs("make_playground").packages()
    zipfile.ZipFile(io.BytesIO(archive)).extractall(tmp_path)
    code = (
        "import play, sys; assert 'site' not in sys.modules;"
        "print(play.explore('init 0\\nstore 10 20 3001', '--arch s390x --defect R1', print)[:2])"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, '.'); {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == (
        "(0, 'page.html: 2 operations on s390x, s390x with R1, 0.1 MiB: open it in a browser\\n')\n"
    )


def test_examples_name_what_the_form_has(docs):
    choices = docs("make_playground").choices()
    examples = [each for group in choices["examples"] for each in group["examples"]]
    machines = {each["name"] for each in choices["machines"]}
    defects = {each["name"] for each in choices["defects"]}
    assert examples[0]["name"] == "R1"
    assert examples[0]["machines"] == ["s390x", "x86_64"]
    for each in examples:
        assert set(each["machines"]) <= machines
        assert set(each["defects"]) <= defects
        assert each["kernel"] in choices["kernels"]
    assert len({each["name"] for each in examples}) == len(examples)


PAGES = {
    "index.html": '<p id="a"><a href="other.html#b">x</a><a href="#a">x</a><img src="p.svg">',
    "other.html": '<p id="b"><a href="index.html#c">x</a><a href="gone.html">x</a>'
    '<script src="https://example.org/x.js"></script>',
    "p.svg": "<svg/>",
}


def test_broken_links_of_a_site_are_found(tmp_path, docs):
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text)
    assert list(docs("check_site").broken(tmp_path)) == [
        "other.html: loads https://example.org/x.js, which is not of this site",
        "other.html: index.html#c leads to a page without c",
        "other.html: gone.html leads to no file",
    ]
