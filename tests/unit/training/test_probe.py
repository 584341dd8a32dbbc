"""A probe learns what it is shown, starts from the text score, and counts in no encoder's units."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from photosieve.data.dataset import Dataset
from photosieve.decision import logistic
from photosieve.decision.metrics import average_precisions
from photosieve.encoders.head import LinearHead, unit
from photosieve.encoders.protocol import Float32Array
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared
from photosieve.training.folds import problem_of
from photosieve.training.hidden import PARTS
from photosieve.training.probe import (
    RIDGE,
    SETTINGS,
    Probe,
    ProbeSettings,
    Problem,
    balanced_weights,
)
from photosieve.training.recipes import get_recipe
from photosieve.training.run import History, Run
from tests.conftest import FakeEncoder

FEATURES, WIDTH = 40, 24
LABELS = ("sofa", "bed", "bath", "lamp", "tree")
WORDS = tuple(f"word {number}" for number in range(60))


@dataclass(frozen=True)
class World(FakeEncoder):
    """An encoder of photos that show labels in features of their own, and of texts that are given.

    The text of "lamp" says nothing about the photos of a lamp, and that of "couch" nearly the same
    as that of "sofa".
    """

    texts: dict[str, Float32Array] = field(default_factory=dict)
    looks: Float32Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    rotation: Float32Array = field(default_factory=lambda: np.eye(FEATURES, dtype=np.float32))
    scale: float = 1.0

    def text_features(self, texts: Sequence[str]) -> Float32Array:
        return np.stack([self.texts[text] for text in texts])

    def photos(self, shown: NDArray[np.bool_], seed: int) -> Float32Array:
        noise = np.random.default_rng(seed).normal(0, 1.2, (len(shown), FEATURES))
        features = 1.0 + shown @ self.looks + noise
        return np.asarray(self.scale * features @ self.rotation, np.float32)


def world() -> World:
    rng = np.random.default_rng(0)
    looks = rng.normal(size=(len(LABELS), FEATURES)).astype(np.float32)
    photo = rng.normal(size=(FEATURES, WIDTH)).astype(np.float32)
    meaning = unit(unit(looks @ photo) + 0.15 * rng.normal(size=(len(LABELS), WIDTH)))
    texts = dict(zip(LABELS, meaning, strict=True))
    texts["lamp"] = unit(rng.normal(size=WIDTH))
    texts["couch"] = unit(texts["sofa"] + 0.08 * rng.normal(size=WIDTH))
    texts |= {word: unit(rng.normal(size=WIDTH)) for word in WORDS}
    middle = np.ones(FEATURES, np.float32)
    head = LinearHead(middle, photo, np.zeros(WIDTH, np.float32), np.eye(WIDTH, dtype=np.float32))
    return World(head, texts=texts, looks=looks)


def shown(photos: int, seed: int) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random((photos, len(LABELS))) < 0.3


def prepared(encoder: World, photos: int = 60, seed: int = 1, **changes: Any) -> Prepared:
    """Six photos a building, and their labels."""
    targets = shown(photos, seed)
    names = tuple(
        tuple(label for label, yes in zip(LABELS, row, strict=True) if yes) for row in targets
    )
    groups = tuple(f"house {row // 6}" for row in range(photos))
    paths = tuple(Path(group) / f"{row}.jpg" for row, group in enumerate(groups))
    data = Prepared(
        dataset=Dataset(Path(), paths, names, groups),
        photos=(features := encoder.photos(targets, seed)),
        more_views=features[:, None][:, :0],
        targets=targets,
        known=np.ones_like(targets),
        labels=LABELS,
        texts=encoder.text_features(LABELS),
        words=encoder.text_features(WORDS),
        skipped=(),
    )
    return replace(data, **changes)


@pytest.fixture(scope="module")
def encoder() -> World:
    return world()


@pytest.fixture(scope="module")
def data(encoder: World) -> Prepared:
    return prepared(encoder)


@pytest.fixture(scope="module")
def test_data(encoder: World) -> Prepared:
    return prepared(encoder, photos=120, seed=2)


def fitted(encoder: World, data: Prepared, recipe: str = "probe", **options: Any) -> Sieve:
    return Sieve.fit_prepared(encoder, data, Run(get_recipe(recipe)), **options)


def probe_of(encoder: World, data: Prepared) -> Probe:
    probe = fitted(encoder, data, words=False).probe
    assert probe is not None
    return probe


# --- learning -------------------------------------------------------------------------------------


def test_it_learns_what_it_is_shown(encoder: World, data: Prepared, test_data: Prepared) -> None:
    """A label whose text means nothing to the encoder, and the others no worse than before."""
    pretrained, learned = (
        fitted(encoder, data, recipe, words=False).evaluate_prepared(test_data).average_precision
        for recipe in ("zero-shot", "probe")
    )
    lamp = LABELS.index("lamp")
    assert pretrained[lamp] < 0.5
    assert learned[lamp] > 0.85
    assert (learned > pretrained - 0.02).all()


def test_out_of_fold_it_is_as_good_as_on_new_photos(
    encoder: World, data: Prepared, test_data: Prepared
) -> None:
    sieve = fitted(encoder, data, words=False)
    figures = sieve.tuning.figures
    totals = sieve.evaluate_prepared(test_data).totals
    assert figures["mean_average_precision"] == pytest.approx(
        totals["mean_average_precision"], abs=0.05
    )
    assert figures["f1"] == pytest.approx(totals["macro_f1"], abs=0.07)


def test_the_same_data_give_the_same_sieve(encoder: World, data: Prepared) -> None:
    one, same = (fitted(encoder, data) for _ in range(2))
    assert one.fingerprint == same.fingerprint
    assert one.tuning == same.tuning


def test_nothing_near_it_is_better(encoder: World, data: Prepared) -> None:
    """The formula of the module's docstring, written again; weights are penalized, offsets not."""
    head, settings = encoder.head.centered(data.words), ProbeSettings(2.0, 0.03)
    vectors, texts = head.project_photos(data.photos), head.project_texts(data.texts)
    problem = Problem.of(data.photos, vectors, texts, data.targets, data.known, data.silent)
    probe, pair_weights = problem.solve(settings), problem.pair_weights
    assert_allclose(pair_weights.sum(0), 1)
    assert_allclose(probe.mean, data.photos.mean(0), atol=1e-5)
    cosines = (vectors @ texts.T).astype(float)
    text_scores = settings.text_weight * (cosines - cosines.mean()) / cosines.std()
    inner = unit(data.photos - probe.mean).astype(float)
    start_bias = (probe.bias - settings.text_weight / cosines.std() * -cosines.mean()).astype(float)

    def loss(weights: NDArray[np.float64], bias: NDArray[np.float64]) -> float:
        odds = text_scores + inner @ weights + bias
        wrong = np.where(data.targets, np.logaddexp(0, -odds), np.logaddexp(0, odds))
        return float((pair_weights * wrong).sum() + settings.penalty / 2 * (weights**2).sum())

    own = text_scores + inner @ probe.weights + start_bias
    assert_allclose(probe.scores(data.photos, vectors), own, atol=1e-3)
    weights = probe.weights.astype(float)
    best, rng = loss(weights, start_bias), np.random.default_rng(0)
    for _ in range(50):
        weights_step, bias_step = rng.normal(0, 0.05, weights.shape), rng.normal(0, 0.05, 5)
        assert loss(weights + weights_step, start_bias + bias_step) > best


# --- what is known of the labels ------------------------------------------------------------------


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_label_without_positives_or_negatives_keeps_the_text_score(
    everywhere: bool, encoder: World, data: Prepared
) -> None:
    targets = data.targets.copy()
    targets[:, 2] = everywhere
    sieve = fitted(encoder, replace(data, targets=targets), words=False)
    probe = sieve.probe
    assert probe is not None
    assert_array_equal(probe.weights[:, 2], np.zeros(FEATURES))
    assert np.abs(probe.weights[:, [0, 1, 3, 4]]).max(0).min() > 0.1
    photos = sieve.scorer.embed_photos(data.photos)
    cosines = photos.vectors @ sieve.encoder.head.project_texts(data.texts)[2]
    slope, offset = np.polyfit(cosines, photos.labels[:, 2], 1)
    assert slope > 0
    assert_allclose(photos.labels[:, 2], slope * cosines + offset, atol=1e-4)


def test_unknown_pairs_change_nothing(encoder: World, data: Prepared) -> None:
    known = np.random.default_rng(3).random(data.targets.shape) < 0.7
    one, other = (
        fitted(encoder, replace(data, targets=targets, known=known), words=False)
        for targets in (data.targets & known, data.targets | ~known)
    )
    assert one.fingerprint == other.fingerprint
    assert one.tuning == other.tuning
    assert one.fingerprint != fitted(encoder, data, words=False).fingerprint


def test_positives_and_negatives_of_a_label_weigh_the_same() -> None:
    """Of the last label, nothing is known to be wrong; of the one before, nothing to be right."""
    targets = np.zeros((10, 4), bool)
    targets[:2, 0] = targets[:5, 1] = targets[:, 3] = True
    known = np.ones_like(targets)
    known[9] = False
    found = balanced_weights(targets & known, ~targets & known)
    assert_allclose((found * targets).sum(0), [0.5, 0.5, 0, 0])
    assert_allclose(found.sum(0), [1, 1, 0, 0])
    assert_array_equal(found[9], np.zeros(4))
    assert_allclose(found[:9, 0], [1 / 4] * 2 + [1 / 14] * 7)


def test_silence_is_a_no_as_far_as_it_is_improbable(encoder: World, data: Prepared) -> None:
    """Half of the pairs are left out, among them some that are right."""
    left_out = np.random.default_rng(11).random(data.targets.shape) < 0.5
    head = encoder.head.centered(data.words)
    vectors, texts = head.project_photos(data.photos), head.project_texts(data.texts)
    problem = Problem.of(data.photos, vectors, texts, data.targets, ~left_out, left_out)
    weights = problem.pair_weights
    assert_allclose(weights.sum(0), 1)
    for label in range(2):
        right, wrong = (weights[left_out[:, label] & has, label] for has in (
            data.targets[:, label], ~data.targets[:, label]
        ))  # fmt: skip
        known_no = weights[~left_out[:, label] & ~data.targets[:, label], label]
        assert 0 < right.mean() < wrong.mean()
        assert wrong.max() <= known_no.min() + 1e-9


def test_lists_of_some_labels_teach_it_too(
    encoder: World, data: Prepared, test_data: Prepared
) -> None:
    """Each photo is listed with half of what it shows, and nothing is said about the rest."""
    listed = data.targets & (np.random.default_rng(4).random(data.targets.shape) < 0.5)
    names = tuple(
        tuple(label for label, yes in zip(LABELS, row, strict=True) if yes) for row in listed
    )
    dataset = replace(data.dataset, labels=names, partial_labels=True)
    partial = replace(data, dataset=dataset, targets=listed, known=dataset.known(LABELS))
    silent_as_no = replace(
        partial,
        dataset=replace(dataset, partial_labels=False),
        known=np.ones_like(listed),
    )
    assert partial.silent.any()
    found, misled = (
        float(fitted(encoder, part, words=False).evaluate_prepared(test_data).totals["macro_f1"])
        for part in (partial, silent_as_no)
    )
    assert found > 0.6
    assert found > misled - 0.05


# --- units ----------------------------------------------------------------------------------------


def rotated(encoder: World) -> World:
    size = (FEATURES, FEATURES)
    rotation, _ = np.linalg.qr(np.random.default_rng(5).normal(size=size))
    given = encoder.head.arrays()
    turn = np.asarray(rotation, np.float32)
    turned = {"photo_mean": given["photo_mean"] @ turn, "photo": turn.T @ given["photo"]}
    return replace(encoder, head=encoder.head.with_arrays(given | turned), rotation=turn)


def scaled(encoder: World) -> World:
    given = encoder.head.arrays()
    head = encoder.head.with_arrays(given | {"photo_mean": 37 * given["photo_mean"]})
    return replace(encoder, head=head, scale=37.0)


def alike(encoder: World) -> World:
    """All texts share a large part, as those of CLIP do."""
    common = 2 * unit(np.random.default_rng(6).normal(size=WIDTH))
    return replace(encoder, texts={text: row + common for text, row in encoder.texts.items()})


CHANGES = {"rotated": rotated, "scaled": scaled, "alike": alike}


@pytest.fixture(scope="module")
def expected(encoder: World, data: Prepared) -> Sieve:
    return fitted(encoder, data)


@pytest.mark.parametrize("change", CHANGES)
def test_answers_do_not_depend_on_the_units_of_an_encoder(
    change: str, encoder: World, test_data: Prepared, expected: Sieve
) -> None:
    other = CHANGES[change](encoder)
    sieve = fitted(other, prepared(other))
    unseen = prepared(other, photos=120, seed=2)
    assert sieve.history.probe == expected.history.probe
    found, before = sieve.evaluate_prepared(unseen), expected.evaluate_prepared(test_data)
    assert_allclose(found.probabilities, before.probabilities, atol=1e-4)
    assert_array_equal(found.kept, before.kept)
    for word in ("couch", *WORDS[:5]):
        one, same = (
            part.scorer.probabilities(part.scorer.read(word), part.scorer.embed_photos(photos))
            for part, photos in ((sieve, unseen.photos), (expected, test_data.photos))
        )
        assert_allclose(one, same, atol=1e-4, err_msg=word)


@pytest.fixture(scope="module")
def balanced(encoder: World, data: Prepared, test_data: Prepared) -> dict[str, float]:
    return dict(fitted(encoder, data, "balanced", words=False).evaluate_prepared(test_data).totals)


@pytest.mark.long
@pytest.mark.parametrize("change", CHANGES)
def test_a_trained_head_is_as_good_in_other_units(
    change: str, encoder: World, balanced: dict[str, float]
) -> None:
    other = CHANGES[change](encoder)
    sieve = fitted(other, prepared(other), "balanced", words=False)
    found = sieve.evaluate_prepared(prepared(other, photos=120, seed=2)).totals
    for figure in ("macro_f1", "mean_average_precision"):
        assert found[figure] == pytest.approx(balanced[figure], abs=0.03), figure


# --- words that inherit ---------------------------------------------------------------------------


def test_a_word_inherits_what_a_label_learned(test_data: Prepared, expected: Sieve) -> None:
    """ "Couch" means nearly what "sofa" means: it ranks photos better than its text does alone."""
    photos = expected.scorer.embed_photos(test_data.photos)
    (reading,) = expected.scorer.read("couch")
    assert reading.inherited is not None
    scores = np.stack([photos.vectors @ reading.vector, expected.scorer.scores(reading, photos)], 1)
    shown = np.repeat(test_data.targets[:, [list(test_data.labels).index("sofa")]], 2, axis=1)
    alone, inherited = average_precisions(scores.astype(float), shown, np.ones_like(shown))
    assert inherited > alone + 0.02


def test_the_score_is_that_of_corrected_weights(
    encoder: World, data: Prepared, test_data: Prepared
) -> None:
    """A sum of label scores equals the text score with corrections spread over all of text space:
    W (T T' + ridge)^-1 T, in units of cosines."""
    probe = probe_of(encoder, data)
    per_cosine = np.linalg.norm(probe.texts, axis=1)
    texts = probe.texts.astype(float) / per_cosine[:, None]
    word = encoder.texts["couch"]
    spread = probe.weights @ np.linalg.solve(texts @ texts.T + RIDGE * np.eye(len(texts)), texts)
    vectors = encoder.head.project_photos(test_data.photos)
    phi = unit(test_data.photos - probe.mean)
    wanted = vectors @ word + phi @ spread @ word / per_cosine[0]
    inherited = probe.inherited(word, np.ones(len(texts)))
    assert inherited is not None
    found = inherited.scores(vectors, probe.scores(test_data.photos, vectors))
    assert_allclose(found, wanted, atol=1e-4)


def test_labels_that_disagree_with_a_word_pass_nothing_on(encoder: World, data: Prepared) -> None:
    probe = probe_of(encoder, data)
    agreement = np.array([1.0, 0.5, 0.0, -1.0, 0.4])
    inherited = probe.inherited(encoder.texts["couch"], agreement)
    assert inherited is not None
    assert inherited.columns.tolist() == [0]
    assert probe.inherited(encoder.texts["couch"], np.full(5, 0.5)) is None


# --- small and odd data ---------------------------------------------------------------------------


@pytest.mark.parametrize("photos", [1, 2, 7])
def test_few_photos_give_a_sound_probe(photos: int, encoder: World, test_data: Prepared) -> None:
    sieve = fitted(encoder, prepared(encoder, photos=photos))
    assert np.isfinite(sieve.evaluate_prepared(test_data).probabilities).all()


def test_equal_photos_with_different_labels_leave_the_text_score(encoder: World) -> None:
    data = prepared(encoder, photos=12)
    same = replace(data, photos=np.repeat(data.photos[:1], 12, axis=0))
    assert np.abs(probe_of(encoder, same).weights).max() < 1e-3


def test_its_arrays_are_all_of_it(encoder: World, data: Prepared) -> None:
    probe = probe_of(encoder, data)
    again = Probe.from_arrays(probe.arrays())
    assert again.fingerprint() == probe.fingerprint()
    vectors = encoder.head.project_photos(data.photos)
    assert_array_equal(again.scores(data.photos, vectors), probe.scores(data.photos, vectors))
    assert replace(probe, bias=probe.bias + 1).fingerprint() != probe.fingerprint()


# --- the work that it takes -----------------------------------------------------------------------


def test_one_setting_after_another_finds_the_same(encoder: World, data: Prepared) -> None:
    """Each starts at the result of the one before."""
    problem = problem_of(data, encoder.head, History(0))
    vectors = encoder.head.project_photos(data.photos)
    for settings, probe in zip(SETTINGS, problem.solve_all(SETTINGS), strict=True):
        alone = problem.solve(settings)
        scores = alone.scores(data.photos, vectors)
        assert_allclose(probe.scores(data.photos, vectors), scores, atol=0.02 * scores.std())


def test_a_training_solves_no_more_than_it_has_to(
    encoder: World, data: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decomposition for each fold, for three with hidden labels, and for the result."""
    posed, solved = list[int](), list[int]()
    pose, solve = np.linalg.eigh, logistic.fit

    def note_pose(table: Any) -> Any:
        posed.append(len(table))
        return pose(table)

    def note_solve(features: Any, *rest: Any) -> Any:
        solved.append(len(features))
        return solve(features, *rest)

    monkeypatch.setattr(np.linalg, "eigh", note_pose)
    monkeypatch.setattr(logistic, "fit", note_solve)
    sieve = fitted(encoder, data)
    folds = len(data.dataset.folds(None, seed=0))
    assert len(sieve.history.tried) == len(SETTINGS)
    assert folds > PARTS
    assert len(posed) == folds + PARTS + 1
    # Curves are learned of many pairs each, probes of fewer photos than there are.
    probes = sum(count <= len(data.photos) for count in solved)
    assert probes == folds * len(SETTINGS) + PARTS + 1


def test_a_probe_is_trained_without_torch(tmp_path: Path) -> None:
    """Its import takes longer than the training."""
    code = """
import sys
import numpy as np
from PIL import Image
from pathlib import Path
from photosieve.data.dataset import Dataset
from photosieve.encoders.vectors import VectorEncoder
from photosieve.encoders.words import general_words
from photosieve.sieve.sieve import Sieve
from photosieve.training.checkpoints import Checkpoints

root, rng, vectors = Path(sys.argv[1]), np.random.default_rng(0), {}
for house in "abc":
    folder = root / house
    folder.mkdir()
    for number in range(3):
        path = folder / f"{number}.jpg"
        Image.new("RGB", (8, 8)).save(path)
        vectors[path] = rng.normal(size=8)
    (folder / "train_labels.json").write_text('{"0.jpg": "sofa", "1.jpg": "bed", "2.jpg": []}')
words = {word: rng.normal(size=8) for word in (*general_words(), "sofa", "bed")}
with Checkpoints(root / "checkpoints") as checkpoints:
    Sieve.fit(Dataset.load(root), VectorEncoder("x", vectors, words), checkpoints=checkpoints)
print([name for name in ("torch", "transformers", "sklearn", "pandas") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr
