"""A model's files: found in a folder or on the Hugging Face hub, and read without trusting them.

A folder can be put on the hub, too. The starters' files are in packages.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photosieve.encoders.digests import digest
from photosieve.encoders.downloads import downloads_allowed, is_hub_id
from photosieve.encoders.weights import (
    check_finite,
    first_line,
    read_weights,
    weights_among,
    without_prefix,
)
from photosieve.errors import EncoderError, UsageError

if TYPE_CHECKING:
    import torch

NETWORK_SECONDS = 20

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

ADAPTER_CONFIG = "adapter_config.json"
_ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
_MODULES = "modules.json"
"""Lists the parts of a model of sentence-transformers."""


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
            folder = Path(name).resolve()
            found = cls(str(folder), folder / _inner(folder))
        elif os.path.isfile(name):  # noqa: PTH113  # Path.is_file fails on an impossible name
            raise EncoderError(f"{name} is a file: {_ADVICE_ON_FILES}")
        elif is_hub_id(name):
            found = cls(name, _fetch(name))
        else:
            raise EncoderError(
                f'there is no encoder "{name}"; give "starter", the folder of a model, '
                'or the id of one on the Hugging Face hub such as "openai/clip-vit-base-patch32"'
            )
        if missing := _missing(name, found._names(), found.folder.joinpath):
            raise EncoderError(f"{name} has no {missing}; give a model of photos and text")
        found._check_settings()
        return found

    @property
    def is_adapter(self) -> bool:
        """Whether these are changes to another model; see `photosieve.encoders.adapters`."""
        return (self.folder / ADAPTER_CONFIG).exists()

    @property
    def adapter_weights(self) -> str:
        """Name of the file with the weights of an adapter."""
        return next(name for name in _ADAPTERS if (self.folder / name).exists())

    @property
    def weights(self) -> list[Path]:
        """The files with the weights."""
        names = weights_among(self._names(), self.folder.joinpath)
        return [self.folder / name for name in names]

    @functools.cached_property
    def digests(self) -> dict[str, str]:
        """Hash of each of the weights, by name.

        Raises
        ------
        EncoderError
            If a weight is not a number.
        """
        import torch

        def digest(name: str, tensor: torch.Tensor) -> str:
            check_finite(f"{self.name}: {name}", tensor)
            found = hashlib.sha256(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
            return found.hexdigest()

        tensors = self.tensors()
        with ThreadPoolExecutor() as pool:
            return dict(zip(tensors, pool.map(digest, tensors, tensors.values()), strict=True))

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
        """Read the weights by the names that `transformers` gives them; see `read_weights`."""
        return without_prefix(read_weights(self.weights))

    def _names(self) -> set[str]:
        try:
            return {path.name for path in self.folder.iterdir() if path.is_file()}
        except OSError as error:
            reason = error.strerror
            raise EncoderError(f"{self.folder} cannot be read ({reason}); allow it") from error

    def _check_settings(self) -> None:
        for name in ("config.json", "tokenizer_config.json", ADAPTER_CONFIG, *_SETTINGS):
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
            if settings.get("auto_map") or settings.get("megatron_config"):  # peft imports the last
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
    """Hash files that do not change while the program runs."""
    return hashlib.sha256(b"".join(map(digest, paths))).hexdigest()


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
        folder /= _inner(folder)
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        missing = _missing(name, names, folder.joinpath)
        if not missing:
            return folder
        partly = f"; its cached copy has no {missing}"
    if not downloads_allowed():
        raise EncoderError(
            f"the model {name} is not on this machine{partly}, and a sieve does not download "
            "models by itself; if you trust it, add --allow-download, or in Python "
            f"give load_encoder({name!r}) to Sieve.load"
        )

    def download(*patterns: str) -> Path:
        return Path(snapshot_download(name, allow_patterns=list(patterns)))

    try:
        files = HfApi().model_info(name, timeout=NETWORK_SECONDS).siblings or []
        there = {file.rfilename for file in files}
        inner = _inner(download(_MODULES)) if _MODULES in there else ""
        names = {path.removeprefix(inner) for path in there if path.startswith(inner)}

        def fetched(path: str) -> Path:
            return download(inner + path) / inner / path

        if missing := _missing(name, names, fetched):
            raise EncoderError(f"{name} has no {missing}; give a model of photos and text")
        wanted = [*SMALL_FILES, MODEL_CARD, ADAPTER_CONFIG]
        wanted += _ADAPTERS if ADAPTER_CONFIG in names else weights_among(names, fetched)
        return download(_MODULES, *(inner + path for path in wanted)) / inner
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


def _inner(folder: Path) -> str:
    """Return the path, ending in a slash, of the model in a folder of sentence-transformers; or "".

    Raises
    ------
    EncoderError
        If there are more parts, which would have to be run, too.
    """
    listing = folder / _MODULES
    if not listing.exists():
        return ""
    try:
        first, *others = json.loads(listing.read_text("utf-8"))
        path = str(first["path"]).strip("/")
        kinds = [str(part["type"]).rpartition(".")[2] for part in others]
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise EncoderError(f"{listing} is damaged ({first_line(error)}); get it again") from error
    if not re.fullmatch(r"[\w-]*", path):
        raise EncoderError(f"{listing} names a model outside of its folder, {path!r}; take it out")
    if other := next((kind for kind in kinds if kind != "Normalize"), None):
        raise EncoderError(
            f"{listing} has a part {other} after the model, which photosieve does not run; "
            "use it with VectorEncoder, or choose another model"
        )
    return f"{path}/" if path else ""


_ADVICE_ON_FILES = (
    "give the folder of a model with its config.json, or its id on the Hugging Face hub; use a "
    "model of open_clip with VectorEncoder, and a GGUF model in its original form"
)


def _missing(name: str, names: set[str], index: Callable[[str], Path]) -> str:
    """Name the first part that a model with these files lacks; empty if it is complete.

    Raises
    ------
    EncoderError
        If these are the files of something else.
    """
    if "config.json" in names and ADAPTER_CONFIG in names:
        raise EncoderError(
            f"{name} has a whole model and an adapter, {ADAPTER_CONFIG}: remove the adapter's "
            "files if the model has it in its weights, else put them into a folder of their own"
        )
    if ADAPTER_CONFIG in names:
        return "" if names & set(_ADAPTERS) else _ADAPTERS[0]
    if "config.json" not in names:
        if any(file.startswith("open_clip_") for file in names):
            raise EncoderError(
                f"{name} is a model of open_clip: use it from Python with VectorEncoder, or take "
                "the same model in the form of transformers"
            )
        if any(file.endswith(".gguf") for file in names):
            raise EncoderError(
                f"{name} is a model in GGUF form, which is for llama.cpp: take its original form, "
                "with config.json and model.safetensors"
            )
        return "config.json"
    if names.isdisjoint(_SETTINGS):
        return "preprocessor_config.json"
    if names.isdisjoint(_VOCABULARIES):
        return "tokenizer.json"
    if weights_among(names, index):
        return ""
    return "weights (model.safetensors or pytorch_model.bin, in full)"
