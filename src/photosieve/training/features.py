"""Features of the frozen trunk, computed once: every epoch, fold and recipe starts from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from photosieve.data.dataset import Dataset
from photosieve.data.notes import Note, unreadable_note
from photosieve.data.photos import DEFAULT_MAX_PIXELS
from photosieve.encoders.embedding import PhotoFeatures, photo_features
from photosieve.encoders.feature_cache import FeatureCache
from photosieve.encoders.kept import KeptFeatures
from photosieve.encoders.protocol import Encoder, Float32Array, Head
from photosieve.encoders.words import word_features
from photosieve.errors import Skipped, TrainingError
from photosieve.progress import Progress, silent
from photosieve.training.recipe import Recipe

Photo = TypeVar("Photo")

BACKGROUND_PHOTOS = 100
"""Photos that scores of words are measured against, where fewer are labeled."""


@dataclass(frozen=True)
class Prepared:
    """A labeled dataset as features, the input of training, tuning and evaluation.

    Parameters
    ----------
    dataset : Dataset
        The photos that could be read, in the order of the rows below.
    photos : array (n, p)
        Features of the photos.
    more_views : array (n, v, p)
        Features of further views of them, for training; v may be 0.
    targets : array of bool (n, labels)
        Whether each photo has each label.
    known : array of bool (n, labels)
        Whether this is known; where it is not, `targets` is False and says nothing.
    labels : tuple of str (labels,)
    texts : array (labels, q)
        Features of the labels.
    words : array (words, q)
        Features of general words, for the anchors.
    skipped : tuple of Skipped
        Photos that could not be read.
    unlabeled : array (m, p), optional
        Features of some photos without labels, which scores of words are measured against too.
    """

    dataset: Dataset
    photos: Float32Array
    more_views: Float32Array
    targets: NDArray[np.bool_]
    known: NDArray[np.bool_]
    labels: tuple[str, ...]
    texts: Float32Array
    words: Float32Array
    skipped: tuple[Skipped, ...]
    unlabeled: Float32Array | None = None

    def rows(self, index: NDArray[np.intp]) -> Prepared:
        """Return some of the photos with all of the labels."""
        return replace(
            self,
            dataset=self.dataset.select(index),
            photos=self.photos[index],
            more_views=self.more_views[index],
            targets=self.targets[index],
            known=self.known[index],
        )

    def columns(self, index: NDArray[np.intp]) -> Prepared:
        """Return all of the photos with some of the labels."""
        return replace(
            self,
            targets=self.targets[:, index],
            known=self.known[:, index],
            labels=tuple(self.labels[column] for column in index),
            texts=self.texts[index],
        )

    @property
    def background(self) -> Float32Array:
        """Features of the photos that scores of words are measured against, (n + m, p)."""
        if self.unlabeled is None or not len(self.unlabeled):  # not a copy
            return self.photos
        return np.concatenate([self.photos, self.unlabeled])

    @property
    def notes(self) -> tuple[Note, ...]:
        """Photos and labels that are not used or too rare, a sentence for each kind."""
        return self.dataset.notes + ((unreadable_note(self.skipped),) if self.skipped else ())

    @property
    def silent(self) -> NDArray[np.bool_]:
        """Unknown pairs that a partial list leaves out, (n, labels); see `Dataset.silent`."""
        return self.dataset.silent(self.labels)

    @property
    def verdicts(self) -> NDArray[np.int8]:
        """The verdict on each pair, (n, labels): 1 for yes, 0 for no, -1 for unknown."""
        return np.where(self.known, self.targets, -1).astype(np.int8)

    def scores(self, head: Head) -> Float32Array:
        """Cosine of each photo and each label, (n, labels)."""
        return head.project_photos(self.photos) @ head.project_texts(self.texts).T

    def fingerprint(self) -> str:
        """Hash of all features and verdicts."""
        digest = hashlib.sha256()
        labels: tuple[NDArray[Any], ...] = (self.targets, self.known, self.silent)
        for array in (self.background, self.more_views, *labels, self.texts, self.words):
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def unlabeled_photos(photos: Sequence[Photo], labeled: int) -> list[Photo]:
    """Choose unlabeled photos for the background, spread over all; with the labeled ones 100.

    Parameters
    ----------
    photos : sequence
        Photos without labels, in any form.
    labeled : int
        How many others are labeled. With `BACKGROUND_PHOTOS` and more, none is chosen.
    """
    count = max(0, min(BACKGROUND_PHOTOS - labeled, len(photos)))
    return [photos[row] for row in np.linspace(0, len(photos) - 1, count, dtype=int)]


def prepare(
    encoder: Encoder,
    dataset: Dataset,
    *,
    labels: Sequence[str] | None = None,
    more_views: bool = False,
    words: bool = True,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress = silent,
    keep: KeptFeatures | FeatureCache | None = None,
) -> Prepared:
    """Run the encoder's trunk over a dataset: every photo, label and general word once.

    Parameters
    ----------
    encoder : Encoder
    dataset : Dataset
    labels : sequence of str, optional
        The labels to ask for; the vocabulary of the dataset by default.
    more_views : bool
        Whether to compute further views of the photos, for recipes that train on them.
    words : bool
        Whether to embed general words, which training needs and evaluation does not; and, of a
        small dataset, some of the photos beside the listed ones.
    max_pixels : int
        Larger photos are skipped.
    progress : Progress
    keep : KeptFeatures or FeatureCache, optional
        As for `photo_features`.

    Raises
    ------
    TrainingError
        If no photo can be read, or there is no label.
    """
    if labels is not None and not labels:
        raise TrainingError(
            "this sieve was made without labels; make one with: photosieve train PHOTOS --out SIEVE"
        )
    labels = tuple(labels or dataset.vocabulary)
    if not labels:
        raise TrainingError(
            f"{dataset.root}: no photo has a label; list at least one label in the labels file"
        )
    others = unlabeled_photos(dataset.unlisted, len(dataset)) if words else []
    features = photo_features(
        encoder, dataset.photos, more_views=more_views, max_pixels=max_pixels, keep=keep,
        progress=lambda stage, done, total: progress(stage, done, total + len(others)),
    )  # fmt: skip
    if not len(features.kept):
        raise TrainingError(
            f"{dataset.root}: none of the {len(dataset)} photos can be read; "
            f"the first: {features.skipped[0]}"
        )
    unlabeled = None
    if others:
        unlabeled = photo_features(
            encoder, others, max_pixels=max_pixels, keep=keep,
            progress=lambda stage, done, total: progress(
                stage, len(dataset) + done, len(dataset) + total
            ),
        ).features  # fmt: skip
    progress("reading words", 0, 1)
    data = assemble(encoder, dataset, features, labels, words=words)
    return replace(data, unlabeled=unlabeled)


def assemble(
    encoder: Encoder,
    dataset: Dataset,
    features: PhotoFeatures,
    labels: Sequence[str],
    *,
    words: bool = True,
) -> Prepared:
    """Put features of a dataset's photos together with its labels and their texts."""
    notes = dataset.notes
    dataset = dataset.select(features.kept)
    return Prepared(
        dataset=replace(dataset, notes=notes),
        photos=features.features,
        more_views=features.more_views,
        targets=dataset.matrix(labels),
        known=dataset.known(labels),
        labels=tuple(labels),
        texts=encoder.text_features(labels),
        words=word_features(encoder) if words else encoder.text_features(()),
        skipped=tuple(features.skipped),
    )


def open_for(encoder: Encoder, recipe: Recipe) -> Encoder:
    """Move the blocks that a recipe trains from the trunk of an encoder to its head.

    Raises
    ------
    EncoderError
        If the encoder has no such blocks.
    """
    if not recipe.trains_blocks:
        return encoder
    from photosieve.encoders.blocks.opening import open_blocks  # it brings torch

    return open_blocks(encoder, recipe.blocks, recipe.lora_rank, trains_text=recipe.trains_text)


def start_head(encoder: Encoder, data: Prepared, recipe: Recipe) -> Head:
    """Return the pretrained head that a recipe starts from: with centered texts, if it wants."""
    return encoder.head.centered(data.words) if recipe.centers else encoder.head
