"""Ask for photos in words; get the photos that match, all of them and no others.

::

    from photosieve import Dataset, Sieve

    sieve = Sieve.fit(Dataset.load("train"), encoder="starter")
    for hit in sieve.search("sofa", "test/harbour-view"):
        print(hit.path, hit.score)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from photosieve.cut import Cut
    from photosieve.errors import PhotosieveError
    from photosieve.evaluate import Evaluation
    from photosieve.hits import Hit, SearchResult
    from photosieve.index import Index
    from photosieve.labels import Dataset
    from photosieve.sieve import Sieve

_HOMES = {
    "Cut": "photosieve.cut",
    "Dataset": "photosieve.labels",
    "Evaluation": "photosieve.evaluate",
    "Hit": "photosieve.hits",
    "Index": "photosieve.index",
    "PhotosieveError": "photosieve.errors",
    "SearchResult": "photosieve.hits",
    "Sieve": "photosieve.sieve",
}

__all__ = [
    "Cut",
    "Dataset",
    "Evaluation",
    "Hit",
    "Index",
    "PhotosieveError",
    "SearchResult",
    "Sieve",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing the package costs nothing."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
