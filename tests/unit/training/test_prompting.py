"""The prompt is the one that ranks the labeled photos best."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from photosieve.encoders.prompts import BARE, prompts_of
from photosieve.encoders.protocol import Encoder, Float32Array
from photosieve.encoders.words import general_words, word_features
from photosieve.training import prompting
from photosieve.training.features import Prepared
from photosieve.training.prompting import SOME, prompted
from photosieve.training.recipes import get_recipe
from tests.conftest import FakeEncoder


@dataclass(frozen=True)
class Captions(FakeEncoder):
    """Knows words in captions, and nothing of bare words."""

    def text_features(self, texts: Sequence[str]) -> Float32Array:
        known = [text.removeprefix("a photo of a ") for text in texts]
        found = super().text_features(known).copy()
        bare = [row for row, text in enumerate(texts) if not text.startswith("a photo of a ")]
        found[bare] = np.random.default_rng(0).normal(size=(len(bare), found.shape[1]))
        return found


def with_bare_texts(data: Prepared, encoder: Encoder) -> Prepared:
    return replace(data, texts=encoder.text_features(data.labels))


def test_a_model_of_captions_gets_captions(prepared: Prepared) -> None:
    encoder = Captions()
    data = with_bare_texts(prepared, encoder)
    chosen, again = prompted(encoder, data, get_recipe("probe"))
    assert prompts_of(chosen) == ("a photo of a {}",)
    assert np.array_equal(again.texts, chosen.text_features(data.labels))
    assert np.array_equal(again.words, word_features(chosen))


def test_each_sentence_is_embedded_once(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bare labels are embedded already."""
    asked: list[str] = []

    class Noting(FakeEncoder):
        def text_features(self, texts: Sequence[str]) -> Float32Array:
            asked.extend(texts)
            return super().text_features(texts)

    monkeypatch.setattr(prompting, "with_given_prompts", lambda *found: found[:2])
    prompted(Noting(), prepared, get_recipe("probe"))
    expected = 3 * len(prepared.labels) + 4 * len(general_words()[SOME])
    assert len(asked) == len(set(asked)) == expected


def test_recipes_of_the_notebooks_take_words_as_they_are(prepared: Prepared) -> None:
    encoder = Captions()
    chosen, data = prompted(encoder, prepared, get_recipe("notebook"))
    assert chosen is encoder
    assert data is prepared
    assert prompts_of(chosen) == BARE
