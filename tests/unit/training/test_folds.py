"""Epoch and mix are chosen on photos that were held out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from photosieve.data.dataset import Dataset
from photosieve.decision.metrics import first_within_noise
from photosieve.encoders.protocol import Encoder, Head
from photosieve.errors import GuaranteeError
from photosieve.sieve.evidence import Evidence
from photosieve.sieve.sieve import Sieve
from photosieve.training import held_out as held_out_module
from photosieve.training.features import Prepared
from photosieve.training.fit import fit, fit_as
from photosieve.training.folds import MIXES, out_of_fold
from photosieve.training.held_out import HeldOut, mixed
from photosieve.training.recipe import Recipe
from photosieve.training.run import History, Run

RECIPE = Recipe("mine", "", batch_size=10, epochs=12, learning_rate=5e-3, scale=5.0)
PICKS = replace(RECIPE, picks_epoch=True)
MIXED = replace(RECIPE, interpolates=True)
BOTH = replace(RECIPE, picks_epoch=True, interpolates=True)


@pytest.fixture(scope="module")
def noisy(prepared: Prepared) -> Prepared:
    """A third of all labels is wrong: what training learns by heart does not help others."""
    wrong = np.random.default_rng(3).random(prepared.targets.shape) < 0.3
    return replace(prepared, targets=prepared.targets ^ wrong)


def best_f1(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Try every threshold in turn."""
    found = []
    for threshold in np.unique(scores):
        kept = scores >= threshold
        both = (kept & right).sum(0)
        found.append((2 * both / (kept.sum(0) + right.sum(0)).clip(min=1)).mean())
    return float(max(found))


def trained(data: Prepared, start: Head, recipe: Recipe) -> Head:
    return fit(data, start, Run(recipe))[0]


def parts_of(data: Prepared) -> list[NDArray[np.intp]]:
    return data.dataset.folds()


# --- the choice -----------------------------------------------------------------------------------


def test_training_ends_at_the_best_epoch(noisy: Prepared, encoder: Encoder) -> None:
    parts = parts_of(noisy)
    scores, history = out_of_fold(noisy, encoder.head, Run(PICKS), parts)
    f1 = np.array(history.held_out_f1)
    assert f1.shape == (12, 1)
    assert history == History(int(f1.argmax()) + 1, 1.0, history.held_out_f1)
    assert 1 < history.epochs < 12  # neither the first nor the last: there was something to choose
    assert f1[-1] < f1.max()
    # What is returned are the scores at that point, as if so many epochs had been asked for.
    ended = replace(RECIPE, epochs=history.epochs)
    expected, nothing = out_of_fold(noisy, encoder.head, Run(ended), parts)
    assert_array_equal(scores, expected)
    assert nothing == History(history.epochs)
    assert f1.max() == pytest.approx(best_f1(scores, noisy.targets))
    every = [
        out_of_fold(noisy, encoder.head, Run(replace(RECIPE, epochs=n)), parts)[0] for n in (1, 12)
    ]
    assert_allclose(f1[[0, -1], 0], [best_f1(scores, noisy.targets) for scores in every])


def test_the_chosen_training_is_that_many_epochs(noisy: Prepared, encoder: Encoder) -> None:
    sieve = Sieve.fit_prepared(encoder, noisy, Run(PICKS), words=False)
    chosen = sieve.history.epochs
    assert 1 < chosen < 12
    assert len(sieve.history.losses) == chosen
    expected = trained(noisy, encoder.head, replace(RECIPE, epochs=chosen))
    assert sieve.encoder.head.fingerprint() == expected.fingerprint()
    assert sieve.history.held_out_f1[chosen - 1] == max(sieve.history.held_out_f1)


def test_the_mix_is_chosen_at_the_last_epoch(noisy: Prepared, encoder: Encoder) -> None:
    """Where only the mix is open all epochs are trained, even if none gets better for long."""
    recipe = replace(MIXED, epochs=held_out_module.PATIENCE + 15, learning_rate=1e-2)
    parts = parts_of(noisy)
    scores, history = out_of_fold(noisy, encoder.head, Run(recipe), parts)
    f1 = np.array(history.held_out_f1)
    assert f1.shape == (1, len(MIXES))
    assert history.epochs == recipe.epochs
    assert history.mix == MIXES[int(f1[0].argmax())]
    assert history.mix < 1
    for held_out in parts:
        rest = noisy.rows(np.setdiff1d(np.arange(24), held_out))
        head = mixed(encoder.head, trained(rest, encoder.head, recipe), history.mix)
        expected = noisy.rows(held_out).scores(head)
        assert_array_equal(scores[held_out], expected)
    pretrained = best_f1(noisy.scores(encoder.head).astype(float), noisy.targets)
    assert_allclose(f1[:, 0], pretrained)  # mix 0 is the pretrained head in each epoch


def test_epoch_and_mix_are_chosen_together(noisy: Prepared, encoder: Encoder) -> None:
    scores, history = out_of_fold(noisy, encoder.head, Run(BOTH), parts_of(noisy))
    f1 = np.array(history.held_out_f1)
    assert f1.shape == (12, len(MIXES))
    assert f1[history.epochs - 1, MIXES.index(history.mix)] == f1.max()
    assert best_f1(scores, noisy.targets) == pytest.approx(f1.max())


def test_of_equals_the_shortest_and_the_nearest_wins(prepared: Prepared, encoder: Encoder) -> None:
    """A rate of zero makes all epochs and mixes equal."""
    for recipe, expected in ((BOTH, (1, 0.0)), (PICKS, (1, 1.0)), (MIXED, (12, 0.0))):
        still = replace(recipe, learning_rate=0.0)
        scores, history = out_of_fold(prepared, encoder.head, Run(still), parts_of(prepared))
        assert len(np.unique(history.held_out_f1)) == 1
        assert (history.epochs, history.mix) == expected
        assert_allclose(scores, prepared.scores(encoder.head), atol=1e-6)


@pytest.mark.parametrize("mix", MIXES)
def test_a_mix_is_a_mean_of_weights(mix: float, prepared: Prepared, encoder: Encoder) -> None:
    start = encoder.head
    end = trained(prepared, start, replace(RECIPE, trains_text=True))
    found = mixed(start, end, mix)
    before, after = start.arrays(), end.arrays()
    assert np.abs(before["text"] - after["text"]).max() > 1e-3
    for name, array in found.arrays().items():
        assert array.dtype == np.float32
        assert_allclose(array, (1 - mix) * before[name] + mix * after[name], atol=1e-7)
    if mix in (0.0, 1.0):
        assert found.fingerprint() == (end if mix else start).fingerprint()


def test_a_fold_that_gets_no_better_stops_early(prepared: Prepared, encoder: Encoder) -> None:
    recipe = replace(PICKS, epochs=1000, learning_rate=0.0)
    _, history = out_of_fold(prepared, encoder.head, Run(recipe), parts_of(prepared))
    assert len(history.held_out_f1) == 1 + held_out_module.PATIENCE
    assert history.epochs == 1


def test_a_fold_that_stopped_stays_as_it_was(
    noisy: Prepared, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out_module, "PATIENCE", 2)
    parts = parts_of(noisy)
    lengths, last = [], []
    for held_out in parts:
        left_out = noisy.rows(held_out)
        watch = HeldOut(left_out, encoder.head, (1.0,))
        rest = noisy.rows(np.setdiff1d(np.arange(24), held_out))
        fit(rest, encoder.head, Run(replace(RECIPE, epochs=40)), held_out=watch)
        for epoch, found in enumerate(watch.scores):
            assert watch.best[epoch] == pytest.approx(best_f1(found[0], left_out.targets))
        assert len(watch.best) - 1 - int(np.argmax(watch.best)) == 2
        lengths.append(len(watch.scores))
        last.append(watch.scores[-1][0])
    assert len(set(lengths)) > 1
    _, history = out_of_fold(noisy, encoder.head, Run(replace(PICKS, epochs=40)), parts)
    assert len(history.held_out_f1) == max(lengths)
    table = np.zeros(noisy.targets.shape)
    for held_out, scores in zip(parts, last, strict=True):
        table[held_out] = scores
    assert history.held_out_f1[-1][0] == pytest.approx(best_f1(table, noisy.targets))


def test_nothing_is_scored_between_epochs_if_nothing_is_open(
    prepared: Prepared, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Head] = []
    scores = Prepared.scores

    def counted(self: Prepared, head: Head) -> NDArray[np.float32]:
        asked.append(head)
        return scores(self, head)

    monkeypatch.setattr(Prepared, "scores", counted)
    _, history = out_of_fold(prepared, encoder.head, Run(RECIPE), parts_of(prepared))
    assert len(asked) == 4  # once for each fold
    assert history == History(12)
    out_of_fold(prepared, encoder.head, Run(PICKS), parts_of(prepared))
    assert len(asked) > 4 + 4 * 2


@pytest.mark.parametrize("recipe", [PICKS, MIXED, BOTH])
def test_folds_that_teach_nothing_leave_the_recipe_as_it_is(
    recipe: Recipe, prepared: Prepared, encoder: Encoder
) -> None:
    """All labels are in the building that is held out: no fold says how long to train."""
    held_out = parts_of(prepared)[0]
    targets = np.zeros_like(prepared.targets)
    targets[held_out] = prepared.targets[held_out]
    data = replace(prepared, targets=targets)
    scores, history = out_of_fold(data, encoder.head, Run(recipe), [held_out])
    assert history == History(recipe.epochs)
    assert_array_equal(scores[held_out], prepared.rows(held_out).scores(encoder.head))
    # With the other folds, of which one learns something, there is a choice again.
    assert out_of_fold(data, encoder.head, Run(recipe), parts_of(prepared))[1].held_out_f1


# --- one part held out once -----------------------------------------------------------------------


def test_one_fold_holds_out_a_third_of_the_buildings(prepared: Prepared, encoder: Encoder) -> None:
    evidence, _ = Evidence.collect(prepared, encoder.head, Run(RECIPE, folds=1))
    scores, relevant, groups, known = evidence.held_out()
    assert known.all()
    expected = prepared.dataset.folds(3)[0]
    assert len(scores) == len(expected) == len(groups) < 24 / 2
    assert np.isfinite(scores).all()
    assert_array_equal(relevant, prepared.targets[expected])
    assert np.isnan(evidence.scores[np.setdiff1d(np.arange(24), expected)]).all()
    seen = prepared.rows(np.setdiff1d(np.arange(24), expected))
    head = trained(seen, encoder.head, RECIPE)
    assert_array_equal(scores, prepared.rows(expected).scores(head))


def test_one_fold_chooses_too(noisy: Prepared, encoder: Encoder) -> None:
    evidence, history = Evidence.collect(noisy, encoder.head, Run(BOTH, folds=1), words=False)
    scores, relevant, *_ = evidence.held_out()
    assert best_f1(scores, relevant) == pytest.approx(np.max(history.held_out_f1))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_fold_of_few_photos(count: int, prepared: Prepared, encoder: Encoder) -> None:
    few = prepared.rows(np.arange(count))
    evidence = Sieve.fit_prepared(encoder, few, Run(BOTH, folds=1)).evidence
    assert np.isfinite(evidence.held_out()[0]).all()
    assert len(evidence.held_out()[0]) >= 1
    evidence.tune(few.labels, "f1")


def test_a_sieve_of_one_fold_does_all_that_others_do(
    listings: Path, encoder: Encoder, tmp_path: Path
) -> None:
    dataset = Dataset.load(listings / "train")
    recipe = replace(BOTH, epochs=30, usual_slope=23.0, usual_intercept=-3.5)
    sieve = Sieve.fit(dataset, encoder, recipe=recipe, folds=1)
    held_out = len(sieve.evidence.held_out()[0])
    assert 0 < held_out < len(dataset) / 2
    red = {"red.png", "red-too.png", "both.png"}
    found = sieve.search("red", listings / "test" / "house-8")
    assert {hit.path.name for hit in found} == red
    sieve.save(tmp_path / "sieve")
    again = Sieve.load(tmp_path / "sieve", encoder)
    assert_array_equal(again.evidence.scores, sieve.evidence.scores)
    assert again.history == sieve.history
    assert len(again.history.held_out_f1[0]) == len(MIXES)
    assert len(again.history.losses) == again.history.epochs
    again.evaluate(listings / "test")
    # Another objective is tuned from the same held-out photos, without reading any.
    retuned = again.retune(dataset, "recall>=0.9")
    assert_array_equal(retuned.evidence.scores, sieve.evidence.scores)
    assert again.retune(dataset).cut == sieve.cut
    with pytest.raises(GuaranteeError, match="building"):  # two of them are far too few
        again.with_guarantee(dataset, "recall>=0.9")


def test_history_is_read_as_it_was_written() -> None:
    history = History(2, 0.75, ((0.1, 0.2), (0.3, 0.4)), (0.5, 0.25))
    saved = {"losses": [0.5, 0.25], "held_out_f1": [[0.1, 0.2], [0.3, 0.4]], "epochs": 2}
    assert History.from_dict({**saved, "mix": 0.75}) == history


def test_losses_are_noted_without_a_choice(prepared: Prepared, encoder: Encoder) -> None:
    run = Run(replace(RECIPE, epochs=4))
    _, losses = fit_as(History(4), prepared, encoder.head, Run(RECIPE))
    history = Sieve.fit_prepared(encoder, prepared, run, words=False).history
    assert history == History(4, losses=tuple(losses))


# --- the safest of what is about as good as the best ----------------------------------------------


def test_the_first_within_half_a_standard_error_is_taken() -> None:
    """What is lost against the best row: .01 +- .022 (half of it: .011), or .03 +- .0."""
    best = np.array([0.7, 0.5, 0.9])
    noisy, surely_worse = best - [0.0, -0.03, 0.06], best - [0.03, 0.03, 0.03]
    assert first_within_noise(np.array([noisy, surely_worse, best])) == 0
    assert first_within_noise(np.array([surely_worse, noisy, best])) == 1
    assert first_within_noise(np.array([surely_worse, best])) == 1
    assert first_within_noise(np.array([best, surely_worse])) == 0


def test_of_equal_ones_the_safest_is_taken() -> None:
    assert first_within_noise(np.full((4, 5), 0.6)) == 0


def test_a_column_that_is_nowhere_defined_does_not_count() -> None:
    values = np.array([[0.5, np.nan, 0.5], [0.9, np.nan, 0.9]])
    assert first_within_noise(values) == 1
    assert first_within_noise(np.full((3, 2), np.nan)) == 0
