"""A sieve without labels: the pretrained model, with a rough cut that was not learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from photosieve.decision.calibration import Calibration, Nearness, average_background
from photosieve.decision.cut import Cut
from photosieve.decision.tuning import Tuning
from photosieve.encoders import load_encoder
from photosieve.encoders.embedding import embed_photos
from photosieve.encoders.protocol import Encoder
from photosieve.encoders.words import word_features
from photosieve.errors import TrainingError
from photosieve.progress import Progress, silent
from photosieve.sieve.evidence import Evidence
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import unlabeled_photos
from photosieve.training.recipes import get_recipe
from photosieve.training.run import History

REMOTENESS = 0.9
"""Less than with labels: all questions are other words here, and a larger value loses right photos
of listings and samples, where this one loses next to none."""


def untrained(
    photos: Sequence[Path], encoder: str | Encoder = "starter", *, progress: Progress = silent
) -> Sieve:
    """Make a sieve without labels: each query is an unlabeled word, and the cut is not learned.

    Parameters
    ----------
    photos : sequence of Path
        The photos to search in; some of them show which scores are usual.
    encoder : str or Encoder
        A name as for `load_encoder`, or a loaded encoder.
    progress : Progress

    Raises
    ------
    TrainingError
        If none of the photos can be read.
    """
    model = load_encoder(encoder) if isinstance(encoder, str) else encoder
    some = unlabeled_photos(photos, 0)
    words = word_features(model)
    model = model.with_head(model.head.centered(words))
    features = embed_photos(model, some, progress=progress)
    if not len(features.kept):
        raise TrainingError(
            f"none of {len(some)} photos can be read; the first: {features.skipped[0]}"
        )
    nothing = np.zeros((0, 0))
    no_pairs = nothing.astype(bool)
    calibration = Calibration(slope=1.0, intercept=0.0, remoteness=REMOTENESS)
    general = model.head.project_texts(words)
    return Sieve(
        encoder=model,
        labels={},
        recipe=get_recipe("zero-shot"),
        seed=0,
        tuning=Tuning(calibration, Cut.threshold(0.5), "f1", "untrained", {}, {}),
        evidence=Evidence(nothing, no_pairs, no_pairs, (), (), None, None),
        background=features.features,
        average=average_background(features.features, general),
        topic=Nearness.of(general @ features.features.mean(0)),
        seconds=0.0,
        history=History(epochs=0),
        skipped=features.skipped,
    )
