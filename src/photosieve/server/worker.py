"""Training in a process of its own, so that searches continue and a crash changes nothing.

Reads tasks as lines of JSON on stdin. Answers each with messages as lines of JSON on stdout:
``progress``, then ``result`` or ``error``. A task with ``warm`` has no answer: it loads what a
training needs. The model stays loaded from one task to the next.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from photosieve.data.dataset import Dataset
from photosieve.encoders.feature_cache import FeatureCache
from photosieve.encoders.protocol import Encoder
from photosieve.encoders.words import word_features
from photosieve.errors import (
    PhotoError,
    PhotosieveError,
    Skipped,
    TrainingError,
    UsageError,
    unread_formats,
)
from photosieve.index.sources import open_root
from photosieve.index.store import is_remote
from photosieve.progress import Progress, Status, Tracker, silent
from photosieve.server.library import Library, View
from photosieve.sieve.review import review
from photosieve.sieve.saved import load_base
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared, assemble, open_for, prepare, unlabeled_photos
from photosieve.training.prompting import prompted
from photosieve.training.recipe import Recipe
from photosieve.training.recipes import DEFAULT, get_recipe
from photosieve.training.run import Run
from photosieve.training.stages import CUT, training_stages

COMPARING = "comparing with the sieve in use"

LONG = 100
"""Photos from which on there are first figures."""

MOST_MEMORY = 2**31
"""A process that had so much does not stay for the next training, in bytes."""


def learn(
    library: Library,
    out: Path,
    watch: Callable[[Status], None],
    first: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Train a sieve on all labeled photos except those kept for testing, and save it.

    Parameters
    ----------
    library : Library
    out : Path
        Folder of the new sieve.
    watch : callable
        Told how far the training is.
    first : callable
        Gets first figures, where all of them take long: of a sieve whose cut is learned from one
        part of the buildings, and which does not judge other words.

    Returns
    -------
    dict
        The new labels, the size of the training set, and figures before and after.

    Raises
    ------
    PhotosieveError
        If there are too few labels.
    """
    view = library.view()
    groups = view.groups_of_photos
    dataset = view.book.dataset(test=False, groups=groups)
    if dataset is None or not dataset.vocabulary:
        raise TrainingError("no photo has a label yet; give some photos labels, and learn then")
    before = view.sieve
    recipe = before.recipe if before.labels else get_recipe(DEFAULT)
    tracker = Tracker(
        [*training_stages(before.encoder.name, Run(recipe), dataset), (COMPARING, CUT / 2)]
    )

    def progress(stage: str, done: int, total: int) -> None:
        tracker(stage, done, total)
        watch(tracker.status())

    progress("loading the model", 0, 1)
    data, start = _prepared(library, view, dataset, recipe, progress)
    test_set = view.book.dataset(test=True, groups=groups)
    figures = test = None
    if not recipe.trains_blocks:  # trained blocks have other features than the index
        unlabeled = _unlabeled(dataset, groups, set(test_set.groups if test_set else ()))
        data = replace(data, unlabeled=library.features(view, unlabeled).features)
    start, data = prompted(start, data, recipe)
    run = Run(recipe, before.seed, progress=progress)
    if test_set is not None and not recipe.trains_blocks:
        test = library.prepared(view, test_set, data.labels)
    comparable = not recipe.trains_blocks and (test is not None or len(data.photos) > 1)
    if comparable and recipe.epochs == 0 and len(data.photos) >= LONG:
        rough = replace(run, folds=1, progress=silent)
        sieve = Sieve.fit_prepared(start, data, rough, objective=_objective(before), words=False)
        first(review(before, sieve, data, test).to_dict(view.id_of))
    after = Sieve.fit_prepared(start, data, run, objective=_objective(before))
    after.save(out)
    if comparable:
        progress(COMPARING, 0, 1)
        figures = review(before, after, data, test).to_dict(view.id_of)
    lost = [label for label in before.labels if label not in after.labels]
    return {
        "labels": dict(after.labels),
        "photos": len(data.photos),
        "buildings": len(set(data.dataset.groups)),
        "new_labels": [label for label in after.labels if label not in before.labels],
        "lost_labels": lost,
        "skipped": len(after.skipped),
        "notes": [*map(str, after.notes), *_unread(view)],
        "seconds": round(after.seconds, 1),
        "review": figures,
    }


def _unread(view: View) -> dict[str, int]:
    """Return a sentence for each format of photos that the index left out."""
    skipped: list[Skipped] = []
    for root in {group.root for group in view.snapshot.groups if not is_remote(group.root)}:
        with suppress(UsageError):  # the folder is gone
            entries = open_root(root).walk(follow_links=False)
            skipped += (entry for entry in entries if isinstance(entry, Skipped))
    return unread_formats(skipped)


def _objective(before: Sieve) -> str:
    """Objective of the old cut. A guarantee does not carry over to a new sieve."""
    return before.tuning.objective if before.guarantee is None else "f1"


def _prepared(
    library: Library, view: View, dataset: Dataset, recipe: Recipe, progress: Progress
) -> tuple[Prepared, Encoder]:
    """Return the training features, and the pretrained encoder that computed them."""
    start = open_for(_encoder(view.sieve.encoder.name), recipe)
    if recipe.more_views or recipe.trains_blocks:
        return _read_again(start, view, dataset, recipe, progress), start
    features = library.features(view, dataset.photos)
    return assemble(start, dataset, features, dataset.vocabulary), start


def _unlabeled(dataset: Dataset, groups: Mapping[Path, str], tested: Set[str]) -> list[Path]:
    """Choose photos without labels, none of them in a building that is kept for testing."""
    labeled = set(dataset.photos)
    others = [p for p, group in groups.items() if p not in labeled and group not in tested]
    return unlabeled_photos(others, len(labeled))


def _read_again(
    encoder: Encoder, view: View, dataset: Dataset, recipe: Recipe, progress: Progress
) -> Prepared:
    """Return features that the index does not hold, of the photos that can still be read."""
    inside: list[int] = []
    skipped: list[Skipped] = []
    for number, row in enumerate(view.rows_of(dataset.photos)):
        try:
            view.locate(view.photo(row))
            inside.append(number)
        except PhotoError as error:
            skipped.append(Skipped.from_error(error))
    if not inside:
        raise TrainingError(f"no labeled photo can be read; the first: {skipped[0]}")
    data = prepare(
        encoder,
        replace(dataset.select(inside), notes=dataset.notes),
        labels=dataset.vocabulary,
        more_views=recipe.more_views,
        progress=progress,
        keep=None if recipe.trains_blocks else FeatureCache(),  # a block takes far more numbers
    )
    return replace(data, skipped=(*skipped, *data.skipped))


def warm(library: Library) -> None:
    """Load what a training needs: its modules, the model and the general words."""
    from photosieve.training import fit, folds, hidden  # noqa: F401  # they bring torch

    view = library.view()
    word_features(_encoder(view.sieve.encoder.name))
    library.features(view, ())


_encoder = cache(load_base)


def main() -> None:
    """Run the tasks on stdin."""
    os.nice(10)
    stdout, sys.stdout = sys.stdout, sys.stderr  # libraries may print; only messages go to stdout

    def send(**message: Any) -> None:
        stdout.write(json.dumps(message, ensure_ascii=False) + "\n")
        stdout.flush()

    for line in sys.stdin:
        task = json.loads(line)
        library = Library(Path(task["sieve"]), task["index"])
        try:
            if "warm" in task:
                with suppress(PhotosieveError):  # the training will say it
                    warm(library)
            else:
                out = Path(task["out"])
                send(
                    result=learn(
                        library,
                        out,
                        lambda status: send(progress=asdict(status)),
                        lambda figures: send(first=figures),
                    )
                )
        except PhotosieveError as error:
            send(error=str(error))
        if _memory() > MOST_MEMORY:
            return


def _memory() -> int:
    """Return the most memory in bytes that this process had; 0 where the system does not say it."""
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
