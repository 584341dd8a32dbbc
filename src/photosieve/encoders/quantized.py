"""EfficientNet-Lite in 8-bit integers, calibrated without a single image.

A convolution reads integers of 8 bits: its input is rounded to one of 256 levels, and its weights
to one of up to 255 in each output channel. In torch this is simulated in float32; OpenVINO
recognizes the rounding and computes with the integers themselves, in a half to a third of the time.
See Jacob et al. (2018), arXiv:1712.05877.

What values a layer has, and so where its levels lie, follows from the batch norms, as does the mean
error that rounded weights make, which is subtracted. See Nagel et al. (2019), arXiv:1906.04721.

A processor without VNNI adds two products of 8 bits in a number of 16 bits, which is too small for
the largest: with it, answers would be others. So one factor has 7 bits here, except where
each product is added by itself, and all processors give the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

DEVIATIONS = 4.0
"""Values that are this many standard deviations from the mean of their channel are clipped."""

RELU6 = (0.0, 6.0)
RELU6_IN_7_BITS = (0.0, 6.0 * 255 / 127)
"""Ranges of 256 levels; in the second one, values up to 6 take 128 of these."""


@dataclass(frozen=True)
class Spread:
    """Mean and variance of the values in each channel, over the photos of the training, (c,)."""

    mean: torch.Tensor
    variance: torch.Tensor

    @classmethod
    def after(cls, norm: torch.nn.BatchNorm2d) -> Self:
        """Return those of a batch norm's output."""
        return cls(norm.bias.double(), norm.weight.double().square())

    def __add__(self, other: Spread) -> Spread:
        """Return those of a sum of independent values."""
        return Spread(self.mean + other.mean, self.variance + other.variance)

    def mean_after_relu6(self) -> torch.Tensor:
        """Return the mean after clipping to 0..6, which for a normal distribution is known."""
        ndtr = torch.special.ndtr

        def density(x: torch.Tensor) -> torch.Tensor:
            return torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)

        deviation = self.variance.sqrt().clamp_min(1e-6)
        low, high = -self.mean / deviation, (6 - self.mean) / deviation
        inside = self.mean * (ndtr(high) - ndtr(low)) + deviation * (density(low) - density(high))
        mean: torch.Tensor = inside + 6 * ndtr(-high)
        return mean

    def range(self) -> tuple[float, float]:
        """Return the lowest and highest value that is not clipped."""
        reach = DEVIATIONS * self.variance.sqrt()
        return float((self.mean - reach).min()), float((self.mean + reach).max())


class Int8Convolution(torch.nn.Module):
    """A convolution with its input and weights rounded.

    Parameters
    ----------
    convolution : Conv2dStaticSamePadding
        With a bias.
    mean : tensor (channels,)
        Mean of the input.
    low, high : float
        Lowest and highest level of the input.
    bits : int
        Of the weights.
    """

    steps: torch.Tensor
    zeros: torch.Tensor

    def __init__(
        self, convolution: Any, mean: torch.Tensor, low: float, high: float, bits: int
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self.step = (high - low) / 255
        self.zero = round(-low / self.step)
        self.largest = 2 ** (bits - 1) - 1
        weight = convolution.weight.detach()
        steps = weight.abs().amax((1, 2, 3)).clamp_min(1e-12) / self.largest
        self.register_buffer("steps", steps)
        self.register_buffer("zeros", torch.zeros(len(steps), dtype=torch.int32))
        error = (self.rounded_weight() - weight).double().sum((2, 3))
        shift = error[:, 0] * mean if convolution.groups > 1 else error @ mean
        convolution.bias.data -= shift.float()

    def rounded_weight(self) -> torch.Tensor:
        """Return the weights at their levels."""
        return torch.fake_quantize_per_channel_affine(
            self.convolution.weight, self.steps, self.zeros, 0, -self.largest, self.largest
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve (n, c, h, w)."""
        conv = self.convolution
        x = torch.fake_quantize_per_tensor_affine(x, self.step, self.zero, 0, 255)
        return functional.conv2d(
            conv.static_padding(x),
            self.rounded_weight(),
            conv.bias,
            conv.stride,
            groups=conv.groups,
        )


@torch.no_grad()
def quantize(net: Any) -> None:
    """Replace the convolutions of an `EfficientNet` in evaluation mode by rounded ones, in place.

    The first two stay as they are: they are cheap, and half of the error would be theirs.
    """
    stream: Spread | None = None  # the values that blocks add to
    for block in net._blocks:
        hidden = Spread.after(block._bn1).mean_after_relu6()
        if stream is not None:
            expanded = Spread.after(block._bn0).mean_after_relu6()
            _replace(block, "_expand_conv", "_bn0", stream.mean, *stream.range(), bits=7)
            _replace(block, "_depthwise_conv", "_bn1", expanded, *RELU6, bits=8)
        added = Spread.after(block._bn2)
        _replace(block, "_project_conv", "_bn2", hidden, *RELU6_IN_7_BITS, bits=8)
        stream = stream + added if stream is not None and _adds(block) else added
    if stream is not None:
        _replace(net, "_conv_head", "_bn1", stream.mean, *stream.range(), bits=7)


def _adds(block: Any) -> bool:
    """Whether a block adds to its input."""
    settings = block._block_args
    return bool(
        block.id_skip and settings.stride == 1 and settings.input_filters == settings.output_filters
    )


def _replace(
    owner: Any, name: str, norm: str, mean: torch.Tensor, low: float, high: float, *, bits: int
) -> None:
    fused = fuse_conv_bn_eval(getattr(owner, name), getattr(owner, norm))
    setattr(owner, name, Int8Convolution(fused, mean, low, high, bits))
    setattr(owner, norm, torch.nn.Identity())
