"""Texts are put into sentences, and features of several sentences are averaged."""

from pathlib import Path

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from photosieve.encoders.prompts import BARE, PromptedEncoder, prompts_of, with_prompts
from tests.conftest import FakeEncoder


def test_texts_are_put_into_sentences() -> None:
    encoder = FakeEncoder()
    asked = with_prompts(encoder, ("a photo of a {}",))
    assert prompts_of(asked) == ("a photo of a {}",)
    found = asked.text_features(["sofa", "a {} in braces"])
    sentences = ["a photo of a sofa", "a photo of a a {} in braces"]
    assert_array_equal(found, encoder.text_features(sentences))


def test_features_of_several_are_averaged() -> None:
    encoder = FakeEncoder()
    found = with_prompts(encoder, ("{}", "the {}")).text_features(["sofa"])
    assert_allclose(found, encoder.text_features(["sofa", "the sofa"]).mean(0)[None], rtol=1e-6)


def test_the_bare_word_needs_no_wrapper() -> None:
    encoder = FakeEncoder()
    assert with_prompts(encoder, BARE) is encoder
    assert with_prompts(with_prompts(encoder, ("the {}",)), BARE) is encoder
    assert prompts_of(encoder) == BARE


def test_prompts_decide_about_texts_and_not_about_photos(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    asked = with_prompts(encoder, ("the {}",))
    assert asked.trunk_fingerprint == encoder.trunk_fingerprint
    assert asked.fingerprint != encoder.fingerprint
    assert asked.name == encoder.name
    head = encoder.head.centered(np.ones((2, encoder.head.text_width), np.float32))
    again = asked.with_head(head)
    assert prompts_of(again) == ("the {}",)
    assert again.head is head
    assert isinstance(asked, PromptedEncoder)
    assert prompts_of(asked.export(tmp_path)) == ("the {}",)
