"""The folder that a sieve is saved as: written whole or not at all, and verified when read.

``sieve.json`` describes the sieve, ``head.safetensors`` holds the head for words,
``probe.safetensors`` the classifier of labels, ``background.safetensors`` the embedded photos that
scores of words are normalized against, and ``out_of_fold.safetensors`` and
``hidden_words.safetensors`` the scores that calibration and cut were learned from. Beside them are
the model, if the product does not bring it along, and a ``README.md`` for people. The description
names the hash of each file but that one, so that a cut is never used with other weights than its
own. Other files there belong to the user, and stay when the sieve is saved again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from photosieve.errors import SieveError, UsageError, printable
from photosieve.storage import draft_folder, recover_folder, remove_drafts

MANIFEST = "sieve.json"
CARD = "README.md"
TRAINING = {"training.json", "training.svg"}
"""Files that show how the training went; `photosieve.report.history` writes them."""

VERSION = 4
"""Of the saved form; a newer one is refused."""

OLDEST = 3
"""Of the forms that can be read. Form 3, of version 0.1, has no probe."""

ARRAY_TABLES = ("head", "probe", "background", "out_of_fold", "hidden_words")

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Contents:
    """A description in plain JSON values, and tables of arrays by name.

    Parameters
    ----------
    manifest : mapping
    tables : mapping of str to mapping of str to array
    card : str
        For people; it is written, and not read.
    """

    manifest: Mapping[str, Any]
    tables: Mapping[str, Arrays]
    card: str = ""

    @property
    def weights(self) -> dict[str, str]:
        """Hash of each weights file of a model, by name; `verify` checks these, `read` does not."""
        tables = {f"{name}.safetensors" for name in ARRAY_TABLES}
        listed: dict[str, str] = self.manifest["files"]
        return {n: h for n, h in listed.items() if n.endswith(".safetensors") and n not in tables}


def check_target(folder: Path) -> None:
    """Refuse a place that a sieve must not overwrite, before any work depends on it.

    Raises
    ------
    UsageError
        If something is there that is not a sieve, or the place cannot be written.
    """
    recover_folder(folder)
    if not folder.exists():
        parent = next(place for place in folder.absolute().parents if place.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise _unwritable(folder, f"nothing may be written in {parent}")
        remove_drafts(folder)  # of killed trainings
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / MANIFEST).exists()):
        raise UsageError(
            f"{folder}: there is something else than a sieve here; choose another place"
        )
    remove_drafts(folder.resolve())


@contextmanager
def draft(folder: Path) -> Iterator[Path]:
    """Make a draft of the folder, which replaces a sieve there when the block ends without error.

    Raises
    ------
    UsageError
        If the folder cannot be written, or holds something else than a sieve.
    """
    try:
        check_target(folder)
        with draft_folder(folder) as new:
            yield new
            _keep_others(folder, new)
    except (OSError, SafetensorError, shutil.Error) as error:
        raise _unwritable(folder, error) from None


def _keep_others(old: Path, new: Path) -> None:
    """Take over the files that belong to the user, and the pictures of a training that is kept."""
    if not old.is_dir():
        return
    before, after = _manifest_or_nothing(old), _manifest_or_nothing(new)
    own = {MANIFEST, CARD, *before.get("files", ())}
    if before.get("training") != after.get("training"):
        own |= TRAINING
    for path in old.iterdir():
        target = new / path.name
        # Weights of another sieve could be mistaken for those of this one.
        if path.name in own or path.suffix == ".safetensors" or target.exists():
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, target, symlinks=True)
        else:
            shutil.copy2(path, target, follow_symlinks=False)


def _manifest_or_nothing(folder: Path) -> dict[str, Any]:
    try:
        return _read_manifest(folder)
    except SieveError:
        return {}


def write(folder: Path, contents: Contents) -> None:
    """Write into a draft, beside the files of a model if there are some."""
    for name, arrays in contents.tables.items():
        file = folder / f"{name}.safetensors"
        save_file({key: np.ascontiguousarray(arrays[key]) for key in arrays}, file)
    files = {file.name: _hash(file) for file in sorted(folder.iterdir())}
    manifest = {"format": VERSION, **contents.manifest, "files": files}
    text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
    # The name of a building may be no text; "\\udc.." is what JSON has for its bytes.
    (folder / MANIFEST).write_text(text + "\n", "utf-8", "backslashreplace")
    (folder / CARD).write_text(printable(contents.card), "utf-8")  # has no hash: it may be edited
    for name in files:  # safetensors makes files that only this user may read
        (folder / name).chmod((folder / MANIFEST).stat().st_mode)


def replace(folder: Path, new: Path) -> None:
    """Move a saved sieve into the place of another.

    Raises
    ------
    UsageError
        If the folder cannot be written, or holds something else than a sieve.
    """
    with draft(folder) as copy:  # the new one may be on another disk
        shutil.copytree(new, copy, dirs_exist_ok=True)
    shutil.rmtree(new, ignore_errors=True)


def _unwritable(folder: Path, error: Exception | str) -> UsageError:
    reason = getattr(error, "strerror", None) or error
    return UsageError(
        f"{folder}: the sieve cannot be saved here ({reason}); "
        "choose a folder with room that you may write to"
    )


def read(folder: Path) -> Contents:
    """Read and verify the folder, but for the weights of a model: see `verify`.

    Raises
    ------
    SieveError
        If it is missing, damaged, altered or written by a newer version.
    """
    manifest = _read_manifest(folder)
    while True:
        try:
            return _read(folder, manifest)
        except SieveError:
            before, manifest = manifest, _read_manifest(folder)
            if manifest == before:
                raise
            # Another process has saved a sieve here meanwhile: read that.


def _read(folder: Path, manifest: dict[str, Any]) -> Contents:
    known = [name for name in ARRAY_TABLES if manifest["format"] > 3 or name != "probe"]
    files = {f"{name}.safetensors": name for name in known}
    listed = manifest.get("files")
    if not isinstance(listed, dict) or not listed.keys() >= files.keys():
        raise SieveError(f"{folder / MANIFEST}: the list of files is damaged; train again")
    tables: dict[str, Arrays] = {"probe": {}}
    for name, digest in listed.items():
        path = folder / Path(name).name
        if not path.exists():
            raise SieveError(f"{path}: the file is missing; train again, or copy it back")
        if path.suffix == ".safetensors" and name not in files:
            continue
        if name not in files:
            verify(path, digest)
            continue
        try:
            data = path.read_bytes()  # once: another process may replace the file
            if hashlib.sha256(data).hexdigest() != digest:
                raise _altered(path)
            tables[files[name]] = load(data)
        except (OSError, SafetensorError) as error:
            raise SieveError(f"{path}: cannot be read ({error}); train again") from None
    return Contents(manifest, tables)


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
    raise _altered(path)


def _altered(path: Path) -> SieveError:
    return SieveError(
        f"{path}: the file was altered after the sieve was saved, so its cut no "
        "longer holds; train again, or copy the original back"
    )


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    recover_folder(folder)
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
    if manifest["format"] > VERSION:
        raise SieveError(
            f"{folder}: this sieve was saved by a newer photosieve; "
            "update with: pip install --upgrade photosieve"
        )
    if manifest["format"] < OLDEST:
        raise SieveError(
            f"{folder}: this sieve was saved by an older photosieve, in another form; train again"
        )
    return manifest


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
