"""The sieve: a fitted encoder with its calibration and its cut, behind every command and page."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from photosieve.data.dataset import Dataset
from photosieve.data.folders import find_all
from photosieve.data.names import label_key
from photosieve.data.photos import DEFAULT_MAX_PIXELS
from photosieve.decision.cut import Cut
from photosieve.decision.evaluation import Evaluation
from photosieve.decision.guarantee import guarantee
from photosieve.decision.tuning import with_cut
from photosieve.encoders import load_encoder
from photosieve.encoders.embedding import photo_features
from photosieve.encoders.feature_cache import FeatureCache
from photosieve.encoders.prompts import prompts_of
from photosieve.encoders.protocol import ByPath, Encoder
from photosieve.errors import SieveError, UsageError, counted
from photosieve.progress import Progress, silent
from photosieve.sieve import fitting, saved
from photosieve.sieve.answer import SearchResult, answer
from photosieve.sieve.evidence import Evidence
from photosieve.sieve.judging import judged
from photosieve.sieve.record import Record
from photosieve.sieve.scorer import Scorer
from photosieve.training.features import Prepared, open_for, prepare, start_head
from photosieve.training.prompting import prompted, with_given_prompts
from photosieve.training.recipe import Recipe
from photosieve.training.recipes import DEFAULT, get_recipe
from photosieve.training.run import Run

if TYPE_CHECKING:  # it brings torch, which only training needs
    from photosieve.training.checkpoints import Checkpoints


@dataclass(frozen=True)
class Sieve(Record):
    """A fitted encoder with its calibration and its cut; `fit` makes one, `load` reads one.

    Attributes
    ----------
    encoder : Encoder
    labels : mapping of str to int
        The labels of the training photos, and the number of photos of each.
    recipe, seed : Recipe, int
    tuning : Tuning
        The calibration, the cut and their figures out of fold.
    history : History
        How the training went.
    guarantee : Guarantee or None
        Of the cut.
    seconds : float
        Duration of the training, from the photos on; `photosieve train` notes that of the command.
    skipped, notes : tuple of Skipped, tuple of Note
        Training photos that could not be read, and a sentence for each kind of unused ones.
    """

    def __repr__(self) -> str:
        """Return one line, for notebooks."""
        labels, photos = counted(len(self.labels), "label"), len(self.evidence.names)
        return f"<Sieve of {self.encoder.name}: {labels} learned from {counted(photos, 'photo')}>"

    @property
    def cut(self) -> Cut:
        """The rule that decides which photos match a label."""
        return self.tuning.cut

    @functools.cached_property
    def scorer(self) -> Scorer:
        """The part that turns queries and embedded photos into probabilities."""
        return Scorer(self)

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
            A name as for `load_encoder`, or a loaded encoder.
        recipe : str or Recipe
        objective : str
            Of the cut; see `Objective`.
        seed : int
        folds : int, optional
            How many times a part of the buildings is held out; by default each building once, at
            most ten times. 1 holds out a third, once: faster, with a rougher cut and figures.
        checkpoints : Checkpoints, optional
            Where the state of each training is kept, to resume from.
        max_pixels : int
            Larger photos are skipped.
        progress : Progress

        Raises
        ------
        PhotosieveError
            If an input cannot be used. The message names the remedy.
        """
        started = time.monotonic()
        chosen = get_recipe(recipe) if isinstance(recipe, str) else recipe
        run = Run(chosen, seed, folds, checkpoints, progress)
        model = open_for(load_encoder(encoder) if isinstance(encoder, str) else encoder, chosen)
        data = prepare(
            model, dataset, more_views=chosen.more_views, max_pixels=max_pixels, progress=progress,
            keep=None if checkpoints is None else checkpoints.features(),
        )  # fmt: skip
        fitted = cls.fit_prepared(*prompted(model, data, chosen), run, objective=objective)
        return replace(fitted, seconds=time.monotonic() - started)

    @classmethod
    def fit_prepared(
        cls,
        encoder: Encoder,
        data: Prepared,
        run: Run | None = None,
        *,
        objective: str = "f1",
        words: bool = True,
    ) -> Sieve:
        """Fit on features that were computed before; no photo is opened.

        Parameters
        ----------
        encoder : Encoder
            Pretrained, with the blocks that the recipe trains in its head.
        data : Prepared
        run : Run, optional
            By default the default recipe with seed 0.
        objective : str
        words : bool
            Whether to calibrate words that are not labels, which takes as long as all the rest.
        """
        return fitting.fitted(cls, encoder, data, run or Run(), objective, words=words)

    def retune(
        self,
        dataset: Dataset,
        objective: str = "f1",
        *,
        encoder: Encoder | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        progress: Progress = silent,
    ) -> Sieve:
        """Learn the cut again, for another objective; the model stays as it is.

        The stored out-of-fold scores are used when the dataset has the photos that this sieve was
        trained on. Otherwise they are computed again, which reads the photos.

        Parameters
        ----------
        dataset : Dataset
        objective : str
            See `Objective`.
        encoder : Encoder, optional
            The pretrained encoder; by default it is loaded by its name.
        max_pixels : int
            Larger photos are skipped.
        progress : Progress

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
        evidence = self.evidence.relabeled(dataset, labels)
        if evidence is None:
            start = open_for(encoder or saved.load_base(self.encoder.name), self.recipe)
            data = prepare(
                start, dataset, labels=labels, more_views=self.recipe.more_views,
                max_pixels=max_pixels, progress=progress,
            )  # fmt: skip
            _, data = with_given_prompts(start, data, prompts_of(self.encoder))
            run = Run(self.recipe, self.seed, progress=progress)
            evidence, _ = Evidence.collect(data, start_head(start, data, self.recipe), run)
        return replace(
            self, tuning=evidence.tune(labels, objective), evidence=evidence, guarantee=None
        )

    def with_guarantee(
        self,
        dataset: Dataset,
        target: str,
        confidence: float = 0.9,
        *,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        progress: Progress = silent,
    ) -> Sieve:
        """Choose the threshold for which a recall or precision of labels is guaranteed.

        With photos that the sieve was not trained on, the guarantee is about this very sieve. With
        its training photos, it is about sieves trained without one fold of the buildings, which
        their out-of-fold scores come from; this one has seen more.

        Parameters
        ----------
        dataset : Dataset
            The training photos, or others with the same labels, of 22 buildings or more for 0.9.
        target : str
            Such as ``recall>=0.9`` or ``precision>=0.8``.
        confidence : float

        Raises
        ------
        GuaranteeError
            If the buildings are too few, or no threshold allows the guarantee.
        UsageError
            If the target or the confidence makes no sense.
        """
        labels = tuple(self.labels)
        if evidence := self.evidence.relabeled(dataset, labels):
            scores, relevant, groups, known = evidence.held_out()
        else:
            data = self._unseen(dataset, max_pixels, progress)
            scores = self.scorer.embed_photos(data.photos).labels.astype(float)
            relevant, groups, known = data.targets, data.dataset.groups, data.known
        values = self.tuning.calibration.labels(scores, labels)
        chosen = guarantee(values, relevant, groups, target, confidence, known)
        cut = Cut.threshold(chosen.threshold)
        tuning = with_cut(self.tuning, cut, target, scores, relevant, groups, labels, known)
        return replace(self, tuning=tuning, guarantee=chosen)

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
            Labeled photos that the sieve was not trained on; paths as for `Dataset.load`.
        """
        return self.evaluate_prepared(self._unseen(Dataset.of(*buildings), max_pixels, progress))

    def _unseen(self, dataset: Dataset, cap: int, progress: Progress) -> Prepared:
        labels = tuple(self.labels)
        unsaid = self.opened - {label_key(label) for label in dataset.vocabulary}
        dataset = replace(dataset, opened=dataset.opened | unsaid)
        return prepare(
            self.encoder, dataset, labels=labels, words=False, max_pixels=cap, progress=progress
        )

    def evaluate_prepared(self, data: Prepared, cut: Cut | None = None) -> Evaluation:
        """Evaluate on features that were computed before; no photo is opened.

        Parameters
        ----------
        data : Prepared
            With labels of this sieve, in any order.
        cut : Cut, optional
            A rule for plain scores, instead of calibration and cut.
        """
        return judged(self.scorer, self.cut, data, cut=cut)

    def search(
        self,
        query: str,
        *folders: str | Path,
        top: int | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        progress: Progress = silent,
    ) -> SearchResult:
        """Find the photos that match a query.

        Features of photos are kept in the cache folder, so that the next search in the same folders
        opens only photos that are new or have changed.

        Parameters
        ----------
        query : str
            A label, any other phrase, or several terms such as ``sofa -window``.
        folders : str or Path
            Where to look, sub-folders included. Each folder that holds photos is one building: the
            cut is applied to its list, as it was tuned.
        top : int, optional
            Return this many of the best photos, in place of the cut.
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
        paths, left_out = find_all(folders)
        photos = photo_features(
            self.encoder, paths, max_pixels=max_pixels, progress=progress,
            keep=None if isinstance(self.encoder, ByPath) else FeatureCache(),
        )  # fmt: skip
        kept = [paths[index] for index in photos.kept]
        return answer(
            self.scorer,
            self.cut,
            query,
            readings,
            kept.__getitem__,
            self.scorer.embed_photos(photos.features),
            groups=[str(path.parent) for path in kept],
            top=top,
            skipped=(*left_out, *photos.skipped),
        )

    def save(self, folder: str | Path) -> None:
        """Write the sieve as a folder: all of it or, if anything goes wrong, nothing.

        Raises
        ------
        UsageError
            If the folder cannot be written, or holds something else than a sieve.
        """
        saved.write(self, Path(folder))

    def push_to_hub(self, name: str) -> str:
        """Save the sieve as a private model on the Hugging Face hub, and return its address.

        A `UsageError` names the missing network, login or permission.

        Parameters
        ----------
        name : str
            The model's id there, such as ``"someone/listing-sieve"``; one that exists is replaced.
        """
        return saved.publish(self, name)

    @classmethod
    def load(cls, folder: str | Path, encoder: Encoder | None = None) -> Sieve:
        """Read a saved sieve.

        Parameters
        ----------
        folder : str or Path
        encoder : Encoder, optional
            The pretrained encoder; by default it is loaded by its name, or from the folder.

        Raises
        ------
        SieveError
            If it is missing, damaged, altered, made by a newer version, or its cut was tuned for
            other weights than those found.
        """
        return saved.read(cls, Path(folder), encoder)
