"""Hidden labels are asked for as words, by models and on photos that know nothing of them."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from photosieve.decision.calibration import Nearness, joint_affinity
from photosieve.encoders.protocol import Encoder, Head
from photosieve.training import hidden
from photosieve.training.features import Prepared
from photosieve.training.fit import fit_as
from photosieve.training.hidden import hidden_words, nearest
from photosieve.training.recipe import Recipe
from photosieve.training.run import History, Run

RECIPE = Recipe("mine", "", batch_size=10, epochs=12, learning_rate=5e-3, scale=5.0)


def test_hidden_words_come_from_the_chosen_training(prepared: Prepared, encoder: Encoder) -> None:
    parts = prepared.dataset.folds()
    pretrained, few, many = (
        hidden_words(prepared, encoder.head, Run(RECIPE), parts, history).normal
        for history in (History(5, 0.0), History(2), History(12))
    )
    untrained = hidden_words(prepared, encoder.head, Run(RECIPE), parts, History(0)).normal
    assert_array_equal(pretrained, untrained)
    assert not np.array_equal(few, many)


def test_hidden_labels_and_held_out_photos_are_not_trained_on(
    prepared: Prepared, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: dict[str, Prepared] = {}

    def note(history: History, data: Prepared, *args: Any, name: str) -> tuple[Head, list[float]]:
        noted[name] = data
        return fit_as(history, data, *args, name=name)

    monkeypatch.setattr(hidden, "fit_as", note)
    parts = prepared.dataset.folds(hidden.PARTS)
    found = hidden_words(prepared, encoder.head, Run(RECIPE), parts, History(0))
    asked_for = set()
    affinities = []
    for number, held_out in enumerate(parts, start=1):
        seen = noted[f"hidden-{number}"]
        photos = {prepared.dataset.photos[row] for row in held_out}
        assert len(seen.photos) == 24 - len(held_out)
        assert photos.isdisjoint(seen.dataset.photos)
        (label,) = set(prepared.labels) - set(seen.labels)  # a third of three
        asked_for.add(label)
        texts = encoder.head.project_texts(encoder.text_features([label, *seen.labels]))
        words = encoder.head.project_texts(seen.words)
        own = encoder.head.project_photos(seen.photos)
        units, topic = (
            Nearness.of((words @ texts[1:].T).max(1)),
            Nearness.of((words @ own.T).mean(1)),
        )
        to_labels, to_photos = (texts[1:] @ texts[0]).max(), (own @ texts[0]).mean()
        affinity = joint_affinity(units.affinity(to_labels), topic.affinity(to_photos), len(own))
        affinities += [affinity] * len(held_out)
    assert asked_for == set(prepared.labels)
    # Words are compared with the labels and photos that training saw, not with themselves.
    assert_allclose(found.affinity[~found.general], affinities, atol=1e-4)


def test_general_words_close_to_a_label_are_not_asked_for(
    prepared: Prepared, encoder: Encoder
) -> None:
    found = hidden_words(prepared, encoder.head, Run(RECIPE), prepared.dataset.folds(), History(0))
    assert found.general.any()
    assert found.affinity[found.general].max() <= 0
    assert not found.relevant[found.general].any()


def test_a_word_and_a_building_are_one_question(prepared: Prepared, encoder: Encoder) -> None:
    """One fold of two buildings with six photos each: each word is asked in both."""
    rows = np.arange(12)
    found = hidden_words(prepared, encoder.head, Run(RECIPE), [rows], History(0))
    _, sizes = np.unique(found.question, return_counts=True)
    assert (sizes == 6).all()
    labels = len(np.unique(found.question[~found.general]))
    assert labels == 2  # one hidden label, two buildings


def test_without_labels_nothing_is_near(encoder: Encoder) -> None:
    texts = encoder.head.project_texts(encoder.text_features(["red", "blue"]))
    assert_array_equal(nearest(texts, texts[:0]), [0.0, 0.0])
    assert_allclose(nearest(texts, texts), [1.0, 1.0], atol=1e-6)
