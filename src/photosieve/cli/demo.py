"""The whole job on the sample listings: train, test, compare, report, search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photosieve.data.dataset import Dataset
from photosieve.data.samples import samples_folder
from photosieve.decision.evaluation import Evaluation
from photosieve.encoders import load_encoder
from photosieve.progress import Progress, Stages, silent
from photosieve.report import check_report
from photosieve.report.page import write_html
from photosieve.report.table import write_excel
from photosieve.sieve.answer import SearchResult
from photosieve.sieve.compare import Comparison, compare_prepared, comparison_stages
from photosieve.sieve.folder import check_target
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import prepare
from photosieve.training.recipes import DEFAULT
from photosieve.training.run import Run
from photosieve.training.stages import fitting_stages

BUILDING = "fountain-square-3"
QUERIES = ("sofa", "kitchen", "swimming pool")


@dataclass(frozen=True)
class Demo:
    """Results of the demo.

    Parameters
    ----------
    folder : Path
        Folder of the sieve, ``report.html`` and ``report.xlsx``.
    sieve : Sieve
    comparison : Comparison
    building : Path
        Folder that was searched.
    results : tuple of SearchResult
    """

    folder: Path
    sieve: Sieve
    comparison: Comparison
    building: Path
    results: tuple[SearchResult, ...]

    @property
    def evaluation(self) -> Evaluation:
        """The sieve's figures on the test buildings."""
        return self.comparison.evaluations[DEFAULT][0]

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON."""
        return {
            "sieve": str(self.folder / "sieve"),
            "report": str(self.folder / "report.html"),
            "evaluation": self.evaluation.to_dict(),
            "comparison": [row.to_dict() for row in self.comparison.rows],
            "searches": [result.to_dict() for result in self.results],
        }


def stages(seeds: int) -> Stages:
    """Return the stages of `run`."""
    train, test = (Dataset.load(samples_folder() / name) for name in ("train", "test"))
    *reading, comparing = comparison_stages(train, test, seeds=seeds)
    return [*reading, *fitting_stages(Run(), train), comparing]


def run(out: Path, *, seeds: int = 2, progress: Progress = silent) -> Demo:
    """Train on 6 buildings, test on 8 others, and write sieve and reports to a folder.

    Parameters
    ----------
    out : Path
    seeds : int
        Trainings for each row of the comparison.
    progress : Progress

    Raises
    ------
    UsageError
        If the folder cannot be written, or contains something else.
    """
    samples = samples_folder()
    check_target(out / "sieve")
    check_report(out / "report.html", out / "report.xlsx")
    encoder = load_encoder("starter")
    train = prepare(encoder, Dataset.load(samples / "train"), more_views=True, progress=progress)
    test_set = Dataset.load(samples / "test")
    test = prepare(encoder, test_set, labels=train.labels, words=False, progress=progress)
    sieve = Sieve.fit_prepared(encoder, train, Run(progress=progress))
    sieve.save(out / "sieve")
    comparison = compare_prepared(encoder, train, test, seeds=seeds, progress=progress)
    building = samples / "test" / BUILDING
    results = tuple(sieve.search(query, building) for query in QUERIES)
    demo = Demo(out, sieve, comparison, building, results)
    write_html(demo.evaluation, out / "report.html", comparison=comparison.rows, shown=DEFAULT)
    write_excel(demo.evaluation, out / "report.xlsx")
    return demo
