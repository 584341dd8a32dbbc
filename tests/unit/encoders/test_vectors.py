"""Vectors from elsewhere: found by path and by text, checked, and enough for a whole sieve."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from photosieve.data.dataset import Dataset
from photosieve.decision.metrics import average_precision
from photosieve.encoders import load_encoder
from photosieve.encoders.embedding import photo_features
from photosieve.encoders.head import unit
from photosieve.encoders.protocol import Encoder
from photosieve.encoders.vectors import BATCH, VectorEncoder
from photosieve.encoders.words import general_words, word_features
from photosieve.errors import EncoderError, PhotoError, SieveError, UsageError
from photosieve.sieve.sieve import Sieve
from photosieve.sieve.untrained import untrained
from photosieve.training.features import prepare
from photosieve.training.recipes import get_recipe
from tests.conftest import QUICK

Vectors = NDArray[np.float32]

CLIP = Path(__file__).resolve().parents[4] / "shared" / "data" / "clip"

WIDTH = 16
LABELS = ("red", "blue", "garden")
SHOTS = [["red"], ["red"], ["blue"], ["garden"], ["red", "blue"], []]
RNG = np.random.default_rng(0)
TEXTS: dict[str, Vectors] = {
    label: row.astype(np.float32)
    for label, row in zip([*LABELS, "crimson"], RNG.normal(0, 1, (4, WIDTH)), strict=True)
}
WORDS: dict[str, Vectors] = {
    f"word {number}": row.astype(np.float32)
    for number, row in enumerate(RNG.normal(0, 1, (30, WIDTH)))
}


def build(root: Path, number: int, file: str, seed: int) -> dict[str, Vectors]:
    """Make buildings of empty files with labels, and vectors by folder and file name."""
    rng, vectors = np.random.default_rng(seed), {}
    for building in (root / f"{root.name}-{index}" for index in range(number)):
        building.mkdir(parents=True)
        for shot, labels in enumerate(SHOTS):
            (building / f"{shot}.jpg").touch()
            row = rng.normal(0, 0.3, WIDTH) + sum((TEXTS[label] for label in labels), 0.1)
            vectors[f"{building.name}/{shot}.jpg"] = row.astype(np.float32)
        labels_of = {f"{shot}.jpg": labels for shot, labels in enumerate(SHOTS)}
        (building / file).write_text(json.dumps(labels_of))
    return vectors


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, Vectors]:
    """Vectors of photos in train/ (four buildings) and test/ (two)."""
    train = build(tmp_path / "train", 4, "train_labels.json", 1)
    return train | build(tmp_path / "test", 2, "test_labels.json", 2)


@pytest.fixture
def encoder(photos: dict[str, Vectors]) -> VectorEncoder:
    return VectorEncoder("made up", photos, TEXTS, words=WORDS)


def compute(table: dict[str, Vectors], keys: Sequence[str]) -> Vectors:
    return np.array([table[key] for key in keys])


def one_photo(photos: Any, path: Path = Path("a/b.jpg")) -> Any:
    """The vector of a photo, or the reason why it has none."""
    found = photo_features(VectorEncoder("x", photos, TEXTS, words=WORDS), [path])
    return found.features[0] if len(found.kept) else found.skipped[0]


# --- a whole sieve --------------------------------------------------------------------------------


def test_vectors_stay_as_they_are(encoder: VectorEncoder, photos: dict[str, Vectors]) -> None:
    given: Encoder = encoder  # it is one
    found = photo_features(given, [Path("train-0/3.jpg"), Path("test-1/0.jpg")], more_views=True)
    expected = [photos["train-0/3.jpg"], photos["test-1/0.jpg"]]
    np.testing.assert_array_equal(found.features, expected)
    assert found.more_views.shape == (2, 0, WIDTH)
    np.testing.assert_array_equal(given.text_features(["blue"]), [TEXTS["blue"]])
    np.testing.assert_array_equal(word_features(given), [*WORDS.values()])
    assert given.text_features([]).shape == photo_features(given, []).features.shape == (0, WIDTH)
    np.testing.assert_allclose(given.head.project_photos(found.features), unit(np.array(expected)))


def test_a_sieve_is_fitted_evaluated_saved_and_searched(
    encoder: VectorEncoder, tmp_path: Path
) -> None:
    sieve = Sieve.fit(Dataset.load(tmp_path / "train"), encoder, recipe=QUICK)
    assert sieve.evaluate(tmp_path / "test").macro["f1"] > 0.9
    sieve.save(tmp_path / "sieve")
    loaded = Sieve.load(tmp_path / "sieve", encoder)
    assert loaded.encoder.fingerprint == sieve.encoder.fingerprint
    found = loaded.search("blue", tmp_path / "test")
    assert {hit.path.name for hit in found} == {"2.jpg", "4.jpg"}
    assert found.hits == sieve.search("blue", tmp_path / "test").hits
    assert loaded.search("crimson", tmp_path / "test").looked_at == 12  # no label, but in texts


def test_functions_make_the_same_sieve(
    encoder: VectorEncoder, photos: dict[str, Vectors], tmp_path: Path
) -> None:
    computed = VectorEncoder(
        "made up",
        lambda paths: compute(photos, [f"{path.parent.name}/{path.name}" for path in paths]),
        lambda texts: compute(TEXTS, texts),
        words=WORDS,
    )
    train = Dataset.load(tmp_path / "train")
    sieves = [Sieve.fit(train, one, recipe=QUICK) for one in (encoder, computed)]
    assert sieves[0].tuning == sieves[1].tuning
    sieves[0].save(tmp_path / "sieve")  # the vectors may be computed later
    assert Sieve.load(tmp_path / "sieve", computed).search("red", tmp_path / "test").hits


def test_a_saved_sieve_names_its_vectors_and_asks_for_them(
    encoder: VectorEncoder, tmp_path: Path
) -> None:
    untrained([tmp_path / "train" / "train-0" / "0.jpg"], encoder).save(tmp_path / "sieve")
    assert {file.suffix for file in (tmp_path / "sieve").iterdir()} == {
        ".json", ".md", ".safetensors",
    }  # fmt: skip
    card = (tmp_path / "sieve" / "README.md").read_text("utf-8")
    assert "| pretrained model | vectors of the maker, named made up |" in card
    assert 'Sieve.load("my-sieve", encoder)' in card
    with pytest.raises(SieveError, match=r'"vectors:made up"; load it .* Sieve.load\(folder, enc'):
        Sieve.load(tmp_path / "sieve")
    other = VectorEncoder("another", {}, TEXTS, words=WORDS)
    with pytest.raises(SieveError, match="tuned for other weights"):
        Sieve.load(tmp_path / "sieve", other)
    with pytest.raises(EncoderError, match="give the VectorEncoder itself"):
        load_encoder(encoder.name)


def test_a_photo_without_a_vector_is_skipped(photos: dict[str, Vectors], tmp_path: Path) -> None:
    del photos["train-2/1.jpg"]
    data = prepare(VectorEncoder("x", photos, TEXTS, words=WORDS), Dataset.load(tmp_path / "train"))
    assert len(data.photos) == 23
    (skip,) = data.skipped
    assert skip.path == tmp_path / "train" / "train-2" / "1.jpg"
    assert (skip.reason, skip.remedy) == ("it has no vector", 'give it one under "train-2/1.jpg"')


def test_only_the_head_can_be_trained(encoder: VectorEncoder, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="of vectors:made up only the head can be trained"):
        Sieve.fit(Dataset.load(tmp_path / "train"), encoder, recipe=get_recipe("last-2"))


def test_pixels_are_refused(encoder: VectorEncoder) -> None:
    with pytest.raises(EncoderError, match="by its path here, not by its pixels"):
        encoder.stream([0], lambda _: [], lambda *_: None)


# --- which vector a photo gets --------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    ["{cwd}/home/a/b.jpg", "home/a/b.jpg", "./home/a/b.jpg", "home/x/../a/b.jpg", "a/b.jpg"],
)
@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("asked", ["{cwd}/home/a/b.jpg", "home/a/b.jpg"])
def test_a_key_is_a_path_or_its_end(
    key: str, kind: Any, asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = {kind(key.format(cwd=tmp_path)): TEXTS["red"], kind("other/a/c.jpg"): TEXTS["blue"]}
    found = one_photo(keys, Path(asked.format(cwd=tmp_path)))
    np.testing.assert_array_equal(found, TEXTS["red"])


def test_the_longest_key_counts() -> None:
    keys = {"a/b.jpg": TEXTS["blue"], "home/a/b.jpg": TEXTS["red"]}
    np.testing.assert_array_equal(one_photo(keys, Path("home/a/b.jpg")), TEXTS["red"])
    np.testing.assert_array_equal(one_photo(keys, Path("/a/b.jpg")), TEXTS["blue"])


@pytest.mark.parametrize("key", ["b.jpg", "ome/a/b.jpg", "a/b.JPG", "a"])
def test_less_than_folder_and_name_is_no_key(key: str) -> None:
    """Photos of several buildings have the same names, and would share a vector."""
    assert one_photo({key: TEXTS["red"]}, Path("home/a/b.jpg")).reason == "it has no vector"


def test_a_name_alone_is_the_path_of_a_photo_in_the_working_directory() -> None:
    np.testing.assert_array_equal(one_photo({"b.jpg": TEXTS["red"]}, Path("b.jpg")), TEXTS["red"])


# --- functions ------------------------------------------------------------------------------------


def test_a_function_gets_a_few_paths_at_once() -> None:
    sizes = []

    def photos(paths: list[Path]) -> Vectors:
        sizes.append(len(paths))
        return np.array([np.full(WIDTH, int(path.stem) + 1) for path in paths])

    paths = [Path(f"{number}.jpg") for number in range(BATCH + 3)]
    found = photo_features(VectorEncoder("x", photos, TEXTS, words=WORDS), paths)
    assert sizes == [BATCH, 3]
    np.testing.assert_array_equal(found.features[:, 0], np.arange(len(paths)) + 1)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PhotoError(Path("1.jpg"), "it is upside down", "turn it"), "it is upside down"),
        (OSError("cannot identify"), r"it cannot be embedded (cannot identify)"),
    ],
)
def test_a_photo_that_a_function_cannot_use_does_not_take_its_batch_along(
    error: Exception, reason: str
) -> None:
    def photos(paths: list[Path]) -> Vectors:
        if Path("1.jpg") in paths:
            raise error
        return np.ones((len(paths), WIDTH), np.float32)

    paths = [Path(f"{number}.jpg") for number in range(4)]
    found = photo_features(VectorEncoder("x", photos, TEXTS, words=WORDS), paths)
    assert found.kept.tolist() == [0, 2, 3]
    assert [(skip.path, skip.reason) for skip in found.skipped] == [(paths[1], reason)]


# --- vectors that cannot be used ------------------------------------------------------------------

ROW = np.ones(WIDTH)
UNUSABLE: dict[str, tuple[Any, str]] = {
    "zero": (0 * ROW, r'the vector of "\S+" is zero or not finite'),
    "nan": (np.where(np.arange(WIDTH) == 3, np.nan, ROW), "is zero or not finite"),
    "too large": (1e300 * ROW, "is zero or not finite"),
    "another width": (np.ones(WIDTH + 1), rf"has {WIDTH + 1} numbers, others have {WIDTH}"),
    "one number": (1.0, r"the shape for 1 of them is \(1,\)"),
    "a table": (np.ones((2, WIDTH)), r"the shape for 1 of them is \(1, 2, 16\)"),
    "text": ("red", "the vectors are not numbers"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_vectors_of_a_mapping_are_checked(kind: str) -> None:
    row, sentence = UNUSABLE[kind]
    with pytest.raises(EncoderError, match=f"^vectors:x, photos: .*{sentence}"):
        one_photo({"a/b.jpg": row})
    texts = VectorEncoder("x", {}, {"red": row}, words=WORDS)
    with pytest.raises(EncoderError, match=f"^vectors:x, texts: .*{sentence}"):
        texts.text_features(["red"])


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (np.ones((2, WIDTH)), r"the shape for 1 of them is \(2, 16\); give a row for each"),
        (np.ones((0, WIDTH)), r"the shape for 1 of them is \(0, 16\)"),
        (np.ones(WIDTH), r"the shape for 1 of them is \(16,\)"),
        (np.zeros((1, WIDTH)), "is zero or not finite"),
        ([[1, 2], [3]], "the vectors are not numbers"),
    ],
)
def test_vectors_of_a_function_are_checked(table: Any, sentence: str) -> None:
    with pytest.raises(EncoderError, match=f"^vectors:x, photos: .*{sentence}"):
        one_photo(lambda _: table)


def test_a_tensor_that_numpy_cannot_read_gets_a_sentence() -> None:
    import torch

    np.testing.assert_array_equal(one_photo({"a/b.jpg": torch.ones(WIDTH)}), ROW)
    with pytest.raises(EncoderError, match="the vectors are not numbers"):
        one_photo(lambda _: torch.ones((1, WIDTH), requires_grad=True))


def test_a_text_without_a_vector(encoder: VectorEncoder) -> None:
    with pytest.raises(EncoderError, match='texts: there is no vector of "sofa"; add it'):
        encoder.text_features(["red", "sofa"])


def test_general_words_have_to_come_from_somewhere() -> None:
    thousand = dict.fromkeys(general_words(), ROW)
    assert word_features(VectorEncoder("x", {}, thousand)).shape == (1000, WIDTH)
    assert word_features(VectorEncoder("x", {}, lambda t: [ROW] * len(t))).shape == (1000, WIDTH)
    del thousand["tench"]
    with pytest.raises(EncoderError, match='texts lacks 1 general words, such as "tench"'):
        VectorEncoder("x", {}, thousand)
    with pytest.raises(EncoderError, match="words is empty"):
        VectorEncoder("x", {}, thousand, words={})


def test_a_name_is_needed() -> None:
    with pytest.raises(UsageError, match="need a name"):
        VectorEncoder(" \n", {}, TEXTS, words=WORDS)


# --- fingerprints ---------------------------------------------------------------------------------


def test_a_fingerprint_tells_models_apart(photos: dict[str, Vectors]) -> None:
    first = VectorEncoder("x", photos, TEXTS, words=WORDS)
    same = VectorEncoder("x", {}, {}, words=dict(WORDS))  # for other photos and texts
    named = VectorEncoder("y", photos, TEXTS, words=WORDS)
    moved = VectorEncoder("x", photos, TEXTS, words=WORDS | {"word 3": WORDS["word 3"] * 1.001})
    assert first.fingerprint == same.fingerprint
    assert len({one.trunk_fingerprint for one in (first, named, moved)}) == 3
    head = first.head.with_arrays(
        first.head.arrays() | {"photo": 2 * np.eye(WIDTH, dtype=np.float32)}
    )
    trained = first.with_head(head)
    assert trained.trunk_fingerprint == first.trunk_fingerprint
    assert trained.fingerprint != first.fingerprint == same.fingerprint


def test_a_function_is_told_by_what_it_answers() -> None:
    table = np.random.default_rng(5).normal(0, 1, (4, WIDTH))

    def fingerprint(rows: NDArray[np.float64]) -> str:
        return VectorEncoder("x", {}, lambda texts: rows[: len(texts)]).trunk_fingerprint

    noise = np.random.default_rng(6).normal(0, 1, table.shape)
    assert fingerprint(table) == fingerprint(table + 1e-6 * noise)  # as on another machine
    assert fingerprint(table) == fingerprint(10 * table)
    assert fingerprint(table) != fingerprint(table + 0.1 * noise)
    assert fingerprint(table) != fingerprint(np.roll(table, 1, axis=1))  # the same cosines


# --- a real model ---------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.skipif(not CLIP.exists(), reason=f"the vectors of a real CLIP are not in {CLIP}")
def test_vectors_of_a_real_clip(tmp_path: Path) -> None:
    """A thousand photos of Flickr, of which only the vectors are there."""
    with np.load(CLIP / "flickr.npz") as flickr, np.load(CLIP / "words.npz") as general:
        image, names, mentions = flickr["image"], flickr["names"].tolist(), flickr["mentions"]
        texts = dict(zip(names, flickr["text"], strict=True))
        words = dict(zip(general["inet_names"].tolist(), general["inet_text"], strict=True))
    files = [f"{'train' if row < 100 else 'test'}/b{row // 10}/{row}.jpg" for row in range(1000)]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    for part in ("train", "test"):
        labels = {
            file.removeprefix(f"{part}/"): [names[column] for column in np.flatnonzero(row >= 2)]
            for file, row in zip(files, mentions, strict=True)
            if file.startswith(part)
        }
        (tmp_path / part / f"{part}_labels.json").write_text(json.dumps(labels))
    encoder = VectorEncoder("CLIP", dict(zip(files, image, strict=True)), texts, words=words)

    data = prepare(encoder, Dataset.load(tmp_path / "test"), labels=names)
    assert data.photos.shape == (900, 512)
    assert len(data.words) == len(words) > 900
    pairs = zip(data.scores(encoder.head).T, data.targets.T, strict=True)
    assert np.mean([average_precision(*pair) for pair in pairs]) > 0.4  # by chance .07

    train = Dataset.load(tmp_path / "train")
    sieve = Sieve.fit(train, encoder, recipe="zero-shot", folds=1)
    found = sieve.search("dog", tmp_path / "test")
    dogs = {file for file, row in zip(files, mentions, strict=True) if row[names.index("dog")] >= 1}
    right = [hit.path.relative_to(tmp_path).as_posix() in dogs for hit in found]
    assert len(right) > 50
    assert np.mean(right) > 0.8
