"""General words: a thousand common things, the same for every encoder."""

from __future__ import annotations

import functools
from importlib import resources


@functools.cache
def general_words() -> tuple[str, ...]:
    """ImageNet's class names in class order: the first WordNet lemma of each ILSVRC-2012 synset."""
    text = resources.files("photosieve.encoders").joinpath("imagenet.txt").read_text("utf-8")
    return tuple(text.splitlines())
