"""The sample listings that come with the package."""

from __future__ import annotations

from pathlib import Path

from photosieve.errors import PhotosieveError


def samples_folder() -> Path:
    """Return the folder of the sample listings: in the package, or at the root of a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "samples", package.parents[1] / "samples"):
        if folder.is_dir():
            return folder
    raise PhotosieveError("the sample listings are missing; install photosieve again")
