"""A learned sieve is compared with the one before it fairly, and the comparison adds up."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from photosieve.data.dataset import Dataset
from photosieve.decision.cut import Cut
from photosieve.encoders.protocol import Encoder
from photosieve.sieve import review as review_module
from photosieve.sieve.review import Review, review
from photosieve.sieve.sieve import Sieve
from photosieve.sieve.untrained import untrained
from photosieve.training.features import Prepared, prepare
from photosieve.training.run import Run
from tests.conftest import QUICK, FakeEncoder


@pytest.fixture(scope="module")
def sieve(encoder: Encoder, prepared: Prepared) -> Sieve:
    return Sieve.fit_prepared(encoder, prepared, Run(QUICK), words=False)


@pytest.fixture(scope="module")
def fewer(encoder: Encoder, prepared: Prepared) -> Sieve:
    """A sieve that never heard of "garden", learned from the first two buildings."""
    data = prepared.dataset
    few = data.select(
        [row for row, group in enumerate(data.groups) if group in sorted(set(data.groups))[:2]]
    )
    known = [[label for label in labels if label != "garden"] for labels in few.labels]
    seen = prepare(encoder, replace(few, labels=tuple(map(tuple, known))))
    return Sieve.fit_prepared(encoder, seen, Run(QUICK), words=False)


@pytest.fixture(scope="module")
def test(encoder: Encoder, listings: Path) -> Prepared:
    data = Dataset.load(listings / "test")
    return prepare(encoder, data, labels=("blue", "garden", "red"))


def blank(prepared: Prepared) -> Sieve:
    return untrained(prepared.dataset.photos, FakeEncoder())


def test_the_same_sieve_twice_differs_by_nothing(
    sieve: Sieve, prepared: Prepared, test: Prepared
) -> None:
    for kept in (None, test):
        found = review(sieve, sieve, prepared, kept)
        for figure in ("macro_f1", "macro_precision", "macro_recall", "accuracy"):
            change = found.difference(figure)
            assert (change.value, change.low, change.high) == (0, 0, 0)


def test_kept_photos_judge_as_evaluate_does(
    fewer: Sieve, sieve: Sieve, prepared: Prepared, test: Prepared
) -> None:
    found = review(fewer, sieve, prepared, test)
    assert found.tested
    direct = sieve.evaluate_prepared(test)
    both = [list(direct.labels).index(label) for label in found.after.labels]
    assert set(found.after.labels) == set(fewer.labels)
    np.testing.assert_array_equal(found.after.kept, direct.kept[:, both])
    np.testing.assert_array_equal(found.after.probabilities, direct.probabilities[:, both])
    assert found.before.photos == found.after.photos == test.dataset.photos


def test_without_them_no_photo_is_judged_by_what_learned_from_it(
    sieve: Sieve, prepared: Prepared
) -> None:
    found = review(sieve, sieve, prepared, None)
    assert not found.tested
    np.testing.assert_allclose(found.before.scores, sieve.evidence.scores, atol=1e-6)
    learned = prepared.scores(sieve.encoder.head)
    assert np.abs(found.before.scores - learned).max() > 0.01


def test_an_older_sieve_is_held_out_where_it_learned_and_asked_plainly_elsewhere(
    fewer: Sieve, sieve: Sieve, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Plain colors look the same in every building here; what is told apart are the very photos.
    monkeypatch.setattr(review_module, "SAME_PHOTO", 0.999999)
    found = review(fewer, sieve, prepared, None)
    groups = np.array(found.before.groups)
    old = np.isin(groups, sorted(set(groups))[:2])
    plain = prepared.scores(fewer.encoder.head)
    columns = {label: column for column, label in enumerate(fewer.labels)}
    for column, label in enumerate(found.before.labels):
        own = plain[~old, prepared.labels.index(label)]
        np.testing.assert_allclose(found.before.scores[~old, column], own, atol=1e-5)
        held_out = fewer.evidence.scores[:, columns[label]]
        np.testing.assert_allclose(found.before.scores[old, column], held_out, atol=1e-5)


def test_a_new_label_is_no_part_of_the_comparison(
    fewer: Sieve, sieve: Sieve, test: Prepared
) -> None:
    figures = review(fewer, sieve, test, test).to_dict()
    assert {row["label"] for row in figures["labels"]} == {"blue", "red"}
    (new,) = figures["new"]
    assert new["label"] == "garden"
    assert new["after"] > 0.5
    unknown = replace(test, known=test.known & (np.array(test.labels) != "garden"))
    untested = review(fewer, sieve, test, unknown).to_dict()
    assert untested["figures"] == figures["figures"]  # it did not count before, either
    assert untested["new"] == [{"label": "garden", "after": None, "photos": 0}]
    change = figures["figures"]["macro_f1"]
    assert change["difference"] == pytest.approx(change["after"] - change["before"])
    assert figures["buildings"] == 2
    assert figures["photos"] == len(test.dataset.photos)


def test_the_verdict_and_its_photos(sieve: Sieve, test: Prepared) -> None:
    same = review(sieve, sieve, test, test)
    assert same.verdict == "no clear difference"
    assert all(row["right"] == row["wrong"] == [] for row in same.to_dict()["labels"])
    never = replace(sieve, tuning=replace(sieve.tuning, cut=Cut.threshold(2.0)))  # finds nothing
    for one, other, word, named in (
        (never, sieve, "better", "right"),
        (sieve, never, "worse", "wrong"),
    ):
        found = review(one, other, test, test)
        assert found.verdict == word
        for row in found.to_dict(lambda path: path.name)["labels"]:
            count = {"right": row["changed"][0], "wrong": row["changed"][1]}
            assert count[named] == len(row[named]) == row["photos"]
            assert row["verdict"] in (word, None)  # a few photos may be chance


def test_from_no_labels_to_some(sieve: Sieve, prepared: Prepared, test: Prepared) -> None:
    found = review(blank(prepared), sieve, prepared, test)
    assert found.difference("macro_f1").value > 0


def test_what_is_undefined_is_null_in_json(sieve: Sieve, prepared: Prepared) -> None:
    rows = [row for row, group in enumerate(prepared.dataset.groups) if group.endswith("0")]
    one = prepared.rows(np.array(rows))
    found: Review = review(sieve, sieve, prepared, one)
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.loads(text)["buildings"] == 1
