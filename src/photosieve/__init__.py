"""Ask for photos in words; get the photos that match, all of them and no others.

::

    from photosieve import Dataset, Sieve

    sieve = Sieve.fit(Dataset.load("train"), encoder="starter")
    for hit in sieve.search("sofa", "test/harbour-view"):
        print(hit.path, hit.probability)
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # as in `typing`, which takes longer to load than Ctrl-C should have to wait
if TYPE_CHECKING:
    from photosieve.data.check import CheckReport, check
    from photosieve.data.dataset import Dataset
    from photosieve.data.export import Export, export_labels
    from photosieve.decision.cut import Cut
    from photosieve.decision.evaluation import Evaluation
    from photosieve.decision.guarantee import Guarantee
    from photosieve.decision.metrics import Counts
    from photosieve.decision.objective import Objective
    from photosieve.encoders import load_encoder
    from photosieve.encoders.protocol import Encoder
    from photosieve.encoders.vectors import VectorEncoder
    from photosieve.encoders.words import general_words
    from photosieve.errors import (
        EncoderError,
        GuaranteeError,
        LabelsError,
        PhotoError,
        PhotoIndexError,
        PhotosieveError,
        SieveError,
        Skipped,
        TrainingError,
        UsageError,
    )
    from photosieve.index.cluster import embed_on
    from photosieve.index.index import Index
    from photosieve.report.history import write_training
    from photosieve.report.page import write_contact_sheet, write_html
    from photosieve.report.table import write_csv, write_excel, write_leaderboard
    from photosieve.sieve.answer import Hit, SearchResult
    from photosieve.sieve.compare import Comparison, compare
    from photosieve.sieve.sieve import Sieve
    from photosieve.training.checkpoints import Checkpoints
    from photosieve.training.features import Prepared, prepare
    from photosieve.training.recipe import Recipe
    from photosieve.training.recipes import get_recipe
    from photosieve.training.run import History, Run

_MODULES = {
    "data.check": ("CheckReport", "check"),
    "data.dataset": ("Dataset",),
    "data.export": ("Export", "export_labels"),
    "decision.cut": ("Cut",),
    "decision.evaluation": ("Evaluation",),
    "decision.guarantee": ("Guarantee",),
    "decision.metrics": ("Counts",),
    "decision.objective": ("Objective",),
    "encoders": ("load_encoder",),
    "encoders.protocol": ("Encoder",),
    "encoders.vectors": ("VectorEncoder",),
    "encoders.words": ("general_words",),
    "errors": (
        "EncoderError",
        "GuaranteeError",
        "LabelsError",
        "PhotoError",
        "PhotoIndexError",
        "PhotosieveError",
        "SieveError",
        "Skipped",
        "TrainingError",
        "UsageError",
    ),
    "index.cluster": ("embed_on",),
    "index.index": ("Index",),
    "report.history": ("write_training",),
    "report.page": ("write_contact_sheet", "write_html"),
    "report.table": ("write_csv", "write_excel", "write_leaderboard"),
    "sieve.answer": ("Hit", "SearchResult"),
    "sieve.compare": ("Comparison", "compare"),
    "sieve.sieve": ("Sieve",),
    "training.checkpoints": ("Checkpoints",),
    "training.features": ("Prepared", "prepare"),
    "training.recipe": ("Recipe",),
    "training.recipes": ("get_recipe",),
    "training.run": ("History", "Run"),
}
_HOMES = {name: f"photosieve.{module}" for module, names in _MODULES.items() for name in names}

__all__ = [
    "CheckReport",
    "Checkpoints",
    "Comparison",
    "Counts",
    "Cut",
    "Dataset",
    "Encoder",
    "EncoderError",
    "Evaluation",
    "Export",
    "Guarantee",
    "GuaranteeError",
    "History",
    "Hit",
    "Index",
    "LabelsError",
    "Objective",
    "PhotoError",
    "PhotoIndexError",
    "PhotosieveError",
    "Prepared",
    "Recipe",
    "Run",
    "SearchResult",
    "Sieve",
    "SieveError",
    "Skipped",
    "TrainingError",
    "UsageError",
    "VectorEncoder",
    "check",
    "compare",
    "embed_on",
    "export_labels",
    "general_words",
    "get_recipe",
    "load_encoder",
    "prepare",
    "write_contact_sheet",
    "write_csv",
    "write_excel",
    "write_html",
    "write_leaderboard",
    "write_training",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first used, so that importing the package costs nothing."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
