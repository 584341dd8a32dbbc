"""The sieve: a fitted encoder with its cut. Everything that the edges offer goes through here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photosieve import photos, sievefile
from photosieve.cut import Cut
from photosieve.encoders import Encoder, Head, embed_photos, embed_texts, load_encoder
from photosieve.errors import EncoderError, SieveError, UsageError
from photosieve.evaluate import Evaluation, evaluate
from photosieve.hits import Hit, SearchResult
from photosieve.labelfiles import label_key
from photosieve.labels import Dataset
from photosieve.photos import DEFAULT_MAX_PIXELS, Skipped
from photosieve.progress import Progress, silent
from photosieve.training.recipes import DEFAULT, Recipe, get_recipe
from photosieve.training.trunk import Prepared, prepare
from photosieve.tune import Tuning, tune


@dataclass(frozen=True)
class OutOfFold:
    """Scores of the training photos by models that had not seen their building.

    Parameters
    ----------
    scores : array (photos, labels)
    relevant : array of bool (photos, labels)
        The labels at the time.
    groups : tuple of str (photos,)
    names : tuple of str (photos,)
        Path of each photo inside the training folder, to recognise the same photos again.
    """

    scores: NDArray[np.float64]
    relevant: NDArray[np.bool_]
    groups: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Sieve:
    """A fitted encoder and the cut that was tuned for it.

    Parameters
    ----------
    encoder : Encoder
    labels : mapping of str to int
        What it was trained on, and on how many photos each.
    recipe : Recipe
    seed : int
    tuning : Tuning
        The cut and the evidence for it.
    out_of_fold : OutOfFold
        What the cut was tuned on.
    seconds : float
        How long training took.
    skipped : tuple of Skipped
        Training photos that could not be read.
    """

    encoder: Encoder
    labels: Mapping[str, int]
    recipe: Recipe
    seed: int
    tuning: Tuning
    out_of_fold: OutOfFold
    seconds: float
    skipped: tuple[Skipped, ...] = field(default=(), repr=False)

    @property
    def cut(self) -> Cut:
        """The rule that decides what matches."""
        return self.tuning.cut

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        encoder: str | Encoder = "starter",
        *,
        recipe: str | Recipe = DEFAULT,
        objective: str = "f1",
        seed: int = 0,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        progress: Progress = silent,
    ) -> Sieve:
        """Adapt an encoder to labelled photos, and learn the cut on held-out ones.

        Parameters
        ----------
        dataset : Dataset
            Photos with labels, best from several buildings: the cut is learned by holding whole
            buildings out. With one building its photos are held out instead.
        encoder : str or Encoder
            What `load_encoder` takes, or a loaded one.
        recipe : str or Recipe
        objective : str
            What the cut is tuned for, see `photosieve.tune.Objective`.
        seed : int
        max_pixels : int
            Larger photos are skipped.
        progress : Progress

        Raises
        ------
        PhotosieveError
            With one sentence on what cannot be used and what to do.
        """
        model = load_encoder(encoder) if isinstance(encoder, str) else encoder
        data = prepare(model, dataset, max_pixels=max_pixels, progress=progress)
        return cls.fit_prepared(
            model, data, recipe=recipe, objective=objective, seed=seed, progress=progress
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
        progress: Progress = silent,
    ) -> Sieve:
        """Do what `fit` does on features that are there already; no photo is opened."""
        from photosieve.training.fit import fit

        started = time.monotonic()
        chosen = get_recipe(recipe) if isinstance(recipe, str) else recipe
        held_out = _score_out_of_fold(encoder.head, data, chosen, seed, progress)
        tuning = tune(held_out.scores, held_out.relevant, held_out.groups, objective)
        head = fit(data, encoder.head, chosen, seed=seed, progress=progress)
        return cls(
            encoder=encoder.with_head(head),
            labels=data.dataset.counts(),
            recipe=chosen,
            seed=seed,
            tuning=tuning,
            out_of_fold=held_out,
            seconds=time.monotonic() - started,
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
        known = {label_key(label) for label in self.labels}
        unknown = [label for label in dataset.vocabulary if label_key(label) not in known]
        if unknown:
            raise SieveError(
                f'this sieve was not trained on the label "{unknown[0]}" '
                f"({len(unknown)} such labels); train again on {dataset.root}"
            )
        held_out = self.out_of_fold
        same = sorted(held_out.names) == sorted(_names(dataset))
        if same:
            order = {name: row for row, name in enumerate(held_out.names)}
            rows = [order[name] for name in _names(dataset)]
            held_out = OutOfFold(
                scores=held_out.scores[rows],
                relevant=dataset.matrix(tuple(self.labels)),
                groups=dataset.groups,
                names=_names(dataset),
            )
        else:
            start = load_encoder(self.encoder.name)
            data = prepare(
                start, dataset, labels=tuple(self.labels), max_pixels=max_pixels, progress=progress
            )
            held_out = _score_out_of_fold(start.head, data, self.recipe, self.seed, progress)
        tuning = tune(held_out.scores, held_out.relevant, held_out.groups, objective)
        return replace(self, tuning=tuning, out_of_fold=held_out)

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
            Labelled photos that the sieve was not trained on: what `Dataset.load` takes.
        """
        paths = [item for item in buildings if not isinstance(item, Dataset)]
        datasets = [item for item in buildings if isinstance(item, Dataset)]
        if bool(paths) == bool(datasets) or len(datasets) > 1:
            raise UsageError("evaluate takes either paths or one Dataset; give one of the two")
        dataset = datasets[0] if datasets else Dataset.load(*paths)
        labels = tuple(self.labels)
        data = prepare(
            self.encoder, dataset, labels=labels, max_pixels=max_pixels, progress=progress
        )
        return self.evaluate_prepared(data)

    def evaluate_prepared(self, data: Prepared, cut: Cut | None = None) -> Evaluation:
        """Do what `evaluate` does on features that are there already.

        Parameters
        ----------
        data : Prepared
            With the labels of this sieve.
        cut : Cut, optional
            Another rule to judge than the sieve's own.
        """
        return evaluate(
            data.scores(self.encoder.head),
            data.targets,
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
            A label, or any other phrase.
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
        if not query.strip():
            raise UsageError("the query is empty; say what to look for, such as: kitchen")
        if top is not None and top < 1:
            raise UsageError(f"top must be 1 or more, not {top}")
        paths = list(
            dict.fromkeys(
                p for folder in folders for p in photos.find(Path(folder), recursive=True)
            )
        )
        if not paths:
            raise UsageError(
                f"there is no photo in {', '.join(map(str, folders)) or 'no folder'}; "
                "name a folder with jpg, png, webp, bmp, tif or gif files"
            )
        found = embed_photos(self.encoder, paths, max_pixels=max_pixels, progress=progress)
        scores = found.features @ embed_texts(self.encoder, [query])[0]  # (kept,)
        ranked = np.argsort(-scores, kind="stable")
        if top is None:
            groups = [str(paths[i].parent) for i in found.kept]
            keep = self.cut.keep_by_group(scores[:, None], groups)[:, 0]
        else:
            keep = np.isin(np.arange(len(scores)), ranked[:top])
        hits = [Hit(paths[found.kept[row]], float(scores[row])) for row in ranked]
        return SearchResult(
            query=query,
            hits=tuple(hit for hit, row in zip(hits, ranked, strict=True) if keep[row]),
            hidden=tuple(hit for hit, row in zip(hits, ranked, strict=True) if not keep[row]),
            cut=self.cut,
            skipped=found.skipped,
        )

    def save(self, folder: str | Path) -> None:
        """Write the sieve as a folder: all of it or, if anything goes wrong, nothing.

        Raises
        ------
        UsageError
            If the folder cannot be written, or holds something else than a sieve.
        """
        held_out = self.out_of_fold
        manifest = {
            "encoder": self.encoder.name,
            "fingerprint": self.encoder.fingerprint,
            "labels": dict(self.labels),
            "recipe": self.recipe.to_dict(),
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            "tuning": self.tuning.to_dict(),
            "out_of_fold": {"groups": held_out.groups, "names": held_out.names},
            "versions": {name: version(name) for name in ("photosieve", "torch", "numpy")},
        }
        arrays: sievefile.Arrays = {
            "scores": held_out.scores,
            "relevant": held_out.relevant.astype(np.uint8),
        }
        sievefile.write(Path(folder), sievefile.Saved(manifest, self.encoder.head.arrays(), arrays))

    @classmethod
    def load(cls, folder: str | Path) -> Sieve:
        """Read a saved sieve.

        Raises
        ------
        SieveError
            If it is missing, damaged, altered, made by a newer version, or its cut was tuned for
            other weights than those found.
        """
        folder = Path(folder)
        saved = sievefile.read(folder)
        manifest, held_out = saved.manifest, saved.out_of_fold
        try:
            sieve = cls(
                encoder=load_encoder(manifest["encoder"]).with_head(Head(**saved.head)),
                labels={str(label): int(count) for label, count in manifest["labels"].items()},
                recipe=Recipe(**manifest["recipe"]),
                seed=int(manifest["seed"]),
                tuning=Tuning.from_dict(manifest["tuning"]),
                out_of_fold=OutOfFold(
                    scores=held_out["scores"],
                    relevant=held_out["relevant"].astype(bool),
                    groups=tuple(manifest["out_of_fold"]["groups"]),
                    names=tuple(manifest["out_of_fold"]["names"]),
                ),
                seconds=float(manifest["seconds"]),
            )
        except (
            KeyError, TypeError, ValueError, OverflowError, AttributeError, EncoderError
        ) as error:  # fmt: skip
            raise SieveError(
                f"{folder / sievefile.MANIFEST}: the file is damaged ({error!r}); train again"
            ) from None
        if sieve.encoder.fingerprint != manifest["fingerprint"]:
            raise SieveError(
                f"{folder}: the cut was tuned for other weights than those found here "
                "(another version of the encoder's packages?); train again"
            )
        return sieve


def _score_out_of_fold(
    start: Head, data: Prepared, recipe: Recipe, seed: int, progress: Progress
) -> OutOfFold:
    """Score every training photo by a head that did not see its building."""
    from photosieve.training.fit import out_of_fold

    # A single photo cannot be held out: its own score is all there is.
    folds = data.dataset.folds(seed=seed)
    scores = (
        out_of_fold(data, start, recipe, folds, seed=seed, progress=progress)
        if folds
        else data.scores(start).astype(np.float64)
    )
    return OutOfFold(scores, data.targets, data.dataset.groups, _names(data.dataset))


def _names(dataset: Dataset) -> tuple[str, ...]:
    return tuple(
        f"{group}/{path.name}" for group, path in zip(dataset.groups, dataset.photos, strict=True)
    )
