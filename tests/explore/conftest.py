"""Chromium for the page: skipped where it is missing, unless CI needs it."""

from __future__ import annotations

import os
import shutil

import pytest

from layout.cli.main import main

NEEDED = "MAPLE_LAYOUT_NEEDS_BROWSER"


def _missing(what):
    if os.environ.get(NEEDED):
        pytest.fail(f"{NEEDED} is set: {what}")
    pytest.skip(what)


@pytest.fixture(scope="session")
def missing():
    """What is called with the name of a thing that is not there."""
    return _missing


@pytest.fixture(scope="session")
def chromium():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is missing: pip install '.[browser]'")
    program = shutil.which("chromium")
    if program is None:
        _missing("chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, tmp_path):
    """``visit(trace or path, *options)``: the explorer's page in a browser; no error may show up.

    ``fragment`` is the page's fragment, ``code`` what the command ends with; other keywords are those of Playwright's new_page().
    """
    pages = []

    def opened(source, *options, fragment="", code=0, **looks):
        path = source
        if isinstance(source, str):
            path = tmp_path / "some.trace"
            path.write_text(source)
        file = tmp_path / "page.html"
        words = [str(word) for word in ("explore", path, *options, "-o", file)]
        assert main(words) == code
        looks.setdefault("viewport", {"width": 1500, "height": 950})
        page = chromium.new_page(**looks)
        errors, requests = [], []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and errors.append(message.text))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{file.as_uri()}{fragment}")
        page.wait_for_selector("body[data-ready]")
        pages.append((page, errors, requests, file))
        return page

    yield opened
    for page, errors, requests, file in pages:
        assert errors == []
        assert {url.partition("#")[0] for url in requests} == {file.as_uri()}
        page.close()
