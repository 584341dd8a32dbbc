"""The frozen part of a hub model: its two towers, and how their inputs are prepared."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from numpy.typing import NDArray
from PIL import Image

from photosieve.encoders import int8_linear
from photosieve.encoders.inputs import Arrays, Tokens, load_preparation, load_tokens
from photosieve.encoders.model import PHOTOS, TEXTS, WHOLE_TOWER_VERSION, Model, Side, model_errors
from photosieve.encoders.protocol import Float32Array
from photosieve.encoders.runtime import Tower, TowerSource, load_tower, torch_tower

GPU_BATCH = 32

TEXT_INPUTS = ("input_ids", "attention_mask")
"""Names of the inputs of text towers."""

Example = Mapping[str, NDArray[Any]]
"""One valid input of a tower, by the names of its arguments."""


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
    device : str or None
        The graphics card that they run on; None for the CPU.
    examples : mapping of Side to Example
        Inputs of both towers.
    sources : mapping of Side to TowerSource
        How both towers are built.
    rounding : str
        How the image tower is rounded to integers; empty if it is not.
    """

    fingerprint: str
    prepare: Callable[[Image.Image], Arrays]
    tokens: Tokens
    photos: Tower
    texts: Tower
    device: str | None
    examples: Mapping[Side, Example]
    sources: Mapping[Side, TowerSource]
    rounding: str = ""

    @property
    def batch(self) -> int:
        """How many photos the image tower takes at once."""
        return GPU_BATCH if self.device else 1


def load_trunk(model: Model, *, int8: bool = False) -> Trunk:
    """Load all that embeds photos and texts; a tower is loaded at its first use.

    Parameters
    ----------
    model : Model
    int8 : bool
        Whether the image tower computes in 8-bit integers; that of texts never does.
    """
    files, device = model.files, accelerator()
    with model_errors(files.name, "the tokenizer"):
        tokens = load_tokens(files, model.config)
        words = tokens(["one", "one of two"])
    with model_errors(files.name, "preprocessor_config.json"):
        names, prepare = load_preparation(files, model.config, model.architecture)
        # A photo of one color would not tell a tower that works from one that does not.
        photo = prepare(Image.radial_gradient("L").resize((640, 480)).convert("RGB"))
    photos: Example = dict(zip(names, photo, strict=True))
    texts: Example = dict(zip(TEXT_INPUTS, words, strict=False))
    with model_errors(files.name, "the model"):
        examples = {PHOTOS: photos, TEXTS: texts}
        sources = {side: whole_source(model, side, examples[side]) for side in examples}
        if int8:
            sources[PHOTOS] = int8_linear.rounded(sources[PHOTOS], prepare)
        return Trunk(
            files.fingerprint,
            prepare,
            tokens,
            lazy_tower(sources[PHOTOS], PHOTOS, device, files.name),
            lazy_tower(sources[TEXTS], TEXTS, device, files.name),
            device,
            examples=examples,
            sources=sources,
            rounding=int8_linear.rounding() if int8 else "",
        )


def accelerator() -> str | None:
    """Return torch's name of this machine's graphics card."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


class WholeTower(torch.nn.Module):
    """A tower of a model, from its inputs to features, (n, p)."""

    def __init__(self, model: Any, side: Side, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.side, self.names = side, names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Run the tower on inputs of these names."""
        run = getattr(self.model, self.side.features)
        features: torch.Tensor = run(**dict(zip(self.names, inputs, strict=True))).pooler_output
        return features


def whole_source(model: Model, side: Side, example: Example) -> TowerSource:
    """Describe a tower up to its plain projection, or to its end."""

    def build() -> torch.nn.Module:
        loaded = model.load(side, attention="eager")
        if side in model.projections:
            setattr(loaded, side.projection, torch.nn.Identity())
        return WholeTower(loaded, side, tuple(example)).eval()

    return tower_source(model, side, example, "whole", WHOLE_TOWER_VERSION, build)


def tower_source(
    model: Model,
    side: Side,
    example: Example,
    part: str,
    builder: int,
    build: Callable[[], torch.nn.Module],
) -> TowerSource:
    """Describe a tower of a model, or a part of one.

    Parameters
    ----------
    model, side, example
    part : str
        Name of the part.
    builder : int
        Version of `build`.
    build : callable
        Makes the torch module.
    """
    if side == PHOTOS:
        shapes = [array.shape for array in example.values()]
    else:  # a text without a mask has one length only
        shapes = [(-1, -1 if len(example) > 1 else ids.shape[1]) for ids in example.values()]
    return TowerSource(
        name=f"hub-{side.tower}-{part}",
        fingerprint="/".join((model.key(side), part, version("transformers"))),
        version=builder,
        build=build,
        example=list(example.values()),
        shapes=shapes,
    )


def lazy_tower(source: TowerSource, side: Side, device: str | None, name: str) -> Tower:
    """Return a tower of the model of this name that is loaded at its first use."""
    # Inputs beside the pixels give the size of this photo: a traced tower would take it as fixed.
    traceable = side == TEXTS or len(source.example) == 1

    @functools.cache
    def load() -> Tower:
        with model_errors(name, "the model"):
            if device or not traceable:
                return torch_tower(source.build(), device or "cpu")
            return load_tower(source)

    def run(inputs: Iterable[Sequence[NDArray[Any]]]) -> Iterator[Float32Array]:
        return load()(inputs)

    return run
