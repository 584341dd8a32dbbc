"""Photos and small pictures: cached, converted where browsers need it, and never read elsewhere."""

import io
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from photosieve.index.index import Index
from photosieve.server import thumbnails
from photosieve.server.library import Library
from photosieve.server.thumbnails import SIDE
from tests.unit.server.conftest import assert_problem, ids, served


def test_photos_and_thumbnails(client: TestClient, library: Library) -> None:
    one = ids(client, "house-1")["red.png"]
    whole = client.get(f"/photos/{one}")
    assert whole.headers["content-type"] == "image/png"
    again = client.get(f"/photos/{one}", headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    address = client.get(f"/labels?id={one}").json()["photos"][0]["thumbnail"]
    small = client.get(address)
    assert small.headers["content-type"] == "image/jpeg"
    assert "immutable" in small.headers["cache-control"]
    assert "no-cache" in client.get(f"/thumbnails/{one}").headers["cache-control"]
    assert client.get(address, headers={"If-None-Match": small.headers["etag"]}).status_code == 304
    (file,) = (library.state / "thumbnails").rglob("*.jpg")
    before = file.stat().st_mtime_ns
    client.get(address)
    assert file.stat().st_mtime_ns == before  # made once
    with Image.open(file) as image:
        assert max(image.size) <= SIDE


def test_formats_that_browsers_do_not_show_are_converted(tmp_path: Path, trained: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (40, 30), "red").save(photos / "scan.tif")
    Index(tmp_path / "index").update(trained, photos)
    for client in served(Library(trained, str(tmp_path / "index"))):
        (one,) = ids(client, "photos").values()
        answer = client.get(f"/photos/{one}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content[:2] == b"\xff\xd8"


def test_a_jpeg_of_several_pictures_is_shown_as_it_is(tmp_path: Path, trained: Path) -> None:
    """As some cameras write: Pillow has another name for it."""
    photo = tmp_path / "photos" / "panorama.jpg"
    photo.parent.mkdir()
    red = Image.new("RGB", (40, 30), "red")
    red.save(photo, "MPO", save_all=True, append_images=[red])
    Index(tmp_path / "index").update(trained, photo.parent)
    for client in served(Library(trained, str(tmp_path / "index"))):
        (one,) = ids(client, "photos").values()
        answer = client.get(f"/photos/{one}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content == photo.read_bytes()


def test_a_photo_that_becomes_a_link_is_not_followed(client: TestClient, tmp_path: Path) -> None:
    one = ids(client, "house-1")["red.png"]
    outside = tmp_path / "outside.png"
    Image.new("RGB", (9, 9)).save(outside)
    photo = tmp_path / "secret-place" / "house-1" / "red.png"
    photo.unlink()
    photo.symlink_to(outside)
    assert_problem(client.get(f"/photos/{one}"), 410, "a link to another place")
    assert_problem(client.get(f"/thumbnails/{one}"), 410)


def color(content: bytes) -> tuple[int, ...]:
    with Image.open(io.BytesIO(content)) as image:
        pixel = image.convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return tuple(round(value / 255) for value in pixel)


def test_a_photo_that_changes_after_indexing_is_not_kept_under_its_old_hash(
    client: TestClient, tmp_path: Path
) -> None:
    one = ids(client, "house-1")["red.png"]
    photo = tmp_path / "secret-place" / "house-1" / "red.png"
    old = photo.read_bytes()
    address = client.get(f"/labels?id={one}").json()["photos"][0]["thumbnail"]
    Image.new("RGB", (60, 40), "blue").save(photo)
    changed = [client.get(place) for place in (address, f"/photos/{one}")]
    for answer in changed:
        assert color(answer.content) == (0, 0, 1)
        assert "no-cache" in answer.headers["cache-control"]
    photo.write_bytes(old)
    for place, before in zip((address, f"/photos/{one}"), changed, strict=True):
        again = client.get(place, headers={"If-None-Match": before.headers["etag"]})
        assert again.status_code == 200
        assert color(again.content) == (1, 0, 0)


def test_a_converted_photo_is_kept_under_the_hash_of_what_was_read(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    scan = photos / "scan.tif"
    Image.new("RGB", (40, 30), "red").save(scan)
    Index(tmp_path / "index").update(trained, photos)
    old, hashes = scan.read_bytes(), iter(("a", "b"))
    for client in served(Library(trained, str(tmp_path / "index"))):
        (one,) = ids(client, "photos").values()
        Image.new("RGB", (40, 30), "blue").save(scan)
        changed = client.get(f"/photos/{one}")
        assert color(changed.content) == (0, 0, 1)
        scan.write_bytes(old)
        again = client.get(f"/photos/{one}", headers={"If-None-Match": changed.headers["etag"]})
        assert color(again.content) == (1, 0, 0)
        # A photo that changes while it is decoded is kept under no hash.
        monkeypatch.setattr(thumbnails, "content_hash", lambda _: next(hashes))
        assert_problem(client.get(f"/thumbnails/{one}"), 410, "changed while it was read")


def test_where_nothing_can_be_written_pictures_are_kept_elsewhere(
    client: TestClient, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOSIEVE_CACHE", str(tmp_path / "cache"))
    one, two = (ids(client, "house-1")[name] for name in ("red.png", "blue.png"))
    (library.state / "thumbnails").write_text("no folder")  # nothing stops root but that
    for _ in range(2):
        assert client.get(f"/thumbnails/{one}").headers["content-type"] == "image/jpeg"
    assert len(list((tmp_path / "cache" / "thumbnails").rglob("*.jpg"))) == 1
    monkeypatch.setenv("PHOTOSIEVE_CACHE", str(library.state / "thumbnails"))
    assert_problem(client.get(f"/thumbnails/{two}"), 410, "no room for its small copy")
