"""The head of an encoder opened for training: the last part of each tower, or all of it."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from photosieve.encoders.blocks.ends import TowerEnd
from photosieve.encoders.head import fingerprint, unit
from photosieve.encoders.protocol import Float32Array, Student

CHUNK = 32
"""How many photos or texts are embedded at once."""


@dataclass(frozen=True, eq=False, repr=False)
class BlockHead:
    """A head of whole blocks, for features in the form of `photosieve.encoders.blocks.rows`.

    Parameters
    ----------
    photo_end : TowerEnd
        The pretrained one.
    text_end : TowerEnd or None
        None where texts are not trained: their features are embeddings already.
    values : mapping of str to array
        All weights that training may change, by their names in `transformers`. In low-rank training
        these are the changed matrices, with the changes added.
    lora_rank : int
        Rank of those changes; 0 to train the matrices whole.
    half_precision : bool, optional
        Whether training computes in bfloat16; by default where that is faster. The weights stay in
        float32.
    text_center : array (d,), optional
        Subtracted from the vector of each text, before that is scaled to length 1.
    """

    photo_end: TowerEnd
    text_end: TowerEnd | None
    values: Mapping[str, Float32Array]
    lora_rank: int
    half_precision: bool | None = None
    text_center: Float32Array | None = None

    @classmethod
    def start(cls, photo_end: TowerEnd, text_end: TowerEnd | None, lora_rank: int) -> BlockHead:
        """Return the pretrained head."""
        weights = photo_end.weights() | (text_end.weights() if text_end else {})
        values = {name: weight.numpy(force=True) for name, weight in weights.items()}
        return cls(photo_end, text_end, values, lora_rank)

    @property
    def photo_width(self) -> int:
        """How many numbers the row of a photo has."""
        return self.photo_end.layout.width

    @property
    def text_width(self) -> int:
        """How many numbers the row of a text has for each token."""
        return self.text_end.layout.width if self.text_end else self.photo_end.size

    def project_photos(self, features: Float32Array) -> Float32Array:
        """Embed photos, (..., p), as unit vectors, (..., d)."""
        return unit(_embed(self._ends[0], features))

    def project_texts(self, features: Float32Array) -> Float32Array:
        """Embed texts, (m, q), as unit vectors, (m, d)."""
        return unit(self._texts(features) - (0.0 if self.text_center is None else self.text_center))

    def _texts(self, features: Float32Array) -> Float32Array:
        """Vectors of texts, (m, d), as they come."""
        end = self._ends[1]
        return _embed(end, features) if end else features

    def centered(self, words: Float32Array) -> BlockHead:
        """Return the same head with the mean of some texts, (words, q), as center of all texts."""
        return replace(self, text_center=self._texts(words).mean(0))

    def arrays(self) -> dict[str, Float32Array]:
        """Return all weights that training may change."""
        return dict(self.values)

    def with_arrays(self, arrays: Mapping[str, Float32Array]) -> BlockHead:
        """Return a head with these weights."""
        return replace(self, values=dict(arrays))

    def fingerprint(self) -> str:
        """Hash of all weights that training may change."""
        return fingerprint(self.values)

    def student(self, *, trains_text: bool) -> Student:
        """Return a copy to train.

        Vectors are computed where the model is, on the graphics card if there is one, and returned
        to where the features are. Without gradients, a few at a time.

        Raises
        ------
        ValueError
            If texts are to be trained, but the encoder was opened for photos alone.
        """
        if trains_text and not self.text_end:
            raise ValueError("the encoder was opened for photos alone")
        photo_end = _learner(self.photo_end, self.values, self.lora_rank)
        text_end = self.text_end
        if text_end:
            text_end = (
                _learner(text_end, self.values, self.lora_rank)
                if trains_text
                else _filled(text_end, self.values)
            )
        ends = [end for end in (photo_end, text_end) if end]
        center = torch.zeros(1) if self.text_center is None else torch.from_numpy(self.text_center)

        def texts(features: torch.Tensor) -> torch.Tensor:
            vectors = self._vectors(text_end, features) if text_end else features
            return vectors - center.to(vectors.device)

        def arrays() -> dict[str, Float32Array]:
            return self.arrays() | {k: v for end in ends for k, v in _trained(end).items()}

        return Student(
            weights=[weight for end in ends for weight in end.parameters() if weight.requires_grad],
            photos=functools.partial(self._vectors, photo_end),
            texts=texts,
            arrays=arrays,
        )

    @functools.cached_property
    def _ends(self) -> tuple[TowerEnd, TowerEnd | None]:
        text_end = self.text_end and _filled(self.text_end, self.values)
        return _filled(self.photo_end, self.values), text_end

    def _vectors(self, end: TowerEnd, features: torch.Tensor) -> torch.Tensor:
        rows = features.reshape(-1, features.shape[-1])
        pieces = [rows] if torch.is_grad_enabled() else torch.split(rows, CHUNK)
        device = _device(end)
        half = _gains_from_half(device) if self.half_precision is None else self.half_precision
        with torch.autocast(device.type, torch.bfloat16, half):
            found = [end(piece.to(device)).to(rows.device) for piece in pieces if len(piece)]
        vectors = torch.cat([rows.new_zeros(0, end.size), *found])
        return vectors.reshape(*features.shape[:-1], end.size)


@torch.no_grad()
def _embed(end: TowerEnd, features: Float32Array) -> Float32Array:
    """Map rows, (..., p), to vectors, (..., d), a few at a time; all in float32."""
    if features.ndim > 2:  # a reshaped copy of all views may not fit into memory
        views = [_embed(end, features[..., view, :]) for view in range(features.shape[-2])]
        empty = np.zeros((*features.shape[:-2], 0, end.size), np.float32)
        return np.concatenate([empty, *(rows[..., None, :] for rows in views)], axis=-2)
    starts, device = range(0, len(features), CHUNK), _device(end)
    pieces = (torch.tensor(features[start : start + CHUNK], device=device) for start in starts)
    found = [end(piece).cpu().numpy() for piece in pieces]
    return np.concatenate([np.zeros((0, end.size), np.float32), *found])


def _filled(end: TowerEnd, values: Mapping[str, Float32Array]) -> TowerEnd:
    """Return an end with these weights; they are shared, except across devices."""
    device = _device(end)
    return end.copy({name: torch.from_numpy(values[name]).to(device) for name in end.trainable})


def _learner(end: TowerEnd, values: Mapping[str, Float32Array], lora_rank: int) -> TowerEnd:
    """Return an end with weights of its own that can be trained."""
    if lora_rank:
        return _with_adapters(_filled(end, values), lora_rank)
    device = _device(end)
    own = {name: torch.tensor(values[name], device=device) for name in end.trainable}
    return end.copy(own, train=True)


def _with_adapters(end: TowerEnd, rank: int) -> TowerEnd:
    """Add changes of low rank to the matrices of an end, all zero at first (arXiv:2106.09685)."""
    from peft import LoraConfig, inject_adapter_in_model

    matrices = [name.removesuffix(".weight") for name in end.trainable]
    if not matrices:
        return end
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=matrices), end.model)
    # Drawn again: peft uses the global generator of torch, and runs have to be repeatable.
    generator = torch.Generator().manual_seed(0)
    for name in matrices:
        weight = end.model.get_submodule(name).lora_A["default"].weight
        bound = 1 / math.sqrt(weight.shape[1])
        drawn = torch.empty(weight.shape).uniform_(-bound, bound, generator=generator)
        weight.data.copy_(drawn)
    return end


@torch.no_grad()
def _trained(end: TowerEnd) -> dict[str, Float32Array]:
    """Return copies of the weights that training may change, with the changes of adapters added."""
    found = {}
    for name in end.trainable:
        owner, _, last = name.rpartition(".")
        module = end.model.get_submodule(owner)
        weight = getattr(module, last)
        if hasattr(module, "get_delta_weight"):
            weight = weight + module.get_delta_weight("default")
        found[name] = weight.numpy(force=True).copy()
    return found


def _device(end: TowerEnd) -> torch.device:
    return next(end.parameters()).device


def _gains_from_half(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 natively, and so faster than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":  # older versions of torch do not say
        able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return False
