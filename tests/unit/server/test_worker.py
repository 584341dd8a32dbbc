"""A training takes the labels of the collection, and is reviewed on unseen photos."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from photosieve.index.index import Index
from photosieve.server import worker
from photosieve.server.jobs import Job, Jobs
from photosieve.server.library import Library
from photosieve.sieve.sieve import Sieve
from tests.library import CountingEncoder
from tests.unit.server.conftest import ids


def test_learning_before_and_after(client: TestClient, library: Library, tmp_path: Path) -> None:
    for name, one in ids(client, "house-3").items():
        color = name.partition(".")[0].partition("-")[0]
        client.put("/labels", json={"photos": {one: [] if color == "gray" else [f"my {color}"]}})
    before = library.view().sieve
    told: list[str] = []
    result = worker.learn(library, tmp_path / "new", lambda stage, *_: told.append(stage))
    assert told
    assert set(result["new_labels"]) == {"my red", "my green", "my blue", "my both"}
    assert result["lost_labels"] == []
    assert result["photos"] == 12  # none of those for testing
    assert result["review"]["tested"]
    assert result["review"]["photos"] == 6
    made = Sieve.load(tmp_path / "new")
    assert set(made.labels) == set(result["labels"])
    assert library.view().sieve.encoder.fingerprint == before.encoder.fingerprint

    CountingEncoder.embedded.clear()
    jobs = Jobs(library)
    (library.state / "new-sieve").parent.mkdir(parents=True, exist_ok=True)
    made.save(library.state / "new-sieve")
    job = Job("x", state="done", result=result)
    jobs.keep(job)
    assert job.state == "kept"
    assert library.view().sieve.encoder.fingerprint == made.encoder.fingerprint
    assert Sieve.load(library.sieve_folder).encoder.fingerprint == made.encoder.fingerprint
    assert CountingEncoder.embedded == []  # no photo was embedded for the new sieve
    assert client.get("/search", params={"q": "my green"}).json()["terms"][0]["label"] == "my green"


def test_a_review_without_test_photos_is_by_held_out_buildings(
    library: Library, tmp_path: Path
) -> None:
    (tmp_path / "secret-place" / "house-2" / "test_labels.json").rename(
        tmp_path / "secret-place" / "house-2" / "labels.json"
    )
    fresh = Library(library.sieve_folder, library.address)
    result = worker.learn(fresh, tmp_path / "new", lambda *_: None)
    assert not result["review"]["tested"]
    assert result["review"]["photos"] == 12
    assert result["review"]["buildings"] == 2


def test_nothing_to_learn_from(tmp_path: Path, trained: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "photo.png")
    Index(tmp_path / "index").update(trained, tmp_path)
    library = Library(trained, str(tmp_path / "index"))
    with pytest.raises(Exception, match="no photo has a label yet"):
        worker.learn(library, tmp_path / "new", lambda *_: None)


def test_what_was_not_used_is_said(library: Library, tmp_path: Path) -> None:
    house = tmp_path / "secret-place" / "house-1"
    (house / "raw.CR2").write_bytes(b"II*\0")
    file = next(house.glob("*.json"))
    entries = json.loads(file.read_text())
    file.write_text(json.dumps({**entries, "gone.jpg": [], "red.png": ["once"]}))
    fresh = Library(library.sieve_folder, library.address)
    notes = worker.learn(fresh, tmp_path / "new", lambda *_: None)["notes"]
    assert notes[0].endswith("entries has no photo, such as gone.jpg")
    assert "too few to learn from or to test: once" in notes[1]
    assert notes[2] == "1 CR2 file left out: save as JPEG"
    assert str(tmp_path) not in " ".join(notes)
    assert [note.kind for note in Sieve.load(tmp_path / "new").notes] == [
        "missing photo",
        "rare label",
    ]
