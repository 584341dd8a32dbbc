"""Behind the real proxy of `compose.yaml`, with its own configuration, in a real browser."""

import json
import os
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import SAMPLES
from tests.e2e.test_page import browser, page_of, serving

__all__ = ["browser"]

CADDYFILE = Path(__file__).resolve().parents[2] / "deploy" / "Caddyfile"
TOKEN = "a long secret"

pytestmark = pytest.mark.slow


@contextmanager
def proxied(server: str, folder: Path) -> Iterator[str]:
    """Caddy, before a server; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        site = f"http://127.0.0.1:{free.getsockname()[1]}"
    upstream = server.removeprefix("http://").rstrip("/")
    folders = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with subprocess.Popen(
        [Path(sysconfig.get_path("scripts")) / "caddy", "run", "--config", CADDYFILE],
        env={**os.environ, **folders, "SITE": site, "SERVER": upstream},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as caddy:
        try:
            for _ in range(600):
                try:
                    assert httpx.get(f"{site}/photos/health").status_code == 200
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield site
        finally:
            caddy.terminate()


def test_the_page_below_a_path(browser: Browser, sieve: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(SAMPLES, photos)
    shutil.copytree(sieve, tmp_path / "sieve")
    folders = (photos, "--sieve", tmp_path / "sieve", "--index", tmp_path / "index")
    served = (*folders, "--root-path", "/photos", "--token", TOKEN, "--trust-proxy", "127.0.0.1")
    with (
        serving(*served) as server,
        proxied(server, tmp_path) as site,
        page_of(browser, f"{site}/photos") as page,
    ):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        assert page.url == f"{site}/photos/login"
        page.fill("#token", TOKEN)
        page.click("text=Log in")
        page.wait_for_url(f"{site}/photos/")
        page.fill("#query", "sofa")
        expect(page.locator("#status")).to_contain_text("match")
        assert page.url == f"{site}/photos/?q=sofa"
        first = page.locator(".card img").first
        expect(first).to_have_js_property("complete", True)
        assert first.evaluate("(image) => image.naturalWidth") > 0
        page.locator(".open").first.click()
        expect(page.locator("#box img").first).to_be_visible()
        page.keyboard.press("Escape")
        page.click("text=Report")
        page.wait_for_url(f"{site}/photos/report")
        expect(page.locator("h1")).to_contain_text("Does it find the right photos")
        page.go_back()
        page.click("text=Log out")
        page.wait_for_url(f"{site}/photos/login")
        assert len(asked) > 20
        assert [url for url in asked if not url.startswith(f"{site}/photos/")] == []

    with serving(*served) as server, proxied(server, tmp_path) as site:  # and as programs ask
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=f"{site}/photos", headers=headers, timeout=60) as client:
            found = client.get("/search", params={"q": "sofa"}).json()
            assert client.get(f"{site}{found['photos'][0]['thumbnail']}").status_code == 200
            for size, status in ((19_000_000, 400), (21_000_000, 413)):  # no photo; too large
                upload = {"photo": ("large.jpg", bytes(size), "image/jpeg")}
                assert client.post("/search/photo", files=upload).status_code == status
            job = client.post("/train").headers["location"]
            assert job.startswith("/photos/jobs/")
            with client.stream("GET", f"{site}{job}/events") as events:
                state = json.loads(next(events.iter_lines()).removeprefix("data: "))
            assert state["state"] == "running"  # it came at once, not at the end
            client.delete(f"{site}{job}").raise_for_status()
