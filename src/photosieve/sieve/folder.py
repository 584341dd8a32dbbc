"""The folder that a sieve is saved as: written whole or not at all, and verified when read.

``sieve.json`` describes it, ``head.safetensors`` holds the trained head,
``background.safetensors`` the embedded photos that words are normalized against, and
``out_of_fold.safetensors`` and ``hidden_words.safetensors`` what calibration and cut were learned
from; beside them stand the model, if the product does not bring it along, and a ``README.md`` for
people. The description names the hash of each file but that, so that a cut is never used with other
weights than its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from photosieve.errors import SieveError, UsageError

MANIFEST = "sieve.json"
CARD = "README.md"
FORMAT = 3
"""Version of the saved form; a newer one is refused."""

TABLES = ("head", "background", "out_of_fold", "hidden_words")

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Saved:
    """What is in the folder: a description in plain JSON values, and tables of arrays by name.

    The card is for people: it is written, and not read.
    """

    manifest: Mapping[str, Any]
    tables: Mapping[str, Arrays]
    card: str = ""


def check_target(folder: Path) -> None:
    """Refuse a place that a sieve must not overwrite, before any work depends on it.

    Raises
    ------
    UsageError
        If something is there that is not a sieve, or nothing may be put there.
    """
    if not folder.exists():
        parent = next(place for place in folder.absolute().parents if place.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise _unwritable(folder, f"nothing may be written in {parent}")
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / MANIFEST).exists()):
        raise UsageError(
            f"{folder}: there is something else than a sieve here; choose another place"
        )


def write(folder: Path, fill: Callable[[Path], Saved]) -> None:
    """Write the folder; a sieve that stands there is replaced only when the new one is complete.

    Parameters
    ----------
    folder : Path
    fill : callable
        Takes the folder in the making, may write files into it, and returns the rest.

    Raises
    ------
    UsageError
        If the folder cannot be written, or holds something else than a sieve.
    """
    try:
        check_target(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".sieve-") as scratch:
            draft = Path(scratch) / "new"
            draft.mkdir()
            saved = fill(draft)
            for name, arrays in saved.tables.items():
                file = draft / f"{name}.safetensors"
                save_file({key: np.ascontiguousarray(arrays[key]) for key in arrays}, file)
            files = {file.name: _hash(file) for file in sorted(draft.iterdir())}
            manifest = {"format": FORMAT, **saved.manifest, "files": files}
            text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
            (draft / MANIFEST).write_text(text + "\n", "utf-8")
            (draft / CARD).write_text(saved.card, "utf-8")  # has no hash: it may be edited
            for name in files:  # safetensors lets nobody else read what it writes
                (draft / name).chmod((draft / MANIFEST).stat().st_mode)
            _swap(folder, draft, Path(scratch) / "old")
    except (OSError, SafetensorError) as error:
        raise _unwritable(folder, error) from None


def replace(folder: Path, new: Path) -> None:
    """Put a saved sieve in the place of another; it is gone from its own place then.

    Raises
    ------
    UsageError
        If the folder cannot be written, or holds something else than a sieve.
    """
    try:
        check_target(folder)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".sieve-") as scratch:
            draft = Path(scratch) / "new"
            shutil.copytree(new, draft)  # it may come from another disk
            _swap(folder, draft, Path(scratch) / "old")
    except (OSError, shutil.Error) as error:
        raise _unwritable(folder, error) from None
    shutil.rmtree(new, ignore_errors=True)


def _swap(folder: Path, draft: Path, old: Path) -> None:
    """Rename a complete folder into place; the one there goes to `old`, or stays if that fails."""
    if folder.exists():
        folder.rename(old)
    try:
        draft.rename(folder)
    except BaseException:  # the old sieve must not go with the scratch folder
        if old.exists():
            old.rename(folder)
        raise


def _unwritable(folder: Path, error: Exception | str) -> UsageError:
    reason = getattr(error, "strerror", None) or error
    return UsageError(
        f"{folder}: the sieve cannot be saved here ({reason}); "
        "choose a folder with room that you may write to"
    )


def read(folder: Path) -> Saved:
    """Read and verify the folder, but for the weights of a model: see `verify`.

    Raises
    ------
    SieveError
        If it is missing, damaged, altered or written by a newer version.
    """
    manifest = _read_manifest(folder)
    files = {f"{name}.safetensors": name for name in TABLES}
    listed = manifest.get("files")
    if not isinstance(listed, dict) or not listed.keys() >= files.keys():
        raise SieveError(f"{folder / MANIFEST}: the list of files is damaged; train again")
    tables = {}
    for name, digest in listed.items():
        path = folder / Path(name).name
        if not path.exists():
            raise SieveError(f"{path}: the file is missing; train again, or copy it back")
        if path.suffix == ".safetensors" and name not in files:
            continue
        verify(path, digest)
        try:
            if name in files:
                tables[files[name]] = load_file(path)
        except (OSError, SafetensorError) as error:
            raise SieveError(f"{path}: cannot be read ({error}); train again") from None
    return Saved(manifest, tables)


def weights(saved: Saved) -> dict[str, str]:
    """Return the files that `read` leaves to `verify`, and the hash of each."""
    tables = {f"{name}.safetensors" for name in TABLES}
    listed: dict[str, str] = saved.manifest["files"]
    return {n: h for n, h in listed.items() if n.endswith(".safetensors") and n not in tables}


def verify(path: Path, digest: str) -> None:
    """Make sure that a file is the one that was saved.

    Raises
    ------
    SieveError
        If it is not, or cannot be read.
    """
    try:
        if _hash(path) == digest:
            return
    except OSError as error:
        raise SieveError(f"{path}: cannot be read ({error}); train again") from None
    raise SieveError(
        f"{path}: the file was altered after the sieve was saved, so its cut no "
        "longer holds; train again, or copy the original back"
    )


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise SieveError(
            f"{folder}: there is no sieve here ({MANIFEST} is missing); "
            f"make one with: photosieve train PHOTOS --out {folder}"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise SieveError(f"{path}: the file is damaged ({error}); train again") from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise SieveError(f"{path}: this is not the description of a sieve; train again")
    if manifest["format"] > FORMAT:
        raise SieveError(
            f"{folder}: this sieve was saved by a newer photosieve; "
            "update with: pip install --upgrade photosieve"
        )
    if manifest["format"] < FORMAT:
        raise SieveError(
            f"{folder}: this sieve was saved by an older photosieve, in another form; train again"
        )
    return manifest


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
