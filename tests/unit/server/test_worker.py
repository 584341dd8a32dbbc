"""A training takes the labels of the collection, and is reviewed on unseen photos."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from PIL import Image

from photosieve.encoders.feature_cache import FeatureCache
from photosieve.errors import TrainingError
from photosieve.index.index import Index
from photosieve.progress import Status
from photosieve.server import worker
from photosieve.server.jobs import Job, Jobs
from photosieve.server.library import Library
from photosieve.sieve.sieve import Sieve
from photosieve.training.recipes import get_recipe
from tests.library import CountingEncoder
from tests.unit.server.conftest import ids


def test_learning_before_and_after(client: TestClient, library: Library, tmp_path: Path) -> None:
    for name, one in ids(client, "house-3").items():
        color = name.partition(".")[0].partition("-")[0]
        client.put("/labels", json={"photos": {one: [] if color == "gray" else [f"my {color}"]}})
    before = library.view().sieve
    told: list[Status] = []
    result = worker.learn(library, tmp_path / "new", told.append)
    assert [status.percent for status in told] == sorted(status.percent for status in told)
    assert {"training", "learning the cut", worker.COMPARING} <= {s.stage for s in told}
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


def test_words_are_measured_against_unlabeled_photos_but_none_for_testing(
    library: Library, tmp_path: Path
) -> None:
    fresh = Library(library.sieve_folder, library.address)
    worker.learn(fresh, tmp_path / "new", lambda _: None)
    made = Sieve.load(tmp_path / "new")
    assert len(made.evidence.scores) == 6  # house-1 has labels, house-2 is for testing
    assert len(made.background) == 12
    view = fresh.view()
    other = [photo for photo, group in view.groups_of_photos.items() if group == "house-3"]
    vectors = made.encoder.head.project_photos(fresh.features(view, other).features)
    assert_allclose(made.background[6:], vectors, atol=1e-6)


def test_first_figures_come_before_the_others(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The recipe without a head, which is the usual one.
    plain = replace(library.view().sieve, recipe=get_recipe("probe"))
    plain.save(library.sieve_folder)
    fresh = Library(library.sieve_folder, library.address)
    told: list[str] = []
    worker.learn(fresh, tmp_path / "few", lambda _: None, lambda _: told.append("first"))
    assert told == []
    monkeypatch.setattr(worker, "LONG", 6)
    figures: list[dict[str, Any]] = []

    def first(found: dict[str, Any]) -> None:
        assert not (tmp_path / "new").exists()
        figures.append(found)

    result = worker.learn(fresh, tmp_path / "new", lambda _: None, first)
    (found,) = figures
    assert found["photos"] == result["review"]["photos"]
    assert {row["label"] for row in found["labels"]} == set(plain.labels)
    assert (tmp_path / "new").exists()


def test_a_review_without_test_photos_is_by_held_out_buildings(
    library: Library, tmp_path: Path
) -> None:
    (tmp_path / "secret-place" / "house-2" / "test_labels.json").rename(
        tmp_path / "secret-place" / "house-2" / "labels.json"
    )
    fresh = Library(library.sieve_folder, library.address)
    result = worker.learn(fresh, tmp_path / "new", lambda _: None)
    assert not result["review"]["tested"]
    assert result["review"]["photos"] == 12
    assert result["review"]["buildings"] == 2


def test_nothing_to_learn_from(tmp_path: Path, trained: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "photo.png")
    Index(tmp_path / "index").update(trained, tmp_path)
    library = Library(trained, str(tmp_path / "index"))
    with pytest.raises(Exception, match="no photo has a label yet"):
        worker.learn(library, tmp_path / "new", lambda _: None)


def test_features_of_changed_bytes_are_not_kept_for_the_old_ones(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A labeled photo changes after it was indexed, is learned from, and is as before again."""
    later = time.time_ns() + 5_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: later)  # else the photos are too new to be kept
    monkeypatch.setattr("photosieve.server.worker._encoder", lambda _: CountingEncoder())
    photo = tmp_path / "secret-place" / "house-1" / "red.png"
    old = photo.read_bytes()
    view = library.view()
    dataset = view.book.dataset(test=False, groups=view.groups_of_photos)
    assert dataset is not None

    def features() -> NDArray[np.float32]:
        recipe = get_recipe("balanced")
        found, _ = worker._prepared(library, view, dataset, recipe, lambda *_: None)
        assert found.dataset.photos == dataset.photos
        return np.asarray(found.more_views[dataset.photos.index(photo)])

    Image.new("RGB", (60, 40), "blue").save(photo)
    changed = features()
    photo.write_bytes(old)
    expected = features()
    assert not np.allclose(changed, expected, atol=0.1)
    CountingEncoder.embedded.clear()
    assert np.array_equal(features(), expected)
    assert CountingEncoder.embedded == []
    file = FeatureCache().file
    content = bytearray(file.read_bytes())  # as a failing disk does it
    for at in range(5000, len(content), 100):
        content[at] ^= 0x10
    file.write_bytes(content)
    assert np.array_equal(features(), expected)
    assert CountingEncoder.embedded


def test_photos_that_lead_out_of_their_folder_are_not_learned_from(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photosieve.server.worker._encoder", lambda _: CountingEncoder())
    view = library.view()
    dataset = view.book.dataset(test=False, groups=view.groups_of_photos)
    assert dataset is not None
    elsewhere = tmp_path / "elsewhere.png"
    Image.new("RGB", (60, 40), "blue").save(elsewhere)
    recipe = get_recipe("balanced")
    for number, path in enumerate(dataset.photos, start=1):
        path.unlink()
        path.symlink_to(elsewhere)
        if number == 1:
            found, _ = worker._prepared(library, view, dataset, recipe, lambda *_: None)
            assert found.dataset.photos == dataset.photos[1:]
            assert found.skipped[0].path == path
    with pytest.raises(TrainingError, match=r"no labeled photo can be read; .*a link to another"):
        worker._prepared(library, view, dataset, recipe, lambda *_: None)


def test_what_was_not_used_is_said(library: Library, tmp_path: Path) -> None:
    house = tmp_path / "secret-place" / "house-1"
    (house / "raw.CR2").write_bytes(b"II*\0")
    file = next(house.glob("*.json"))
    entries = json.loads(file.read_text())
    file.write_text(json.dumps({**entries, "gone.jpg": [], "red.png": ["once"]}))
    fresh = Library(library.sieve_folder, library.address)
    notes = worker.learn(fresh, tmp_path / "new", lambda _: None)["notes"]
    assert notes[0].endswith("entries has no photo, such as gone.jpg")
    assert "too few to learn from or to test: once" in notes[1]
    assert notes[2] == "1 CR2 file left out: save as JPEG"
    assert str(tmp_path) not in " ".join(notes)
    assert [note.kind for note in Sieve.load(tmp_path / "new").notes] == [
        "missing photo",
        "rare label",
    ]
