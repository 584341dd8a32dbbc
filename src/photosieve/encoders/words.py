"""General words: a thousand common things, the same for every encoder that has none of its own."""

from __future__ import annotations

import functools
from importlib import resources

import numpy as np

from photosieve.encoders import derived
from photosieve.encoders.protocol import Encoder, Float32Array, OwnWords

CHECKED = slice(None, None, 125)
"""Words that are embedded again, to see whether features from the cache are still right."""

TOLERANCE = 1e-3
"""Largest difference of two computations, as a fraction of the largest number."""


@functools.cache
def general_words() -> tuple[str, ...]:
    """ImageNet's class names in class order: the first WordNet lemma of each ILSVRC-2012 synset."""
    text = resources.files("photosieve.encoders").joinpath("imagenet.txt").read_text("utf-8")
    return tuple(text.splitlines())


def word_features(encoder: Encoder) -> Float32Array:
    """Run the trunk's text side on the general words, or on the encoder's own: (words, q).

    The features of general words are kept in the cache folder, by the encoder's fingerprint.
    """
    if isinstance(encoder, OwnWords):
        return encoder.word_features()
    words = general_words()
    kept = derived.find("words", encoder.fingerprint)
    if kept is not None and len(kept.get("features", ())) == len(words):
        some = encoder.text_features(words[CHECKED])
        if _alike(some, kept["features"][CHECKED]):
            return kept["features"]
    features = encoder.text_features(words)
    derived.keep("words", encoder.fingerprint, {"features": features})
    return features


def _alike(some: Float32Array, others: Float32Array) -> bool:
    """Whether features are the same to rounding."""
    if some.shape != others.shape:
        return False
    return bool(np.abs(some - others).max() <= TOLERANCE * np.abs(some).max())
