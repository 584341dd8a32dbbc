"""CLIP, ALIGN, SigLIP and their relatives, as the `transformers` library knows them.

A model is split where its own projections begin. Where these are plain matrices, as in CLIP, they
are the head, and all below is the trunk; a model without them is all trunk, and its head starts as
the identity. Either way the pretrained head gives the model's own embeddings.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from photosieve.encoders import Encoder, Floats, Head, PhotoFeatures, feed, general_words
from photosieve.encoders.checkpoint import Checkpoint, one_line
from photosieve.encoders.inputs import Arrays, Tokens, load_preparation, load_tokens
from photosieve.encoders.linear import LinearHead
from photosieve.encoders.runtime import Tower, open_tower, torch_tower
from photosieve.errors import EncoderError
from photosieve.photos import DEFAULT_MAX_PIXELS
from photosieve.progress import Progress, silent

if TYPE_CHECKING:
    import torch

PREPARATION = 1
"""Raised whenever pixels or tokens are prepared differently, so that old cuts are refused."""

GPU_BATCH = 32

SIDES = ("visual", "text")
"""What models call their towers in the names of the projections."""


@dataclass(frozen=True)
class Hub:
    """An encoder from the Hugging Face hub or a folder; `open_hub` makes it.

    Parameters
    ----------
    name : str
        The model's id, or its folder.
    trunk : Trunk
        The two towers.
    head : Head
        The trainable part.
    """

    name: str
    trunk: Trunk
    head: Head

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of the weights, how inputs are prepared, and the head."""
        parts = (self.trunk.fingerprint, str(PREPARATION), self.head.fingerprint())
        return hashlib.sha256("/".join(parts).encode()).hexdigest()

    def with_head(self, head: Head) -> Hub:
        """Return the same towers with another head."""
        return replace(self, head=head)

    def general_words(self) -> tuple[str, ...]:
        """ImageNet's class names: common things, and nothing that belongs to one model."""
        return general_words()

    def opened(self, blocks: int, lora_rank: int, *, trains_text: bool) -> Encoder:
        """Return the same model with a head of more than the projections."""
        raise NotImplementedError(f"{blocks}, {lora_rank}, {trains_text}")

    def export(self, folder: Path) -> Encoder:
        """Write the model as the `transformers` library does."""
        raise NotImplementedError(folder)

    def photo_features(
        self,
        paths: Sequence[Path],
        *,
        more_views: bool = False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        progress: Progress = silent,
    ) -> PhotoFeatures:
        """Decode photos and run the image tower, each once: (kept, p)."""
        return feed.photo_features(
            self.trunk.photos,
            self.trunk.prepare,
            paths,
            width=self.trunk.photo_width,
            more=more_views,
            max_pixels=max_pixels,
            progress=progress,
            batch=self.trunk.batch,
        )

    def text_features(self, texts: Sequence[str]) -> Floats:
        """Run the text tower: (m, q). A text beyond the model's limit is cut short, with a warning.

        Warns
        -----
        UserWarning
            Once, naming the first text that was cut short.
        """
        self.trunk.tokens.warn_of_long(texts)
        return feed.text_features(
            self.trunk.texts, self.trunk.tokens, texts, width=self.trunk.text_width
        )


@dataclass(frozen=True)
class Trunk:
    """The frozen part of a model.

    Parameters
    ----------
    fingerprint : str
        Hash of the files that it was made of.
    prepare : callable
        Turns a photo into the image tower's inputs, each (1, ...).
    tokens : Tokens
        Turns texts into the text tower's inputs.
    photos, texts : Tower
        The towers.
    photo_width, text_width : int
        How many numbers they give for a photo and a text.
    batch : int
        How many photos the image tower takes at once.
    """

    fingerprint: str
    prepare: Callable[[Image.Image], Arrays]
    tokens: Tokens
    photos: Tower
    texts: Tower
    photo_width: int
    text_width: int
    batch: int


def open_hub(name: str) -> Hub:
    """Load a model from a folder or by its hub id, in its fastest form.

    Parameters
    ----------
    name : str
        A folder, or an id such as ``"openai/clip-vit-base-patch32"``.

    Raises
    ------
    EncoderError
        There is no such model, or it cannot be used; the text says why and what to do.
    """
    checkpoint = Checkpoint.find(name)
    with _explained(checkpoint, "config.json"):
        config, model_class = _kind(checkpoint)
    with _explained(checkpoint, "the tokenizer"):
        tokens = load_tokens(checkpoint, config)
        words = tokens(["one", "one of two"])
    with _explained(checkpoint, "preprocessor_config.json"):
        names, prepare = load_preparation(checkpoint, model_class)
        photo = prepare(Image.new("RGB", (640, 480)))
    with _explained(checkpoint, "the model"):
        load = functools.cache(lambda: _load(checkpoint, config, model_class))
        fingerprint = checkpoint.fingerprint()
        device = _accelerator()
        photos = _photo_tower(fingerprint, load, names, photo, device)
        texts = _text_tower(fingerprint, load, words, device)
        head = _head(checkpoint, next(photos([photo])).shape, next(texts([words])).shape)
    trunk = Trunk(
        fingerprint,
        prepare,
        tokens,
        photos,
        texts,
        photo_width=len(head.photo),
        text_width=len(head.text),
        batch=GPU_BATCH if device else 1,
    )
    return Hub(checkpoint.name, trunk, head)


@contextmanager
def _explained(checkpoint: Checkpoint, part: str) -> Iterator[None]:
    """Turn whatever a library raises about a model's files into a sentence."""
    try:
        yield
    except EncoderError:
        raise
    except Exception as error:
        raise EncoderError(
            f"{checkpoint.name}: {part} cannot be used ({one_line(error)}); "
            "get the model again, or choose another"
        ) from error


def _kind(checkpoint: Checkpoint) -> tuple[Any, Any]:
    """The model's configuration and class."""
    from transformers import MODEL_MAPPING, AutoConfig
    from transformers.utils import logging

    # What it would print is about training and about keys that are checked here anyway.
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    config = AutoConfig.from_pretrained(
        checkpoint.folder, trust_remote_code=False, local_files_only=True
    )
    model_class = MODEL_MAPPING.get(type(config), None)
    if not (
        hasattr(model_class, "get_image_features") and hasattr(model_class, "get_text_features")
    ):
        raise EncoderError(
            f'{checkpoint.name} is a model of kind "{config.model_type}", which does not put '
            "photos and texts into one space; give a CLIP, ALIGN, SigLIP or similar model"
        )
    return config, model_class


def _load(checkpoint: Checkpoint, config: Any, model_class: Any) -> torch.nn.Module:
    """The model in torch, without the projections that are the head; all its weights are given."""
    import torch

    tensors = checkpoint.tensors()
    _check_size(checkpoint, config, model_class, tensors)
    model, found = model_class.from_pretrained(
        None,
        config=config,
        state_dict=tensors,
        dtype=torch.float32,
        attn_implementation="eager",
        ignore_mismatched_sizes=True,  # else it raises, and prints the sizes
        output_loading_info=True,
    )
    for name, given, wanted in sorted(found["mismatched_keys"]):
        raise EncoderError(
            f"{checkpoint.name}: config.json does not fit the weights, which hold {name} as "
            f"{tuple(given)} where it says {tuple(wanted)}; get both from the same place"
        )
    for name in sorted(found["missing_keys"]):
        raise EncoderError(
            f"{checkpoint.name}: the weights lack {name} that config.json speaks of; "
            "get both from the same place"
        )
    for side in SIDES:
        if _projection(tensors, side) is not None:
            setattr(model, f"{side}_projection", torch.nn.Identity())
    if config.model_type == "align" and config.vision_config.pooling_type == "mean":
        # ALIGN takes its mean with a window far larger than the map, which OpenVINO refuses.
        model.vision_model.pooler = torch.nn.AdaptiveAvgPool2d(1)
    loaded: torch.nn.Module = model.eval()
    return loaded


def _check_size(
    checkpoint: Checkpoint, config: Any, model_class: Any, tensors: dict[str, torch.Tensor]
) -> None:
    """Refuse a configuration that asks for far more than the weights hold, before memory is."""
    import torch

    parts = (config.text_config, config.vision_config)
    if max(getattr(part, "num_hidden_layers", 0) for part in parts) <= len(tensors):
        with torch.device("meta"):
            wanted = sum(weight.numel() for weight in model_class(config).parameters())
        if wanted <= 2 * sum(tensor.numel() for tensor in tensors.values()):
            return
    raise EncoderError(
        f"{checkpoint.name}: config.json describes a much larger model than the weights hold; "
        "get both from the same place"
    )


def _projection(tensors: dict[str, torch.Tensor], side: str) -> torch.Tensor | None:
    """The last layer of a tower, (d, p), where it is a plain matrix."""
    weight = tensors.get(f"{side}_projection.weight")
    plain = weight is not None and weight.ndim == 2 and f"{side}_projection.bias" not in tensors
    return weight if plain else None


def _head(
    checkpoint: Checkpoint, photo_shape: tuple[int, ...], text_shape: tuple[int, ...]
) -> LinearHead:
    """The pretrained head for features of these shapes, (1, p) and (2, q)."""
    tensors = checkpoint.tensors()
    maps = []
    for side, shape in zip(SIDES, (photo_shape, text_shape), strict=True):
        weight = _projection(tensors, side)
        identity = np.eye(shape[-1], dtype=np.float32)
        maps.append(identity if weight is None else weight.float().numpy().T.copy())
    photo, text = maps
    if len(photo_shape) != 2 or len(text_shape) != 2 or photo.shape[1] != text.shape[1]:
        raise EncoderError(
            f"{checkpoint.name} does not give photos and texts as vectors of one length; "
            "give a CLIP, ALIGN, SigLIP or similar model"
        )
    zeros = [np.zeros(len(matrix), np.float32) for matrix in maps]
    return LinearHead(photo_mean=zeros[0], photo=photo, text_mean=zeros[1], text=text)


def _photo_tower(
    fingerprint: str,
    load: Callable[[], torch.nn.Module],
    names: tuple[str, ...],
    example: Arrays,
    device: str | None,
) -> Tower:
    def build() -> torch.nn.Module:
        import torch

        class PhotoTower(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model: Any = load()

            def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
                found = self.model.get_image_features(**dict(zip(names, inputs, strict=True)))
                features: torch.Tensor = found.pooler_output
                return features

        return PhotoTower().eval()

    # Inputs beside the pixels say how large this photo is: a traced tower would take them as fixed.
    if device or len(names) > 1:
        return torch_tower(build(), device or "cpu")
    shapes = [array.shape for array in example]
    return open_tower("hub-photos", _tower_key(fingerprint), build, example, shapes)


def _text_tower(
    fingerprint: str, load: Callable[[], torch.nn.Module], example: Arrays, device: str | None
) -> Tower:
    def build() -> torch.nn.Module:
        import torch

        class TextTower(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model: Any = load()

            def forward(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
                found = self.model.get_text_features(input_ids=ids, attention_mask=mask)
                features: torch.Tensor = found.pooler_output
                return features

        return TextTower().eval()

    if device:
        return torch_tower(build(), device)
    # A text without a mask has one length only.
    shape = (-1, -1) if len(example) > 1 else (-1, example[0].shape[1])
    return open_tower("hub-texts", _tower_key(fingerprint), build, example, [shape] * len(example))


def _tower_key(fingerprint: str) -> str:
    # What a converted tower computes follows from the code that made it, too.
    return "/".join((fingerprint, version("transformers"), inspect.getsource(_load)))


def _accelerator() -> str | None:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None
