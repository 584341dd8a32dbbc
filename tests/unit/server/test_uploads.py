"""Photos are added to buildings: only photos, under safe and free names, and indexed soon after."""

import io
import json
import time
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from photosieve.server import uploads
from photosieve.server.guard import Rules
from photosieve.server.library import Library
from photosieve.server.uploads import photo_name, safe_name
from tests.unit.server.conftest import TOKEN, assert_problem, served


def picture(
    color: tuple[int, int, int] = (30, 200, 30), form: str = "JPEG", side: int = 32
) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), color).save(file, form)
    return file.getvalue()


def root_of(library: Library) -> Path:
    return Path(library.view().snapshot.groups[0].root)


def send(client: TestClient, name: str, data: bytes, group: str = "house-3") -> httpx.Response:
    answer: Any = client.post("/photos", files={"photo": (name, data)}, data={"group": group})
    return answer  # type: ignore[no-any-return]


def wait_until_indexed(client: TestClient) -> None:
    end = time.monotonic() + 120
    while (state := client.get("/uploads").json())["waiting"]:
        assert state["error"] is None
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_upload_is_found_soon_after(client: TestClient, library: Library) -> None:
    first = send(client, "lawn.jpg", picture())
    assert first.status_code == 201, first.text
    assert first.json()["new"]
    again = send(client, "Lawn.JPG", picture()).json()
    assert (again["new"], again["id"]) == (False, first.json()["id"])
    other = send(client, "lawn.jpg", picture((200, 30, 30))).json()
    assert other["name"] == "lawn-2.jpg"
    new = send(client, "front.png", picture(form="PNG"), "./a new/house").json()
    assert new["group"] == "_a new_house"
    wait_until_indexed(client)
    named = {(p["group"], p["name"]) for p in client.get("/photos").json()["photos"]}
    assert {
        ("house-3", "lawn.jpg"),
        ("house-3", "lawn-2.jpg"),
        ("_a new_house", "front.png"),
    } <= named
    found = client.get("/search", params={"q": "garden"}).json()
    assert {first.json()["id"], new["id"]} <= {photo["id"] for photo in found["photos"]}
    assert other["id"] not in {photo["id"] for photo in found["photos"]}
    assert sorted(p.name for p in (root_of(library) / "house-3").iterdir() if "lawn" in p.name) == [
        "lawn-2.jpg",
        "lawn.jpg",
    ]


@pytest.mark.parametrize(
    "data",
    [b"", b"<svg onload=alert(1)>", b"%PDF-1.7", picture()[:300], b"GIF89a", b"\0" * 1000],
)
def test_only_whole_photos_are_stored(reader: TestClient, shared: Library, data: bytes) -> None:
    before = sorted(root_of(shared).rglob("*"))
    assert_problem(send(reader, "photo.jpg", data), 400, "the upload cannot be used")
    assert sorted(root_of(shared).rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("../../outside.jpg", "outside.jpg"),
        ("C:\\photos\\x.jpg", "x.jpg"),
        ("/etc/passwd", "passwd.jpg"),
        (".hidden.jpg", "hidden.jpg"),
        ("labels.json", "labels.jpg"),
        ("page.html", "page.jpg"),
        ("photo", "photo.jpg"),
        ("", "photo.jpg"),
        ("..", "photo.jpg"),
        ("a\0b\n.JPG", "a_b.jpg"),
        ("CON.jpg", "CON_.jpg"),
        ("K\u0308uche \u202egpj.jpg", "K\u0308uche gpj.jpg"),
    ],
)
def test_names_are_made_safe(name: str, stored: str) -> None:
    assert photo_name(name, picture()) == stored


@pytest.mark.parametrize("name", ["x" * 5000, "\u00e4" * 5000, "\U0001f600" * 500, "\ud800", "a/b"])
def test_a_safe_name_fits_any_disk(name: str) -> None:
    safe = safe_name(name)
    assert len(safe.encode()) <= 200
    assert "/" not in safe


@pytest.mark.parametrize("group", ["..", ".", "@eaDir", " ", "//"])
def test_buildings_that_cannot_be(reader: TestClient, shared: Library, group: str) -> None:
    before = sorted(root_of(shared).iterdir())
    assert_problem(send(reader, "a.jpg", picture(), group), 400, "a building needs a name")
    assert sorted(root_of(shared).iterdir()) == before


def test_a_building_that_is_a_link_to_elsewhere(client: TestClient, library: Library) -> None:
    outside = root_of(library).parent / "outside"
    outside.mkdir()
    (root_of(library) / "linked").symlink_to(outside)
    assert_problem(send(client, "a.jpg", picture(), "linked"), 409, "link to another place")
    assert not list(outside.iterdir())


def test_labels_of_a_photo_that_is_gone_are_not_given_to_another(
    client: TestClient, library: Library
) -> None:
    file = root_of(library) / "house-1" / "train_labels.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "old.jpg": ["garden"]}))
    stored = send(client, "old.jpg", picture(), "house-1").json()
    assert stored["name"] == "old-2.jpg"


def test_bounds(shared: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    for client in served(shared, Rules(max_upload=2000)):
        assert_problem(send(client, "a.jpg", b"x" * 30_000), 413)
    monkeypatch.setattr(uploads, "DEFAULT_MAX_PIXELS", 1000)
    for client in served(shared):
        assert_problem(send(client, "a.png", picture(form="PNG", side=64)), 400, "4,096 pixels")


def test_a_token_is_needed(shared: Library) -> None:
    before = sorted(root_of(shared).rglob("*"))
    for client in served(shared, Rules(token=TOKEN)):
        assert_problem(send(client, "a.jpg", picture()), 401)
        assert_problem(client.get("/uploads"), 401)
    assert sorted(root_of(shared).rglob("*")) == before


def test_nothing_changes_where_a_server_is_read_only(shared: Library) -> None:
    changes = ("import", "rename", "merge", "split", "delete")
    for client in served(shared, Rules(read_only=True)):
        for path in ("/photos", *(f"/labels/{change}" for change in changes)):
            assert_problem(client.post(path), 403, "read-only")
            cross = client.post(path, headers={"Origin": "https://evil.example"})
            assert_problem(cross, 403, "another site")
