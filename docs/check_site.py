"""Checks the built site, and tells its size and load time: ``python docs/check_site.py [SITE]``.

Every link within the site must lead to a file of it, and to an id there if it names one. No page
may load anything from elsewhere. ``--time`` opens pages in Chromium, served by this machine, and
prints how long they take. Exit code 1 if a link is broken.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20

PATIENCE = 180_000
"""Milliseconds that a page may take."""

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""Elements whose address a browser loads by itself, and the attribute that has it."""

IN_SCRIPTS = {"playground.html"}
"""Pages whose fragments their scripts read: what a link to them carries is no id."""


class Page(HTMLParser):
    """A page's ids, its links, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what an element has."""
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        address = found.get(LOADED[tag]) if tag in LOADED else None
        if address and found.get("rel", "") not in {"canonical", "next", "prev"}:
            self.loads.append(address)
        elif "href" in found:
            self.links.append(found["href"])


def broken(site: Path) -> Iterator[str]:
    """What is wrong with the links of a site, a line for each."""
    pages = {
        path.resolve(): Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")
    }
    for path, page in sorted(pages.items()):
        name = path.relative_to(site.resolve())
        for address in page.loads:
            if urlsplit(address).scheme in {"http", "https"} or address.startswith("//"):
                yield f"{name}: loads {address}, which is not of this site"
        for address in dict.fromkeys([*page.links, *page.loads]):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                yield f"{name}: {address} leads to no file"
                continue
            ids = pages[target].ids if target in pages else set()
            wanted = unquote(parts.fragment)
            if wanted and wanted not in ids and target.name not in IN_SCRIPTS:
                yield f"{name}: {address} leads to a page without {wanted}"


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The address of a server of the site, on this machine alone."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def times(site: Path) -> Iterator[str]:
    """How long Chromium takes, with nothing in its cache."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - seldom there

    with served(site) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        began = time.monotonic()
        page.goto(f"{address}/index.html")
        yield f"the first page: {time.monotonic() - began:.1f} s"
        if not (site / "playground").exists():
            return
        began = time.monotonic()
        page.goto(f"{address}/playground.html#example=R1")
        page.frame_locator("#pg-frame").locator("body[data-ready]").wait_for()
        yield f"the playground until R1 is shown: {time.monotonic() - began:.1f} s"
        began = time.monotonic()
        page.locator("#pg-run").click()
        page.locator("#pg-result:not([hidden])").wait_for()
        page.frame_locator("#pg-frame").locator("body[data-ready]").wait_for()
        yield f"R1 once more: {time.monotonic() - began:.1f} s"
        browser.close()


def main() -> int:
    """Check the site that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("site", nargs="?", type=Path, default=Path("build/docs"))
    parser.add_argument("--time", action="store_true", help="open pages in Chromium")
    args = parser.parse_args()
    if not (args.site / "index.html").is_file():
        print(f"{args.site}: no site is there: make site builds it", file=sys.stderr)
        return 2
    found = list(broken(args.site))
    for line in found:
        print(line, file=sys.stderr)
    files = [
        path for path in args.site.rglob("*") if path.is_file() and ".doctrees" not in path.parts
    ]
    size = sum(path.stat().st_size for path in files) / MIB
    pages = sum(path.suffix == ".html" for path in files)
    links = "no broken link" if not found else f"{len(found)} broken links"
    print(f"{args.site}: {pages} pages, {len(files)} files, {size:.1f} MiB, {links}")
    if args.time:
        if find_spec("playwright") is None or shutil.which("chromium") is None:
            print("--time needs pip install '.[browser]' and chromium", file=sys.stderr)
            return 2
        for line in times(args.site):
            print(line, flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
