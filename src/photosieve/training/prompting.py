"""The choice of the prompts that rank the labeled photos best, without any training."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from photosieve.decision.metrics import average_precisions, first_within_noise
from photosieve.encoders.prompts import BARE, PROMPTS, prompts_of, with_prompts
from photosieve.encoders.protocol import Encoder, Float32Array, OwnWords
from photosieve.encoders.words import general_words, word_features
from photosieve.training.features import Prepared
from photosieve.training.recipe import Recipe

SOME = slice(None, None, 25)
"""General words that are enough to center the texts of a prompt."""


def prompted(encoder: Encoder, data: Prepared, recipe: Recipe) -> tuple[Encoder, Prepared]:
    """Choose prompts for an encoder, and embed the texts of a data set with them.

    No training is needed for it: labels are ranked by the pretrained, centered scores. The bare
    word is kept unless others are better by more than chance. Recipes that do not center texts
    take words as they are, and so do encoders with words of their own.

    Parameters
    ----------
    encoder : Encoder
        Pretrained.
    data : Prepared
        The training photos, with the bare words.
    recipe : Recipe
    """
    if not recipe.centers or isinstance(encoder, OwnWords):
        return encoder, data
    # Rows of tokens, as towers that are trained want them, cannot be averaged.
    options = [prompts for prompts in PROMPTS if len(prompts) == 1 or not recipe.trains_blocks]
    embed = functools.cache(functools.partial(_in_sentence, encoder, data))  # each sentence once

    def quality(prompts: tuple[str, ...]) -> NDArray[np.float64]:
        """Average precision of each label by the pretrained scores, (labels,)."""
        parts = zip(*map(embed, prompts), strict=True)
        texts, words = (np.asarray(np.mean(part, axis=0), np.float32) for part in parts)
        head = encoder.head.centered(words)
        scores = head.project_photos(data.photos) @ head.project_texts(texts).T
        return average_precisions(scores, data.targets, data.known)

    chosen = first_within_noise(np.array([quality(prompts) for prompts in options]))
    return with_given_prompts(encoder, data, options[chosen])


def with_given_prompts(
    encoder: Encoder, data: Prepared, prompts: tuple[str, ...]
) -> tuple[Encoder, Prepared]:
    """Give an encoder prompts, and embed the texts of a data set with them."""
    if prompts == prompts_of(encoder) == BARE:
        return encoder, data
    chosen = with_prompts(encoder, prompts)
    texts, words = chosen.text_features(data.labels), word_features(chosen)
    return chosen, replace(data, texts=texts, words=words)


def _in_sentence(
    encoder: Encoder, data: Prepared, prompt: str
) -> tuple[Float32Array, Float32Array]:
    """Features of the labels and of some general words, each in a sentence."""
    asked = with_prompts(encoder, (prompt,))
    texts = data.texts if (prompt,) == BARE else asked.text_features(data.labels)
    return texts, asked.text_features(general_words()[SOME])
