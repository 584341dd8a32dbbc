"""The answer to a query as a file: all photos that match and no others."""

import csv
import io
import zipfile
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from photosieve.server import downloads
from photosieve.server.library import Library
from tests.unit.server.conftest import assert_problem


def found(client: TestClient) -> list[dict[str, str]]:
    photos: list[dict[str, str]] = client.get("/search", params={"q": "garden"}).json()["photos"]
    return photos


def test_an_archive_holds_the_photos_themselves(client: TestClient, library: Library) -> None:
    root = Path(library.view().snapshot.groups[0].root)
    answer = client.get("/search/download", params={"q": "garden", "form": "zip"})
    assert answer.headers["content-disposition"] == 'attachment; filename="garden.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    expected = {f"{photo['group']}/{photo['name']}" for photo in found(client)}
    assert set(archive.namelist()) == expected
    for name in expected:
        assert archive.read(name) == (root / name).read_bytes()
    one = client.get("/search/download", params={"q": "garden", "group": "house-3"})
    assert zipfile.ZipFile(io.BytesIO(one.content)).namelist() == ["house-3/green.png"]


def test_a_photo_that_became_a_link_is_named_and_left_out(
    client: TestClient, library: Library, tmp_path: Path
) -> None:
    root = Path(library.view().snapshot.groups[0].root)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (root / "house-1" / "green.png").unlink()
    (root / "house-1" / "green.png").symlink_to(secret)
    answer = client.get("/search/download", params={"q": "garden"})
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert "house-1/green.png" not in archive.namelist()
    assert b"secret" not in answer.content
    if "not-included.txt" in archive.namelist():
        assert "link to another place" in archive.read("not-included.txt").decode()


def test_a_table_and_links(client: TestClient) -> None:
    photo = next(one for one in found(client) if one["group"] == "house-3")  # without labels
    client.patch("/labels", json={"photos": [photo["id"]], "add": ["=cmd|'/c calc'!A0"]})
    text = client.get("/search/download", params={"q": "garden", "form": "csv"}).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["photo"] for row in rows] == [one["name"] for one in found(client)]
    assert any(row["labels"] == "'=cmd|'/c calc'!A0" for row in rows)
    links = client.get("/search/download", params={"q": "garden", "form": "links"}).text.split()
    assert links == [row["address"] for row in rows]
    assert client.get(links[0]).headers["content-type"] == "image/png"


def test_a_contact_sheet_shows_the_photos_without_a_server(reader: TestClient) -> None:
    query = "garden|<script>alert(1)</script>"
    page = reader.get("/search/download", params={"q": query, "form": "sheet"})
    assert page.text.count("data:image/jpeg;base64,") == len(found(reader))
    assert "<script" not in page.text
    assert page.headers["content-disposition"].startswith("attachment")


def test_bounds_and_empty_answers(reader: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = reader.get(
        "/search/download", params={"q": "garden", "threshold": 1, "known": "ignore"}
    )
    assert_problem(nothing, 404, "no matches")
    monkeypatch.setattr(downloads, "MAX_ZIP_PHOTOS", 1)
    monkeypatch.setattr(downloads, "MAX_SHEET_PHOTOS", 1)
    for form in ("zip", "sheet"):
        answer = reader.get("/search/download", params={"q": "garden", "form": form})
        assert_problem(answer, 413, "the most are 1")
