"""The facade: fit, save, load, search, evaluate and tune again."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from photosieve.data.dataset import Dataset
from photosieve.decision.calibration import log_odds
from photosieve.decision.cut import Cut
from photosieve.encoders.protocol import Encoder
from photosieve.errors import SieveError, TrainingError, UsageError
from photosieve.sieve.answer import SearchResult
from photosieve.sieve.folder import MANIFEST
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared
from photosieve.training.fit import fit
from photosieve.training.folds import out_of_fold
from photosieve.training.run import Run
from tests.conftest import QUICK


@pytest.fixture(scope="module")
def sieve(listings: Path, encoder: Encoder) -> Sieve:
    return Sieve.fit(Dataset.load(listings / "train"), encoder, recipe=QUICK)


@pytest.fixture
def train(listings: Path, tmp_path: Path) -> Path:
    """A copy of the training folder, to be changed."""
    return Path(shutil.copytree(listings / "train", tmp_path / "train"))


@pytest.fixture
def saved(sieve: Sieve, tmp_path: Path) -> Path:
    sieve.save(tmp_path / "sieve")
    return tmp_path / "sieve"


def names(result: SearchResult) -> set[str]:
    return {hit.path.name for hit in result}


def with_cut(sieve: Sieve, cut: Cut) -> Sieve:
    return replace(sieve, tuning=replace(sieve.tuning, cut=cut))


# --- fit ------------------------------------------------------------------------------------------


def test_fit_says_what_it_was_trained_on(sieve: Sieve) -> None:
    assert sieve.labels == {"red": 12, "blue": 8, "garden": 4}
    assert repr(sieve) == f"<Sieve of {sieve.encoder.name}: 3 labels learned from 24 photos>"
    assert sieve.recipe == QUICK
    assert sieve.evidence.scores.shape == (24, 3)
    assert sieve.evidence.names[:2] == ("house-0/red.png", "house-0/red-too.png")
    assert sieve.skipped == ()


def test_the_same_seed_gives_the_same_sieve(sieve: Sieve, listings: Path, encoder: Encoder) -> None:
    again = Sieve.fit(Dataset.load(listings / "train"), encoder, recipe=QUICK)
    assert again.encoder.fingerprint == sieve.encoder.fingerprint
    assert again.tuning == sieve.tuning


def test_the_seed_reaches_every_training(prepared: Prepared, encoder: Encoder) -> None:
    small = replace(QUICK, epochs=2, batch_size=5)
    sieve = Sieve.fit_prepared(encoder, prepared, Run(small, 3, folds=2))
    folds = prepared.dataset.folds(2, seed=3)
    assert not np.array_equal(folds[0], prepared.dataset.folds(2, seed=0)[0])
    start = encoder.head.centered(prepared.words)
    held_out, _ = out_of_fold(prepared, start, Run(small, 3), folds)
    head, _ = fit(prepared, start, Run(small, 3))
    assert sieve.seed == 3
    assert sieve.encoder.head.fingerprint() == head.fingerprint()
    assert_array_equal(sieve.evidence.scores, held_out)


def test_the_cut_is_tuned_on_held_out_scores(sieve: Sieve, listings: Path) -> None:
    held_out = sieve.evidence
    assert sieve.tuning == held_out.tune(tuple(sieve.labels), "f1")
    seen = sieve.evaluate(listings / "train").scores
    assert np.abs(held_out.scores - seen).min() > 0  # no score by the head that saw the photo


def test_a_broken_training_photo_is_skipped(train: Path, encoder: Encoder) -> None:
    (train / "house-1" / "red.png").write_bytes(b"not a photo")
    sieve = Sieve.fit(Dataset.load(train), encoder, recipe=QUICK)
    assert [skip.path.name for skip in sieve.skipped] == ["red.png"]
    assert sieve.labels["red"] == 11
    assert len(sieve.evidence.names) == len(sieve.evidence.scores) == 23


def test_one_building_and_one_photo_are_enough(train: Path, encoder: Encoder) -> None:
    house = Dataset.load(train / "house-0")
    assert np.isfinite(Sieve.fit(house, encoder, recipe=QUICK).evidence.scores).all()
    single = Sieve.fit(house.select([0]), encoder, recipe=QUICK)
    assert single.evidence.scores.shape == (1, 1)
    assert names(single.search("red", train / "house-0")) >= {"red.png", "red-too.png"}


def test_unlabeled_photos_are_what_words_are_measured_against(
    train: Path, encoder: Encoder, tmp_path: Path
) -> None:
    for file in train.glob("*/train_labels.json"):
        labels = json.loads(file.read_text())
        file.write_text(json.dumps({"red.png": labels["red.png"], "blue.png": labels["blue.png"]}))
    (train / "house-0" / "green.png").write_bytes(b"no photo")
    data = Dataset.load(train)
    sieve = Sieve.fit(data, encoder, recipe=QUICK)
    assert len(sieve.evidence.scores) == 8
    assert len(sieve.background) == 23  # not the broken one
    sieve.save(tmp_path / "sieve")
    again = Sieve.load(tmp_path / "sieve", encoder)
    for query in ("red", "green"):
        one, two = (s.search(query, train / "house-1").to_dict() for s in (sieve, again))
        assert one == two
    # They are no negatives: labels are learned as without them.
    without = Sieve.fit(replace(data, unlisted=()), encoder, recipe=QUICK)
    assert_array_equal(sieve.evidence.scores, without.evidence.scores)
    assert sieve.cut == without.cut


def test_training_without_a_label_or_a_readable_photo(train: Path, encoder: Encoder) -> None:
    gray = Dataset.load(train).select([5])
    with pytest.raises(TrainingError, match="no photo has a label; list at least one"):
        Sieve.fit(gray, encoder)
    (train / "house-0" / "red.png").write_bytes(b"")
    broken = Dataset.load(train).select([0])
    with pytest.raises(TrainingError, match=r"none of the 1 photos.*red\.png: the file is empty"):
        Sieve.fit(broken, encoder)


# --- save and load --------------------------------------------------------------------------------


def test_saved_and_loaded_it_answers_the_same(
    sieve: Sieve, saved: Path, listings: Path, encoder: Encoder
) -> None:
    loaded = Sieve.load(saved, encoder)
    assert loaded.encoder.fingerprint == sieve.encoder.fingerprint
    assert (loaded.labels, loaded.recipe, loaded.seed) == (sieve.labels, sieve.recipe, sieve.seed)
    assert loaded.tuning == sieve.tuning
    assert_array_equal(loaded.evidence.scores, sieve.evidence.scores)
    assert_array_equal(loaded.evidence.relevant, sieve.evidence.relevant)
    assert loaded.evidence.names == sieve.evidence.names
    assert loaded.evidence.groups == sieve.evidence.groups
    for query in ("red", "garden", "something else"):
        assert loaded.search(query, listings / "test") == sieve.search(query, listings / "test")


def edit(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda manifest: manifest | changes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit(fingerprint="fake-other"), "tuned for other weights than those found here"),
        (edit(recipe={"name": "balanced"}), "damaged"),
        (edit(labels=["red"]), "damaged"),
        (edit(labels={"red": 1e400}), "damaged"),
        (edit(tuning={}), "damaged"),
        (edit(evidence=None), "damaged"),
        (lambda m: m | {"tuning": m["tuning"] | {"cut": {}}}, "the saved cut is damaged"),
        (lambda m: {k: v for k, v in m.items() if k != "seed"}, "damaged .*seed"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    change: Callable[[dict[str, Any]], dict[str, Any]],
    message: str,
    saved: Path,
    encoder: Encoder,
) -> None:
    manifest = json.loads((saved / MANIFEST).read_text("utf-8"))
    (saved / MANIFEST).write_text(json.dumps(change(manifest)), "utf-8")
    with pytest.raises(SieveError, match=message) as caught:
        Sieve.load(saved, encoder)
    assert "\n" not in str(caught.value)
    assert "train again" in str(caught.value) or "tune again" in str(caught.value)


def test_an_encoder_that_is_not_there_is_refused(saved: Path) -> None:
    with pytest.raises(SieveError, match=r'damaged .*there is no encoder "fake".*train again'):
        Sieve.load(saved)


def test_a_head_of_another_sieve_is_refused(sieve: Sieve, saved: Path, tmp_path: Path) -> None:
    """The cut of one and the weights of another would be a silent mistake."""
    start = sieve.encoder.head
    other = replace(
        sieve,
        encoder=sieve.encoder.with_head(
            start.with_arrays(start.arrays() | {"photo": 2 * start.arrays()["photo"]})
        ),
    )
    other.save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "head.safetensors", saved)
    with pytest.raises(SieveError, match=r"head\.safetensors: the file was altered"):
        Sieve.load(saved)


# --- search ---------------------------------------------------------------------------------------


def test_search_returns_all_that_match_and_nothing_else(sieve: Sieve, listings: Path) -> None:
    eight, nine = listings / "test" / "house-8", listings / "test" / "house-9"
    assert names(sieve.search("red", eight)) == {"red.png", "red-too.png", "both.png"}
    assert names(sieve.search("blue", eight)) == {"blue.png", "both.png"}
    assert names(sieve.search("garden", eight)) == {"green.png"}
    assert names(sieve.search("red", nine)) == {"red.png", "red-too.png"}


def test_search_can_answer_none(sieve: Sieve, listings: Path) -> None:
    result = sieve.search("blue", listings / "test" / "house-9")
    assert len(result) == 0
    assert len(result.hidden) == 4
    assert result.best_hidden == result.hidden[0].score
    assert result.hidden[0].probability < sieve.cut.gate


def test_words_that_are_no_labels_have_a_threshold_of_their_own(
    sieve: Sieve, listings: Path
) -> None:
    house = listings / "test" / "house-8"
    assert sieve.search("something else", house).cut == Cut.threshold(
        sieve.tuning.calibration.word_threshold
    )
    assert sieve.search("red", house).cut == sieve.cut


def test_hits_and_hidden_are_all_photos_best_first(sieve: Sieve, listings: Path) -> None:
    result = sieve.search("red", listings / "test")
    for part in (result.hits, result.hidden):
        scores = [hit.score for hit in part]
        assert scores == sorted(scores, reverse=True)
    found = [hit.path for hit in (*result.hits, *result.hidden)]
    assert sorted(found) == sorted((listings / "test").rglob("*.png"))
    assert all(-1 <= hit.score <= 1 for hit in (*result.hits, *result.hidden))


def test_the_score_of_several_terms_is_the_log_odds_of_a_match(
    sieve: Sieve, listings: Path
) -> None:
    result = sieve.search("red -blue", listings / "test" / "house-8")
    for hit in (*result.hits, *result.hidden):
        assert hit.score == pytest.approx(float(log_odds(hit.probability)))
        assert hit.probability == min(hit.terms[0], 1 - hit.terms[1])
    assert names(result) == {"red.png", "red-too.png"}


def test_each_folder_is_cut_as_a_list_of_its_own(sieve: Sieve, listings: Path) -> None:
    best_only = with_cut(sieve, Cut(gate=-1.0, floor=2.0))
    result = best_only.search("red", listings / "test")
    assert {hit.path.parent.name for hit in result} == {"house-8", "house-9"}
    assert len(result) == 2


def test_folders_given_twice_are_searched_once(sieve: Sieve, listings: Path) -> None:
    eight = listings / "test" / "house-8"
    assert sieve.search("red", eight, str(eight)) == sieve.search("red", eight)


@pytest.mark.parametrize(("top", "count"), [(1, 1), (4, 4), (99, 10)])
def test_a_fixed_number_of_the_best(top: int, count: int, sieve: Sieve, listings: Path) -> None:
    result = sieve.search("blue", listings / "test", top=top)
    assert len(result) == count
    assert len(result.hits) + len(result.hidden) == 10
    assert all(hit.score >= (result.best_hidden or -1) for hit in result)


def test_a_broken_photo_is_skipped_and_the_rest_is_searched(
    sieve: Sieve, listings: Path, tmp_path: Path
) -> None:
    house = Path(shutil.copytree(listings / "test" / "house-8", tmp_path / "house"))
    (house / "blue.png").write_bytes((house / "blue.png").read_bytes()[:100])
    result = sieve.search("red", house)
    assert names(result) == {"red.png", "red-too.png", "both.png"}
    assert [skip.path for skip in result.skipped] == [house / "blue.png"]
    assert len(result.hits) + len(result.hidden) == 5
    saved = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert saved["hidden"] == 2
    assert saved["skipped"][0]["path"] == str(house / "blue.png")


def test_a_skipped_photo_does_not_move_the_others_to_another_folder(
    sieve: Sieve, listings: Path, tmp_path: Path
) -> None:
    test = Path(shutil.copytree(listings / "test", tmp_path / "test"))
    (test / "house-8" / "blue.png").write_bytes(b"")
    best_only = with_cut(sieve, Cut(gate=-1.0, floor=2.0))
    found = {hit.path for hit in best_only.search("garden", test)}
    assert found == {test / "house-8" / "green.png", test / "house-9" / "green.png"}


def test_only_broken_photos(sieve: Sieve, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    result = sieve.search("red", tmp_path)
    assert (result.hits, result.hidden, result.best_hidden) == ((), (), None)
    assert len(result.skipped) == 1


@pytest.mark.parametrize("query", ["", "  \n"])
def test_an_empty_query(query: str, sieve: Sieve, listings: Path) -> None:
    with pytest.raises(UsageError, match="the query is empty"):
        sieve.search(query, listings / "test")


def test_searches_that_make_no_sense(sieve: Sieve, listings: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="top must be 1 or more, not 0"):
        sieve.search("red", listings / "test", top=0)
    with pytest.raises(UsageError, match=f"there is no photo in {tmp_path}"):
        sieve.search("red", tmp_path)
    with pytest.raises(UsageError, match="no folder is given: name the folders"):
        sieve.search("red")
    with pytest.raises(UsageError, match="does not exist"):
        sieve.search("red", tmp_path / "missing")


# --- evaluate -------------------------------------------------------------------------------------


def test_every_label_is_asked_in_every_building(sieve: Sieve, listings: Path) -> None:
    result = sieve.evaluate(listings / "test")
    assert result.buildings == ("house-8", "house-9")
    assert result.labels == ("red", "blue", "garden")
    assert result.counts.tp.shape == (2, 3)
    assert result.macro["f1"] == 1.0
    assert (result.empty.asked, result.empty.right) == (1, 1)
    assert result.trained == sieve.labels
    assert result.kept.sum() == result.relevant.sum() == 9


def test_evaluation_answers_as_search_does(sieve: Sieve, listings: Path) -> None:
    house = listings / "test" / "house-8"
    result = sieve.evaluate(house)
    for column, label in enumerate(result.labels):
        kept = {
            path for path, keep in zip(result.photos, result.kept[:, column], strict=True) if keep
        }
        assert kept == {hit.path for hit in sieve.search(label, house)}


def test_labels_that_were_not_trained_are_not_asked(
    sieve: Sieve, listings: Path, tmp_path: Path
) -> None:
    house = Path(shutil.copytree(listings / "test" / "house-8", tmp_path / "house"))
    (house / "test_labels.json").write_text('{"red.png": ["Red", "sofa"], "gray.png": ["sofa"]}')
    result = sieve.evaluate(house)
    assert result.labels == ("red", "blue", "garden")
    assert_array_equal(result.relevant, [[True, False, False], [False, False, False]])


def test_evaluate_takes_paths_or_a_dataset(sieve: Sieve, listings: Path) -> None:
    dataset = Dataset.load(listings / "test")
    by_path = sieve.evaluate(listings / "test" / "house-8", listings / "test" / "house-9")
    assert sieve.evaluate(dataset).totals == by_path.totals
    wrong: list[tuple[Any, ...]] = [(), (dataset, dataset), (dataset, listings / "test")]
    for arguments in wrong:
        with pytest.raises(UsageError, match="either paths or one Dataset"):
            sieve.evaluate(*arguments)


# --- tune again -----------------------------------------------------------------------------------


@pytest.mark.long
def test_tuning_again_opens_no_photo(sieve: Sieve, train: Path, encoder: Encoder) -> None:
    before = Dataset.load(train)
    fresh = Sieve.fit(before, encoder, recipe=QUICK, objective="recall>=0.95")
    for photo in before.photos:
        photo.write_bytes(b"gone")
    again = sieve.retune(Dataset.load(train), "recall>=0.95")  # "fake" cannot be loaded either
    assert again.tuning == fresh.tuning
    assert again.tuning.objective == "recall>=0.95"
    assert again.encoder is sieve.encoder


def test_held_out_scores_belong_to_photos_of_these_names(sieve: Sieve, train: Path) -> None:
    labels = tuple(sieve.labels)
    assert sieve.evidence.relabeled(Dataset.load(train), labels) is not None
    house = train / "house-2"
    (house / "gray.png").rename(house / "other.png")
    text = (house / "train_labels.json").read_text()
    (house / "train_labels.json").write_text(text.replace("gray.png", "other.png"))
    assert sieve.evidence.relabeled(Dataset.load(train), labels) is None


def test_tuning_again_with_corrected_labels(sieve: Sieve, train: Path) -> None:
    labels = train / "house-2" / "train_labels.json"
    corrected = json.loads(labels.read_text()) | {"gray.png": ["RED"], "blue.png": []}
    labels.write_text(json.dumps(dict(reversed(corrected.items()))))  # in another order, too
    again = sieve.retune(Dataset.load(train))
    assert sorted(again.evidence.names) == sorted(sieve.evidence.names)
    for name, scores, relevant in zip(
        again.evidence.names, again.evidence.scores, again.evidence.relevant, strict=True
    ):
        row = sieve.evidence.names.index(name)
        assert_array_equal(scores, sieve.evidence.scores[row])
        expected = {"house-2/gray.png": [1, 0, 0], "house-2/blue.png": [0, 0, 0]}
        assert_array_equal(relevant, expected.get(name, sieve.evidence.relevant[row]))
    assert again.tuning == again.evidence.tune(tuple(sieve.labels), "f1")
    assert again.tuning.figures != sieve.tuning.figures


@pytest.mark.long
def test_tuning_again_on_other_photos_scores_them_anew(
    sieve: Sieve, train: Path, encoder: Encoder
) -> None:
    shutil.rmtree(train / "house-3")
    dataset = Dataset.load(train)
    again = sieve.retune(dataset, encoder=encoder)
    fresh = Sieve.fit(dataset, encoder, recipe=QUICK)
    assert_array_equal(again.evidence.scores, fresh.evidence.scores)
    assert again.tuning == fresh.tuning
    assert again.encoder is sieve.encoder


def test_tuning_again_on_labels_that_were_not_trained(sieve: Sieve, train: Path) -> None:
    labels = train / "house-0" / "train_labels.json"
    labels.write_text('{"red.png": ["red", "sofa"]}')
    with pytest.raises(SieveError, match=r'not trained on the label "sofa" \(1 such'):
        sieve.retune(Dataset.load(train))
