"""A model's files: found in a folder or on the Hugging Face hub, and read without trusting them.

A folder can be put on the hub, too. The starters' files are in packages.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import pickle
import re
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photosieve.errors import EncoderError, UsageError

if TYPE_CHECKING:
    import torch

NETWORK_SECONDS = 20

ALLOW_DOWNLOAD = "PHOTOSIEVE_ALLOW_DOWNLOAD"
"""Environment variable: not empty if the models that sieves name may be downloaded."""

MAX_HUB_ID = 96
"""Characters of a name on the hub; its other rules are in `is_hub_id`."""

_downloads: ContextVar[bool] = ContextVar("downloads", default=True)

_SETTINGS = ("preprocessor_config.json", "processor_config.json")
_VOCABULARIES = (
    "tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model",
    "tokenizer.model",
)  # fmt: skip
SMALL_FILES = (
    "config.json", *_SETTINGS, *_VOCABULARIES,
    "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
)  # fmt: skip
"""Files that decide how photos and texts are prepared."""

MODEL_CARD = "README.md"
"""A model's page on the hub; it is optional."""

_WEIGHTS = (("model", "safetensors"), ("pytorch_model", "bin"))
"""Stem and ending of weights files, the safe form first."""


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model.

    Parameters
    ----------
    name : str
        Folder or hub id, with which `find` finds it again.
    folder : Path
        Folder with the files.
    """

    name: str
    folder: Path

    @classmethod
    def find(cls, name: str) -> ModelFiles:
        """Find a model in a folder or by its hub id, downloading it when it is not cached.

        Raises
        ------
        EncoderError
            If there is no such model, it cannot be downloaded, or files are missing or damaged.
        """
        if _is_folder(name):
            found = cls(str(Path(name).resolve()), Path(name).resolve())
        elif is_hub_id(name):
            found = cls(name, _fetch(name))
        else:
            raise EncoderError(
                f'there is no encoder "{name}"; give "starter", the folder of a model, '
                'or the id of one on the Hugging Face hub such as "openai/clip-vit-base-patch32"'
            )
        if missing := _missing(found._names()):
            raise EncoderError(f"{name} has no {missing}; give a model of photos and text")
        found._check_settings()
        return found

    @property
    def weights(self) -> list[Path]:
        """The files with the weights."""
        return [self.folder / name for name in _weights_among(self._names())]

    @functools.cached_property
    def digests(self) -> dict[str, str]:
        """Hash of each of the weights, by name."""
        import torch

        def digest(tensor: torch.Tensor) -> str:
            found = hashlib.sha256(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
            return found.hexdigest()

        tensors = self.tensors()
        with ThreadPoolExecutor() as pool:
            return dict(zip(tensors, pool.map(digest, tensors.values()), strict=True))

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of the weights and of the files that decide how inputs are prepared."""
        digest = hashlib.sha256()
        for path in (self.folder / name for name in SMALL_FILES):
            if path.exists():
                digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
        digest.update(json.dumps(self.digests, sort_keys=True).encode())
        return digest.hexdigest()

    @property
    def license(self) -> str:
        """License in the model's card, by its name on the hub; empty if the card states none."""
        from huggingface_hub import metadata_load

        with suppress(Exception):  # it is written by hand, and nothing depends on it
            stated: Any = (metadata_load(self.folder / MODEL_CARD) or {}).get("license")
            if re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,60}", stated) and stated != "unknown":
                return str(stated)
        return ""

    @property
    def preparation(self) -> str:
        """Hash of the files that decide how photos are prepared."""
        there = [self.folder / name for name in _SETTINGS if (self.folder / name).exists()]
        return hashlib.sha256(b"/".join(path.read_bytes() for path in there)).hexdigest()

    def tensors(self) -> dict[str, torch.Tensor]:
        """Read the weights by name; the file is mapped into memory, not copied.

        Raises
        ------
        EncoderError
            If a file is damaged or holds anything but tensors.
        """
        found: dict[str, torch.Tensor] = {}
        for path in self.weights:
            found |= _read_safe(path) if path.suffix == ".safetensors" else _read_pickled(path)
        return found

    def _names(self) -> set[str]:
        try:
            return {path.name for path in self.folder.iterdir() if path.is_file()}
        except OSError as error:
            reason = error.strerror
            raise EncoderError(f"{self.folder} cannot be read ({reason}); allow it") from error

    def _check_settings(self) -> None:
        for name in ("config.json", "tokenizer_config.json", *_SETTINGS):
            path = self.folder / name
            if not path.exists():
                continue
            try:
                settings: Any = json.loads(path.read_text("utf-8"))
            except (OSError, ValueError, RecursionError) as error:
                raise EncoderError(
                    f"{path} is damaged ({first_line(error)}); get it again"
                ) from error
            if not isinstance(settings, dict):
                raise EncoderError(f"{path} is not a JSON object; get it again")
            if "auto_map" in settings:
                raise EncoderError(
                    f"{path} asks to run code that comes with the model, which photosieve never "
                    "does; choose a model that transformers knows by itself"
                )


def publish(folder: Path, name: str) -> str:
    """Put a folder on the Hugging Face hub as a private model, and return its address.

    Parameters
    ----------
    folder : Path
    name : str
        The model's id there, such as ``"someone/listing-sieve"``; one that exists is replaced.

    Raises
    ------
    UsageError
        If the hub does not take it.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        address = api.create_repo(name, private=True, exist_ok=True)
        # Files of an earlier version would be taken for parts of this one.
        api.upload_folder(repo_id=name, folder_path=folder, delete_patterns="*")
    except Exception as error:  # each network library and each version raises its own
        raise UsageError(
            f'"{name}" cannot be put on the Hugging Face hub ({first_line(error)}); give the id of '
            'a model of yours such as "you/listing-sieve", log in with "hf auth login", and '
            "connect to the network"
        ) from error
    return str(address)


def package_file(package: str, *parts: str) -> Path:
    """Return the path of a file inside an installed package, without importing that package.

    Raises
    ------
    EncoderError
        If the package is missing.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EncoderError(
            f"the starter model's package {package.replace('_', '-')} is missing; "
            "install photosieve again with its dependencies"
        )
    return Path(spec.origin).parent.joinpath(*parts)


def hash_files(*paths: Path) -> str:
    """Hash files that do not change while the program runs: each is read once."""
    return hashlib.sha256(b"".join(map(_file_digest, paths))).hexdigest()


@functools.cache
def _file_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def first_line(error: Exception) -> str:
    """Return the first line of a library's error message."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def is_hub_id(name: str) -> bool:
    """Whether a name could be that of a model on the hub; folders have absolute paths here."""
    part = r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?"
    odd = len(name) > MAX_HUB_ID or re.search(r"--|\.\.|\.git$", name)
    return not odd and re.fullmatch(f"{part}/{part}", name) is not None


@contextmanager
def local_only() -> Iterator[None]:
    """Download nothing during the block: a sieve of somebody else must not decide that.

    With the environment variable `ALLOW_DOWNLOAD`, models are downloaded all the same.
    """
    before = _downloads.set(bool(os.environ.get(ALLOW_DOWNLOAD)))
    try:
        yield
    finally:
        _downloads.reset(before)


def _is_folder(name: str) -> bool:
    try:
        return bool(name) and Path(name).is_dir()
    except OSError:  # longer than any path may be
        return False


def _fetch(name: str) -> Path:
    """Return the folder of a hub model in the hub's cache; missing files are downloaded first.

    A model that is cached in full is used without the network. A sieve fits only the weights that
    it was trained with, so that newer ones would be of no use.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    partly = ""
    with suppress(LocalEntryNotFoundError, OSError):  # such as a cache that cannot be read
        folder = Path(snapshot_download(name, allow_patterns="config.json", local_files_only=True))
        missing = _missing({path.name for path in folder.iterdir()})
        if not missing:
            return folder
        partly = f"; its cached copy has no {missing}"
    if not _downloads.get():
        raise EncoderError(
            f"the model {name} is not on this machine{partly}, and a sieve does not download "
            "models by itself; if you trust it, add --allow-download, or in Python "
            f"give load_encoder({name!r}) to Sieve.load"
        )
    try:
        files = HfApi().model_info(name, timeout=NETWORK_SECONDS).siblings or []
        there = {file.rfilename for file in files}
        if missing := _missing(there):
            raise EncoderError(f"{name} has no {missing}; give a model of photos and text")
        wanted = [*SMALL_FILES, MODEL_CARD, *_weights_among(there)]
        return Path(snapshot_download(name, allow_patterns=wanted))
    except EncoderError:
        raise
    except GatedRepoError as error:
        raise EncoderError(
            f"{name} is only for those who have accepted its terms; accept them at "
            f'https://huggingface.co/{name}, then log in with "hf auth login"'
        ) from error
    except RepositoryNotFoundError as error:
        raise EncoderError(
            f"{name} is no folder here, and no model on the Hugging Face hub that you may see; "
            'check the name, or log in with "hf auth login" if it is private'
        ) from error
    except Exception as error:  # each network library and each version raises its own
        raise EncoderError(
            f"{name} is no folder here and cannot be fetched from the Hugging Face hub "
            f"({first_line(error)}){partly}; connect to the network once, or give a folder"
        ) from error


def _missing(names: set[str]) -> str:
    """Name the first part that a model with these files lacks; empty if it is complete."""
    if "config.json" not in names:
        return "config.json"
    if names.isdisjoint(_SETTINGS):
        return "preprocessor_config.json"
    if names.isdisjoint(_VOCABULARIES):
        return "tokenizer.json"
    return (
        "" if _weights_among(names) else "weights (model.safetensors or pytorch_model.bin, in full)"
    )


def _weights_among(names: Iterable[str]) -> list[str]:
    """Return the weights files to read: one whole file or all shards, safetensors first."""
    present = set(names)
    for stem, ending in _WEIGHTS:
        if f"{stem}.{ending}" in present:
            return [f"{stem}.{ending}"]
        shard = re.compile(rf"{stem}-\d+-of-(\d+)\.{ending}")
        shards = sorted(name for name in present if shard.fullmatch(name))
        if shards and len(shards) == int(shards[0].removesuffix(f".{ending}").rpartition("-")[2]):
            return shards
    return []


def _read_safe(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise EncoderError(f"{path} is damaged ({first_line(error)}); get it again") from error


def _read_pickled(path: Path) -> dict[str, torch.Tensor]:
    """Read the older form of weights, which is a pickle, without letting it run anything."""
    import torch

    try:
        # Only the newer, zipped form of these files can be mapped into memory.
        state = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except pickle.UnpicklingError as error:
        raise EncoderError(
            f"{path} is damaged or holds more than tensors, and reading it could run any program; "
            "get the model in safetensors form"
        ) from error
    except Exception as error:  # torch raises nearly every built-in error on damaged bytes
        raise EncoderError(f"{path} is damaged ({first_line(error)}); get it again") from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items()
    ):
        raise EncoderError(
            f"{path} holds something other than named tensors; get the model in safetensors form"
        )
    return state
