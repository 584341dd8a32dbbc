"""Labels go out as a file and come in again."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from photosieve.server.label_files import _FILES
from photosieve.server.library import Library
from tests.unit.server.conftest import assert_problem, ids


def known(client: TestClient) -> dict[str, tuple[Any, Any]]:
    photos = client.get("/photos", params={"limit": 100}).json()["photos"]
    return {photo["id"]: (photo["labels"], photo["no"]) for photo in photos}


@pytest.mark.parametrize("form", sorted(_FILES))
def test_each_form_comes_back_as_it_went(client: TestClient, form: str) -> None:
    before = known(client)
    answer = client.get("/labels/export", params={"form": form})
    assert answer.status_code == 200, answer.text
    assert "secret-place" not in answer.text
    name = answer.headers["content-disposition"].partition("filename=")[2].strip('"')
    for one, (yes, _) in before.items():
        if yes is not None:
            client.put("/labels", json={"photos": {one: ["other"]}})
    done = client.post("/labels/import", files={"file": (name, answer.content)}).json()
    assert done["used"] == done["changed"] == done["replaced"] == 12
    assert done["unused"] == []
    yes = {one: sorted(own[0] or []) for one, own in known(client).items()}
    assert yes == {one: sorted(own[0] or []) for one, own in before.items()}
    client.post("/labels/undo")
    assert client.get("/labels").json()["labels"] == {"other": 12}


def test_what_was_not_used_is_said(client: TestClient) -> None:
    labels = {
        "house-3/green.png": ["lawn"],
        "green.png": ["several fit"],
        "C:\\old\\photos\\house-3\\blue.png": {"yes": ["sea"], "no": ["lawn"]},
        "../house-3/red.png": ["x"],
        "house-3/red.png": 7,
    }
    file = ("labels.json", json.dumps(labels).encode())
    done = client.post("/labels/import", files={"file": file}, data={"partial": "true"}).json()
    assert (done["used"], done["replaced"], done["unused_count"]) == (2, 0, 3)
    assert "there are several" in done["unused"][0]
    assert "a number" in done["unused"][2]
    photos = ids(client, "house-3")
    found = client.get("/labels", params={"id": [photos["green.png"], photos["blue.png"]]}).json()
    assert [(p["labels"], p["no"]) for p in found["photos"]] == [
        (["lawn"], []),
        (["sea"], ["lawn"]),
    ]


@pytest.mark.parametrize(
    ("name", "content", "status", "word"),
    [
        ("labels.json", b"{", 409, "not valid JSON"),
        ("labels.json", b'{"nowhere.jpg": ["x"]}', 400, "no photo of this collection"),
        ("labels.json", b"{}", 400, "it is empty"),
        ("labels.json", b"\xff\xfe", 409, "not UTF-8"),
        ("labels.json", b"[" * 100_000, 409, ""),
        ("../../etc/passwd", b"{}", 400, "ends in .json"),
        ("../x.csv", b"a,b\n", 409, ""),
    ],
)
def test_files_that_cannot_be_used(
    reader: TestClient, shared: Library, name: str, content: bytes, status: int, word: str
) -> None:
    file = Path(shared.view().snapshot.groups[0].root) / "house-1" / "train_labels.json"
    before = file.read_bytes()
    answer = reader.post("/labels/import", files={"file": (name, content)})
    assert_problem(answer, status, word)
    assert "/tmp" not in answer.text
    assert file.read_bytes() == before


def test_a_file_that_is_too_large(reader: TestClient) -> None:
    answer = reader.post("/labels/import", files={"file": ("a.json", b" " * 6_000_000)})
    assert_problem(answer, 413)


def test_what_a_form_cannot_hold_is_said(client: TestClient) -> None:
    photo = ids(client, "house-3")["green.png"]
    client.put("/labels", json={"photos": {photo: {"yes": ["lawn"], "no": ["sea"]}}})
    answer = client.get("/labels/export", params={"form": "metadata-csv"})
    assert "unknown before, no in metadata-csv" in answer.headers["photosieve-lost"]
    for form in ("json", "csv"):
        answer = client.get("/labels/export", params={"form": form})
        assert answer.headers["photosieve-lost"] == ""
