"""Labels that the sieve does not know are guessed from the photos labeled so far."""

import numpy as np
import pytest
from fastapi.testclient import TestClient

from photosieve.encoders.head import unit
from photosieve.server import service
from photosieve.server.guesses import MOST_EXAMPLES, guess, guess_by_words


@pytest.mark.parametrize("each", [1, 4, MOST_EXAMPLES])
def test_photos_like_labeled_ones_get_their_labels(each: int) -> None:
    rng = np.random.default_rng(0)
    kinds = np.eye(3, 8, dtype=np.float32)
    rows = np.arange(3).repeat(each)
    vectors = unit(kinds[rows] + rng.normal(0, 0.05, (len(rows), 8)).astype(np.float32))
    targets = rows[:, None] == np.arange(2)  # the third kind has no label
    texts = unit(rng.normal(size=(2, 8)).astype(np.float32))
    found = guess(vectors, targets, np.ones_like(targets), texts, kinds) > 0
    assert found.tolist() == [[True, False], [False, True], [False, False]]


def test_the_first_labeled_photo_leaves_the_words_of_the_labels() -> None:
    photos = np.eye(3, dtype=np.float32)
    yes = np.ones((1, 2), bool)
    found = guess(photos[:1], yes, yes, photos[1:], photos[1:]) > 0
    assert found.tolist() == [[True, False], [False, True]]


def test_unknown_pairs_teach_nothing() -> None:
    photos = np.eye(3, dtype=np.float32)
    targets = np.array([[True], [False], [False]])
    texts = photos[:1] * 0
    every = guess(photos, targets, np.ones_like(targets), texts, photos) > 0
    some = guess(photos, targets, np.array([[True], [True], [False]]), texts, photos) > 0
    assert every[:, 0].tolist() == [True, False, False]
    assert some[:2, 0].tolist() == [True, False]


def test_words_alone_go_by_what_is_usual_in_the_collection() -> None:
    rng = np.random.default_rng(0)
    photos = unit(rng.normal(size=(200, 8)).astype(np.float32))
    texts = photos[:3]
    found = guess_by_words(texts, photos, photos)
    assert found[[0, 1, 2], [0, 1, 2]].all()
    assert 0 < found.mean() < 0.2
    alike = unit(photos + 30)  # every cosine is near 1, as between texts of some models
    assert (guess_by_words(unit(texts + 30), alike, alike)[[0, 1, 2], [0, 1, 2]]).all()


def test_a_word_that_many_photos_lack_is_not_guessed_any_more(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"word": [f"word {number}" for number in range(30)]}
    guessed = {one["id"]: one["suggested"] for one in client.get("/proposals", params=asked).json()}
    photo, word = next(
        (one, label) for one, own in guessed.items() for label in own if label in asked["word"]
    )
    other = next(one for one in guessed if one != photo)
    monkeypatch.setattr(service, "MOST_DENIALS", 1)
    client.patch("/labels", json={"photos": [other], "remove": [word]})
    after = {one["id"]: one["suggested"] for one in client.get("/proposals", params=asked).json()}
    assert photo in after
    assert word not in after[photo]
