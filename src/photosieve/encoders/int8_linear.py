"""The image tower of a hub model in 8-bit integers: its linear layers, which are nearly all of it.

As in `photosieve.encoders.quantized`, a layer rounds its input to 256 levels and its weights to 127
in each output channel, so that all processors add them without overflow. Where the levels lie is
decided by sample photos that come with the package: no weight tells the range of a layer's input.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from photosieve.data.photos import decode
from photosieve.data.samples import samples_folder
from photosieve.encoders.runtime import TowerSource
from photosieve.errors import EncoderError

INT8_LINEAR_VERSION = 1
"""Raise it when `quantize_linear` rounds differently: older cuts are then refused."""

EVERY = 3
"""Every third sample photo of those to train on decides about levels."""


@functools.cache
def rounding() -> str:
    """Describe all that decides how the layers of a model are rounded, beside its weights."""
    photos = b"".join(path.read_bytes() for path in _photos())
    return f"int8.{INT8_LINEAR_VERSION}/{hashlib.sha256(photos).hexdigest()}"


def rounded(
    source: TowerSource, prepare: Callable[[Image.Image], Sequence[NDArray[Any]]]
) -> TowerSource:
    """Describe the same image tower in integers.

    Parameters
    ----------
    source : TowerSource
    prepare : callable
        Turns a photo into the tower's inputs.
    """

    def build() -> torch.nn.Module:
        tower = source.build()
        inputs = (prepare(decode(path)) for path in _photos())
        quantize_linear(tower, ([*map(torch.from_numpy, arrays)] for arrays in inputs))
        return tower

    name, fingerprint = f"{source.name}-int8", f"{source.fingerprint}/{rounding()}"
    return replace(source, name=name, fingerprint=fingerprint, build=build)


def _photos() -> list[Path]:
    return sorted((samples_folder() / "train").rglob("*.jpg"))[::EVERY]


class Int8Linear(torch.nn.Module):
    """A linear layer with its input, between two values, and its weights rounded."""

    steps: torch.Tensor
    zeros: torch.Tensor

    def __init__(self, linear: torch.nn.Linear, low: float, high: float) -> None:
        super().__init__()
        self.linear = linear
        self.step = max(high - low, 1e-6) / 255
        self.zero = round(-low / self.step)
        steps = linear.weight.detach().abs().amax(1).clamp_min(1e-12) / 63  # 7 bits
        self.register_buffer("steps", steps)
        self.register_buffer("zeros", torch.zeros(len(steps), dtype=torch.int32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply (..., p) by the weights, (q, p)."""
        x = torch.fake_quantize_per_tensor_affine(x.float(), self.step, self.zero, 0, 255)
        weight = torch.fake_quantize_per_channel_affine(
            self.linear.weight, self.steps, self.zeros, 0, -63, 63
        )
        return functional.linear(x, weight, self.linear.bias)


@torch.no_grad()
def quantize_linear(tower: torch.nn.Module, inputs: Iterable[Sequence[torch.Tensor]]) -> None:
    """Replace the linear layers of any tower by rounded ones, in place.

    Parameters
    ----------
    tower : Module
        In evaluation mode.
    inputs : iterable
        Some photos; the values that layers then have decide where their levels lie.

    Raises
    ------
    EncoderError
        If the tower has no linear layers.
    """
    ranges: dict[str, tuple[float, float]] = {}
    layers = {
        name: layer for name, layer in tower.named_modules() if isinstance(layer, torch.nn.Linear)
    }

    def note(name: str, given: torch.Tensor) -> None:
        low, high = ranges.get(name, (0.0, 0.0))
        ranges[name] = min(low, float(given.min())), max(high, float(given.max()))

    hooks = [
        layer.register_forward_pre_hook(lambda _, given, name=name: note(name, given[0]))
        for name, layer in layers.items()
    ]
    for arrays in inputs:
        tower(*arrays)
    for hook in hooks:
        hook.remove()
    if not ranges:
        raise EncoderError(
            "the image tower of this model has no linear layers, so that int8 would change "
            "nothing; take the model in float32"
        )
    for name, (low, high) in ranges.items():
        tower.set_submodule(name, Int8Linear(layers[name], -_limit(-low), _limit(high)))


def _limit(value: float) -> float:
    """Return the next of the numbers 2^(n/8), so that all processors find the same levels.

    They add in different orders, so that a range as it is would differ in its last digits.
    """
    return 2.0 ** (math.ceil(8 * math.log2(value)) / 8) if value > 0 else 0.0
