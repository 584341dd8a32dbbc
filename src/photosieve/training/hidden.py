"""Labels hidden from training and asked for as words: how words that nobody labeled are judged."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from photosieve.decision.agreement import Agreement
from photosieve.decision.calibration import (
    HiddenWords,
    Nearness,
    average_background,
    background,
    joint_affinity,
)
from photosieve.encoders.protocol import Float32Array, Head
from photosieve.progress import Progress
from photosieve.training.features import Prepared
from photosieve.training.fit import fit_as
from photosieve.training.folds import probe_of
from photosieve.training.parallel import run_all
from photosieve.training.probe import Probe
from photosieve.training.run import History, Run, probe_scores

PARTS = 3
"""Parts that labels are split into, one of which each fold hides; and the most folds. More folds
ask about as many photos and words; on listings and CLIP vectors the answers are no better."""

GENERAL_WORDS = 100
"""How many general words are asked for in each fold."""


def hidden_words(
    data: Prepared,
    start: Head,
    run: Run,
    folds: Sequence[NDArray[np.intp]],
    history: History,
) -> HiddenWords:
    """Score words that training did not see, on photos that it did not see.

    For each fold the head is trained without its photos and without a third of the labels, which
    are then asked for on those photos as a user asks for words that nobody labeled. General words
    that are close to neither labels nor photos are asked for as well, taken to be on no photo.

    Parameters
    ----------
    folds : sequence of arrays of int
        Rows held out together, each fold of whole buildings where there are several. Of more than
        `PARTS`, none is used, and as many larger ones are made.
    history : History
        How to train, as chosen before.
    """
    if len(folds) > PARTS:
        folds = data.dataset.folds(PARTS, seed=run.seed)
    order = np.random.default_rng(run.seed).permutation(len(data.labels))
    parts = min(PARTS, len(order))

    def ask(number: int, progress: Progress) -> HiddenWords:
        hidden = np.sort(order[number % parts :: parts])
        held_out = data.rows(folds[number]).columns(hidden)
        seen = data.rows(np.setdiff1d(np.arange(len(data.photos)), folds[number]))
        part = seen.columns(np.setdiff1d(order, hidden))
        name = f"hidden-{number + 1}"
        head, _ = fit_as(history, part, start, run.reporting(progress), name=name)
        probe = probe_of(part, head, history) if part.labels else None  # the only label is hidden
        return _ask(head, probe, part, held_out, history, np.random.default_rng((run.seed, number)))

    jobs = [functools.partial(ask, number) for number in range(len(folds))]
    side_by_side = not run.recipe.trains_blocks
    return HiddenWords.join(
        run_all(jobs, "asking for hidden labels", run.progress, side_by_side=side_by_side)
    )


def _ask(
    head: Head,
    probe: Probe | None,
    seen: Prepared,
    held_out: Prepared,
    history: History,
    generator: np.random.Generator,
) -> HiddenWords:
    """Ask for hidden labels and for general words on held-out photos.

    Parameters
    ----------
    head : Head
    probe : Probe or None
        The probe that words inherit from.
    seen : Prepared
        The photos and labels that the model was trained on.
    held_out : Prepared
        Other photos, with the hidden labels.
    history : History
        How the model was trained.
    generator : Generator
        Draws the general words.
    """
    labels, words = head.project_texts(seen.texts), head.project_texts(seen.words)
    background_photos = seen.background
    photos = head.project_photos(held_out.photos)
    seen_photos = head.project_photos(background_photos)
    center = seen_photos.mean(0)  # the cosines to all photos have the same mean as that to it
    near_labels, near_photos = Nearness.of(nearest(words, labels)), Nearness.of(words @ center)

    def affinity(texts: Float32Array) -> NDArray[np.float64]:
        """How near texts, (k, d), are to the seen labels and photos, (k,)."""
        to_labels = near_labels.affinity(nearest(texts, labels))
        return joint_affinity(to_labels, near_photos.affinity(texts @ center), len(seen.photos))

    remote = np.flatnonzero(affinity(words) <= 0)
    remote = generator.choice(remote, min(GENERAL_WORDS, len(remote)), replace=False)
    asked = np.concatenate([head.project_texts(held_out.texts), words[remote]])  # (k, d)
    average = average_background(seen_photos, words)
    agreement = Agreement.of(labels, seen_photos, seen.verdicts)
    seen_scores = probe_scores(probe, background_photos, seen_photos, history)
    scores = probe_scores(probe, held_out.photos, photos, history)

    def normalized(text: Float32Array) -> NDArray[np.float64]:
        """Scores of held-out photos as `photosieve.sieve.scorer` gives them, (m,)."""
        inherited = probe and probe.inherited(text, agreement.with_word(text))
        if inherited is None or seen_scores is None or scores is None:
            return background(seen_photos @ text, average).normalize(photos @ text)
        own = inherited.scores(seen_photos, seen_scores)
        return background(own, average).normalize(inherited.scores(photos, scores))

    normal = np.array([normalized(text) for text in asked])  # (k, m)
    general = np.arange(len(asked)) >= len(held_out.labels)
    right, known = np.zeros(normal.shape, bool), np.ones(normal.shape, bool)
    right[~general], known[~general] = held_out.targets.T, held_out.known.T
    _, building = np.unique(held_out.dataset.groups, return_inverse=True)
    question = np.arange(len(asked))[:, None] * (building.max() + 1) + building
    return HiddenWords(
        normal=normal[known],
        affinity=np.broadcast_to(affinity(asked)[:, None], normal.shape)[known],
        relevant=right[known],
        general=np.broadcast_to(general[:, None], normal.shape)[known],
        question=question[known],
    )


def nearest(texts: Float32Array, labels: Float32Array) -> NDArray[np.float64]:
    """Cosine of each text, (n, d), to the nearest label, (labels, d); 0 without labels."""
    if not len(labels):
        return np.zeros(len(texts))
    return np.asarray((texts @ labels.T).max(1), np.float64)
