"""The sieve: a fitted encoder with its calibration and its cut: what all edges go through."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from photosieve.data.dataset import Dataset
from photosieve.data.folders import find_all
from photosieve.data.photos import DEFAULT_MAX_PIXELS
from photosieve.decision.calibration import Background, average_background
from photosieve.decision.cut import Cut
from photosieve.decision.evaluation import Evaluation, evaluate
from photosieve.decision.guarantee import Guarantee, guarantee
from photosieve.decision.tuning import Tuning, with_cut
from photosieve.encoders import load_encoder
from photosieve.encoders.embedding import embed_photos
from photosieve.encoders.protocol import Encoder, Float32Array
from photosieve.errors import SieveError, Skipped, UsageError
from photosieve.progress import Progress, silent
from photosieve.sieve import saved as storage
from photosieve.sieve.answer import SearchResult, answer
from photosieve.sieve.evidence import Evidence, History, collect_anew, learn, opened
from photosieve.sieve.scorer import Scorer
from photosieve.training.features import Prepared, prepare
from photosieve.training.recipes import DEFAULT, Recipe, get_recipe

if TYPE_CHECKING:  # it brings torch, which only training needs
    from photosieve.training.checkpoints import Checkpoints


@dataclass(frozen=True)
class Sieve:
    """A fitted encoder, and the calibration and the cut that were learned for it.

    Parameters
    ----------
    encoder : Encoder
    labels : mapping of str to int
        What it was trained on, and on how many photos each.
    recipe : Recipe
    seed : int
    tuning : Tuning
        The calibration, the cut and the evidence for them.
    evidence : Evidence
        What they were learned from.
    background : array (n, d)
        The training photos as the trained encoder embeds them: what words are normalized against.
    average : Background
        Of general words over them.
    seconds : float
        How long training took.
    history : History
        What training and its choices looked like.
    guarantee : Guarantee or None
        What is promised of the cut.
    skipped : tuple of Skipped
        Training photos that could not be read.
    """

    encoder: Encoder
    labels: Mapping[str, int]
    recipe: Recipe
    seed: int
    tuning: Tuning
    evidence: Evidence
    background: Float32Array = field(repr=False)
    average: Background
    seconds: float
    history: History
    guarantee: Guarantee | None = None
    skipped: tuple[Skipped, ...] = field(default=(), repr=False)

    @property
    def cut(self) -> Cut:
        """The rule that decides what matches a label."""
        return self.tuning.cut

    @functools.cached_property
    def scorer(self) -> Scorer:
        """What turns queries and embedded photos into probabilities."""
        return Scorer(
            self.encoder, tuple(self.labels), self.tuning.calibration, self.background, self.average
        )

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        encoder: str | Encoder = "starter",
        *,
        recipe: str | Recipe = DEFAULT,
        objective: str = "f1",
        seed: int = 0,
        folds: int | None = None,
        checkpoints: Checkpoints | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        progress: Progress = silent,
    ) -> Sieve:
        """Adapt an encoder to labeled photos, and learn the cut on held-out ones.

        Parameters
        ----------
        dataset : Dataset
            Photos with labels, best from several buildings: the cut is learned by holding whole
            buildings out. With one building its photos are held out instead.
        encoder : str or Encoder
            What `load_encoder` takes, or a loaded one.
        recipe : str or Recipe
        objective : str
            What the cut is tuned for, see `photosieve.decision.objective.Objective`.
        seed : int
        folds : int, optional
            How many times a part of the buildings is held out; by default each once, at most ten.
            1 holds out a third and leaves it at that: faster, with a rougher cut and figures.
        checkpoints : Checkpoints, optional
            Where the state of the training is kept after each epoch, and gone on from.
        max_pixels : int
            Larger photos are skipped.
        progress : Progress

        Raises
        ------
        PhotosieveError
            With one sentence on what cannot be used and what to do.
        """
        chosen = get_recipe(recipe) if isinstance(recipe, str) else recipe
        model = opened(load_encoder(encoder) if isinstance(encoder, str) else encoder, chosen)
        data = prepare(
            model, dataset, more_views=chosen.more_views, max_pixels=max_pixels, progress=progress
        )
        return cls.fit_prepared(
            model,
            data,
            recipe=chosen,
            objective=objective,
            seed=seed,
            folds=folds,
            checkpoints=checkpoints,
            progress=progress,
        )

    @classmethod
    def fit_prepared(
        cls,
        encoder: Encoder,
        data: Prepared,
        *,
        recipe: str | Recipe = DEFAULT,
        objective: str = "f1",
        seed: int = 0,
        folds: int | None = None,
        words: bool = True,
        checkpoints: Checkpoints | None = None,
        progress: Progress = silent,
    ) -> Sieve:
        """Do what `fit` does on features that are there already; no photo is opened.

        Parameters
        ----------
        encoder : Encoder
            Opened as far as the recipe trains it.
        words : bool
            Whether to calibrate words that are no labels, which takes as long as all the rest.
        """
        started = time.monotonic()
        chosen = get_recipe(recipe) if isinstance(recipe, str) else recipe
        learned = learn(
            data,
            encoder.head,
            chosen,
            seed=seed,
            folds=folds,
            words=words,
            checkpoints=checkpoints,
            progress=progress,
        )
        head = learned.head
        background = head.project_photos(data.photos)
        return cls(
            encoder=encoder.with_head(head),
            labels=data.dataset.counts(),
            recipe=chosen,
            seed=seed,
            tuning=learned.evidence.tune(data.labels, objective),
            evidence=learned.evidence,
            background=background,
            average=average_background(background, head.project_texts(data.words)),
            seconds=time.monotonic() - started,
            history=learned.history,
            skipped=data.skipped,
        )

    def retune(
        self,
        dataset: Dataset,
        objective: str = "f1",
        *,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        progress: Progress = silent,
    ) -> Sieve:
        """Learn the cut anew, for another objective; the model stays as it is.

        The stored out-of-fold scores are used when the dataset has the photos and labels that this
        sieve was trained on. Otherwise they are computed again, which reads the photos.

        Raises
        ------
        SieveError
            If the dataset has labels that this sieve was not trained on.
        """
        labels = tuple(self.labels)
        if unknown := dataset.beyond(labels):
            raise SieveError(
                f'this sieve was not trained on the label "{unknown[0]}" '
                f"({len(unknown)} such labels); train again on {dataset.root}"
            )
        evidence = self.evidence.relabeled(dataset, labels) or collect_anew(
            self.encoder.name,
            self.recipe,
            dataset,
            labels,
            seed=self.seed,
            max_pixels=max_pixels,
            progress=progress,
        )
        return replace(
            self, tuning=evidence.tune(labels, objective), evidence=evidence, guarantee=None
        )

    def promise(
        self,
        dataset: Dataset,
        wanted: str,
        confidence: float = 0.9,
        *,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        progress: Progress = silent,
    ) -> Sieve:
        """Choose the threshold of which a recall or precision of labels can be promised.

        With photos that the sieve was not trained on the promise is about this very sieve. With
        its training photos it is about sieves trained without one fold of the buildings, which
        their out-of-fold scores come from; this one has seen more.

        Parameters
        ----------
        dataset : Dataset
            The training photos, or others with the same labels, of 22 buildings or more for 0.9.
        wanted : str
            Such as ``recall>=0.9`` or ``precision>=0.8``.
        confidence : float

        Raises
        ------
        GuaranteeError
            If the buildings are too few, or no threshold allows the promise.
        UsageError
            If the wish or the confidence makes no sense.
        """
        labels = tuple(self.labels)
        if evidence := self.evidence.relabeled(dataset, labels):
            scores, relevant, groups = evidence.held_out()
        else:
            data = self._unseen(dataset, max_pixels, progress)
            scores = data.scores(self.encoder.head).astype(float)
            relevant, groups = data.targets, data.dataset.groups
        values = self.tuning.calibration.labels(scores, labels)
        found = guarantee(values, relevant, groups, wanted, confidence)
        cut = Cut.threshold(found.threshold)
        tuning = with_cut(self.tuning, cut, wanted, scores, relevant, groups, labels)
        return replace(self, tuning=tuning, guarantee=found)

    def evaluate(
        self,
        *buildings: str | Path | Dataset,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        progress: Progress = silent,
    ) -> Evaluation:
        """Ask every label of this sieve in every building, present or not.

        Parameters
        ----------
        buildings : str, Path or Dataset
            Labeled photos that the sieve was not trained on: what `Dataset.load` takes.
        """
        return self.evaluate_prepared(self._unseen(Dataset.of(*buildings), max_pixels, progress))

    def _unseen(self, dataset: Dataset, max_pixels: int, progress: Progress) -> Prepared:
        return prepare(
            self.encoder, dataset, labels=tuple(self.labels), words=False,
            max_pixels=max_pixels, progress=progress,
        )  # fmt: skip

    def evaluate_prepared(self, data: Prepared, cut: Cut | None = None) -> Evaluation:
        """Do what `evaluate` does on features that are there already.

        Parameters
        ----------
        data : Prepared
            With the labels of this sieve.
        cut : Cut, optional
            A rule for plain scores, to judge instead of calibration and cut.
        """
        scores = data.scores(self.encoder.head)
        calibrated = self.tuning.calibration.labels(scores, data.labels)
        return evaluate(
            scores,
            data.targets,
            probabilities=calibrated if cut is None else None,
            cut=cut or self.cut,
            photos=data.dataset.photos,
            groups=data.dataset.groups,
            labels=data.labels,
            trained=self.labels,
            skipped=data.skipped,
        )

    def search(
        self,
        query: str,
        *folders: str | Path,
        top: int | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        progress: Progress = silent,
    ) -> SearchResult:
        """Find the photos that match a query.

        Parameters
        ----------
        query : str
            A label, any other phrase, or several terms: see `photosieve.sieve.query`.
        folders : str or Path
            Where to look, sub-folders included. Each folder that holds photos is one building: the
            cut is applied to its list, as it was tuned.
        top : int, optional
            Return this many of the best instead of what the cut keeps.
        max_pixels : int
            Larger photos are skipped.
        progress : Progress

        Raises
        ------
        UsageError
            If the query is empty, `top` is below 1, or there is no photo in the folders.
        """
        readings = self.scorer.read(query)
        if top is not None and top < 1:
            raise UsageError(f"top must be 1 or more, not {top}")
        paths = find_all(folders)
        found = embed_photos(self.encoder, paths, max_pixels=max_pixels, progress=progress)
        return answer(
            self.scorer,
            self.cut,
            query,
            readings,
            [paths[index] for index in found.kept],
            found.features,
            top=top,
            skipped=found.skipped,
        )

    def save(self, folder: str | Path) -> None:
        """Write the sieve as a folder: all of it or, if anything goes wrong, nothing.

        Raises
        ------
        UsageError
            If the folder cannot be written, or holds something else than a sieve.
        """
        storage.write(Path(folder), vars(self))

    def push_to_hub(self, name: str) -> str:
        """Save the sieve as a private model on the Hugging Face hub, and return its address.

        A `UsageError` says what is missing: a network, a login or a permission.

        Parameters
        ----------
        name : str
            The model's id there, such as ``"someone/listing-sieve"``; one that exists is replaced.
        """
        return storage.publish(name, vars(self))

    @classmethod
    def load(cls, folder: str | Path) -> Sieve:
        """Read a saved sieve.

        Raises
        ------
        SieveError
            If it is missing, damaged, altered, made by a newer version, or its cut was tuned for
            other weights than those found.
        """
        return cls(**storage.read(Path(folder)))
