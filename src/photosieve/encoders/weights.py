"""A model's weights: their files, and the tensors inside, read without trusting them."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photosieve.errors import EncoderError

if TYPE_CHECKING:
    import torch

_KINDS = (("model", "safetensors"), ("pytorch_model", "bin"))
"""Stem and ending of weights files, the safe form first."""

_WRAPPERS = ("state_dict", "model_state_dict")
"""Members of a training checkpoint that hold the weights."""


def weights_among(names: Iterable[str], index: Callable[[str], Path]) -> list[str]:
    """Return the weights files to read: one whole file or all shards, safetensors first.

    Parameters
    ----------
    names : iterable of str
        The files of a model.
    index : callable
        Gives the path of a file that lists the shards, by its name.

    Raises
    ------
    EncoderError
        If that file is damaged, or a shard is missing.
    """
    present = set(names)
    for stem, ending in _KINDS:
        if f"{stem}.{ending}" in present:
            return [f"{stem}.{ending}"]
        listing = f"{stem}.{ending}.index.json"
        if listing in present:
            shards = _listed(index(listing))
            if lost := sorted(set(shards) - present):
                raise EncoderError(
                    f"{listing} names {lost[0]}, which is missing; get the model again"
                )
            return shards
        shard = re.compile(rf"{stem}-\d+-of-(\d+)\.{ending}")
        shards = sorted(name for name in present if shard.fullmatch(name))
        if shards and len(shards) == int(shards[0].removesuffix(f".{ending}").rpartition("-")[2]):
            return shards
    return []


def _listed(path: Path) -> list[str]:
    """Return the shards that an index file lists."""
    with suppress(OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        shards = sorted(set(json.loads(path.read_text("utf-8"))["weight_map"].values()))
        if shards and all(re.fullmatch(r"[^/\\:]+\.(safetensors|bin)", name) for name in shards):
            return shards
    raise EncoderError(f"{path} does not list the files of the weights; get it again")


def read_weights(paths: Iterable[Path]) -> dict[str, torch.Tensor]:
    """Read weights by name; files are mapped into memory, not copied.

    Raises
    ------
    EncoderError
        If a file is damaged or holds anything but tensors.
    """
    found: dict[str, torch.Tensor] = {}
    for path in paths:
        found |= _read_safe(path) if path.suffix == ".safetensors" else _read_pickled(path)
    return found


def without_prefix(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Remove what training tools put before all names, such as ``module.`` or ``_orig_mod.``."""
    towers = (re.match(r"(.*?)(?:vision|text)_model\.", name) for name in weights)
    prefixes = {tower[1] for tower in towers if tower}
    prefix = prefixes.pop() if len(prefixes) == 1 else ""
    return {name.removeprefix(prefix): weight for name, weight in weights.items()}


def check_finite(name: str, tensor: torch.Tensor) -> None:
    """Refuse weights that are no numbers.

    Raises
    ------
    EncoderError
        If there is one; it names the tensor.
    """
    import torch

    if tensor.is_floating_point() and not torch.isfinite(tensor.float()).all():
        raise EncoderError(
            f"the weights hold NaN or infinity in {name}: the training that made them went wrong; "
            "take an earlier checkpoint"
        )


def first_line(error: Exception) -> str:
    """Return the first line of a library's error message."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


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
        state: Any = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except pickle.UnpicklingError as error:
        raise EncoderError(
            f"{path} is damaged or holds more than tensors, and reading it could run any program; "
            "get the model in safetensors form"
        ) from error
    except Exception as error:  # torch raises nearly every built-in error on damaged bytes
        raise EncoderError(f"{path} is damaged ({first_line(error)}); get it again") from error
    if isinstance(state, dict):
        state = next((state[name] for name in _WRAPPERS if name in state), state)
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items()
    ):
        raise EncoderError(
            f"{path} holds something other than named tensors; get the model in safetensors form"
        )
    return state
