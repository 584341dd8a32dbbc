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

from tests.e2e.browsing import page_of, serving
from tests.e2e.conftest import SAMPLES

CADDYFILE = Path(__file__).resolve().parents[2] / "deploy" / "Caddyfile"
TOKEN = "a long secret"
WAIT = 120_000
"""Milliseconds for an answer, on a machine that does other things too."""

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


@pytest.fixture
def options(tmp_path: Path) -> tuple[object, ...]:
    """Of a server below a path, of eight photos with labels and an untrained sieve."""
    photos = tmp_path / "photos"
    shutil.copytree(SAMPLES / "train" / "harbour-view", photos / "harbour-view")
    folders = (photos, "--sieve", tmp_path / "sieve", "--index", tmp_path / "index")
    return (*folders, "--root-path", "/photos", "--token", TOKEN, "--trust-proxy", "127.0.0.1")


def test_people_below_a_path(browser: Browser, options: tuple[object, ...], tmp_path: Path) -> None:
    with (
        serving(*options) as server,
        proxied(server, tmp_path) as site,
        page_of(browser, f"{site}/photos") as page,
    ):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        assert page.url == f"{site}/photos/login"
        page.fill("#token", TOKEN)
        page.click("text=Log in")
        page.wait_for_url(f"{site}/photos/")
        page.fill("#query", "kitchen")
        picture = page.locator("#results img").first
        expect(picture).to_have_js_property("complete", True, timeout=WAIT)
        assert picture.evaluate("(image) => image.naturalWidth") > 0
        assert page.url == f"{site}/photos/?q=kitchen"
        page.click("text=Report")
        page.wait_for_url(f"{site}/photos/report")
        page.click("text=Back to the photos")
        page.wait_for_url(f"{site}/photos/")
        page.click("text=Log out")
        page.wait_for_url(f"{site}/photos/login")
        assert len(asked) > 20
        assert [url for url in asked if not url.startswith(f"{site}/photos/")] == []


def test_programs_below_a_path(options: tuple[object, ...], tmp_path: Path) -> None:
    with serving(*options) as server, proxied(server, tmp_path) as site:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=f"{site}/photos", headers=headers, timeout=60) as client:
            found = client.get("/search", params={"q": "kitchen"}).json()
            assert client.get(f"{site}{found['nearest'][0]['thumbnail']}").status_code == 200
            job = client.post("/train").headers["location"]
            assert job.startswith("/photos/jobs/")
            with client.stream("GET", f"{site}{job}/events") as events:
                state = json.loads(next(events.iter_lines()).removeprefix("data: "))
            assert state["state"] == "running"  # it came at once, not at the end
            client.delete(f"{site}{job}").raise_for_status()
            for size, status in ((19_000_000, 400), (21_000_000, 413)):  # no photo; too large
                upload = {"photo": ("large.jpg", bytes(size), "image/jpeg")}
                assert client.post("/search/photo", files=upload).status_code == status
