"""General words: a thousand common things, the same for every encoder that has none of its own."""

from __future__ import annotations

import functools
from importlib import resources

from photosieve.encoders.protocol import Encoder, Float32Array, OwnWords


@functools.cache
def general_words() -> tuple[str, ...]:
    """ImageNet's class names in class order: the first WordNet lemma of each ILSVRC-2012 synset."""
    text = resources.files("photosieve.encoders").joinpath("imagenet.txt").read_text("utf-8")
    return tuple(text.splitlines())


def word_features(encoder: Encoder) -> Float32Array:
    """Run the trunk's text side on the general words, or on the encoder's own: (words, q)."""
    if isinstance(encoder, OwnWords):
        return encoder.word_features()
    return encoder.text_features(general_words())
