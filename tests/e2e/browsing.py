"""A served collection, and its page in a real browser."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

expect.set_options(timeout=60_000)  # other processes may have the machine for a while


@contextmanager
def serving(*arguments: object) -> Iterator[str]:
    """The server as a user starts it, on any port; gives its address."""
    command = [sys.executable, "-W", "error", "-m", "photosieve", "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+/", line)
        if found is None:
            process.kill()
            raise AssertionError(line + process.stderr.read())
        try:
            yield found[0]
        finally:
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
            assert process.wait(20) == 0, said
        # On a slow machine the start takes so long that a line says how far it is.
        progress = re.compile(r"photosieve: (looking for changes|indexing.*)")
        assert [line for line in said.splitlines() if not progress.fullmatch(line)] == []


@contextmanager
def page_of(browser: Browser, address: str, **options: Any) -> Iterator[Page]:
    """A page that fails the test when its scripts do."""
    options.setdefault("viewport", {"width": 1440, "height": 900})
    context = browser.new_context(**options)
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    refused = "status of 400"  # the browser's own words for what the page explains to its reader
    page.on(
        "console",
        lambda m: troubles.append(m.text) if m.type == "error" and refused not in m.text else None,
    )
    own = re.match(r"http://[^/]+/", address)
    assert own
    page.on("request", lambda r: None if r.url.startswith(own[0]) else troubles.append(r.url))
    page.goto(address)
    yield page
    context.close()
    assert troubles == []


def no_violation(page: Page) -> None:
    """Check the page as it is now for what keeps people out."""
    found = Axe().run(page)
    serious = [v for v in found.response["violations"] if v["impact"] in ("serious", "critical")]
    assert serious == [], json.dumps(serious, indent=1)[:3000]
