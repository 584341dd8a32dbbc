"""The frozen part of a hub model: whole towers, or towers that end before their last blocks."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from PIL import Image

from photosieve.encoders.blocks.rows import pack
from photosieve.encoders.inputs import Arrays, Tokens, load_preparation, load_tokens
from photosieve.encoders.model import PHOTOS, TEXTS, Model, Side, explained
from photosieve.encoders.protocol import Float32Array
from photosieve.encoders.runtime import Tower, open_tower, torch_tower, tower_file
from photosieve.errors import EncoderError

GPU_BATCH = 32

TOKENS = ("input_ids", "attention_mask")
"""What text towers call their inputs."""

BLOCKS = "layers|layer|blocks"
"""What encoders call the list of their blocks."""

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
    batch : int
        How many photos the image tower takes at once.
    examples : mapping of Side to Example
        Inputs of both towers.
    """

    fingerprint: str
    prepare: Callable[[Image.Image], Arrays]
    tokens: Tokens
    photos: Tower
    texts: Tower
    batch: int
    examples: Mapping[Side, Example]


def load_trunk(model: Model) -> Trunk:
    """Load all that embeds photos and texts; a tower opens when it is first used."""
    checkpoint, device = model.checkpoint, accelerator()
    with explained(checkpoint.name, "the tokenizer"):
        tokens = load_tokens(checkpoint, model.config)
        words = tokens(["one", "one of two"])
    with explained(checkpoint.name, "preprocessor_config.json"):
        names, prepare = load_preparation(checkpoint, model.kind)
        # A photo that is not the same all over: what is read from it is to mean something.
        photo = prepare(Image.radial_gradient("L").resize((640, 480)).convert("RGB"))
    photos: Example = dict(zip(names, photo, strict=True))
    texts: Example = dict(zip(TOKENS, words, strict=False))
    with explained(checkpoint.name, "the model"):
        return Trunk(
            checkpoint.fingerprint,
            prepare,
            tokens,
            whole_tower(model, PHOTOS, photos, device),
            whole_tower(model, TEXTS, texts, device),
            batch=GPU_BATCH if device else 1,
            examples={PHOTOS: photos, TEXTS: texts},
        )


def whole_tower(model: Model, side: Side, example: Example, device: str | None) -> Tower:
    """Return a tower up to its plain projection, or to its end; it is opened at its first use."""
    return _lazily(lambda: _open(_whole(model, side, example), side, device))


def text_tower_file(model: Model, example: Example) -> Path:
    """Return where the whole text tower is kept once it was converted."""
    plan = _whole(model, TEXTS, example)
    return tower_file(plan.name, plan.key, plan.build, plan.shapes)


def front_tower(
    model: Model, side: Side, example: Example, device: str | None, blocks: int
) -> Tower:
    """Return a tower that ends before the last blocks and gives rows."""

    def build() -> torch.nn.Module:
        return Front(model.load(side, attention="eager"), side, tuple(example), blocks).eval()

    return _lazily(
        lambda: _open(_plan(model, side, example, build, f"front-{blocks}"), side, device)
    )


def no_tower(side: Side) -> Tower:
    """Return what gives the inputs themselves as rows."""

    def run(inputs: Iterable[Sequence[NDArray[Any]]]) -> Iterator[Float32Array]:
        for arrays in inputs:
            yield pack(side, None, [torch.from_numpy(array) for array in arrays]).numpy()

    return run


class Whole(torch.nn.Module):
    """A tower as the model has it: inputs to features, (n, p)."""

    def __init__(self, model: Any, side: Side, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.side, self.names = side, names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Run the tower on inputs of these names."""
        run = getattr(self.model, self.side.features)
        features: torch.Tensor = run(**dict(zip(self.names, inputs, strict=True))).pooler_output
        return features


class Front(Whole):
    """A tower without its last blocks: inputs to rows."""

    def __init__(self, model: Any, side: Side, names: Sequence[str], blocks: int) -> None:
        super().__init__(model, side, names)
        name, found = blocks_of(model, side)
        encoder, _, last = name.rpartition(".")
        owner = model.get_submodule(encoder)
        setattr(owner, last, found[: len(found) - blocks])
        # What follows the blocks still runs, to no effect; a conversion leaves it out.
        self._given: list[torch.Tensor] = []
        owner.register_forward_hook(lambda _, __, given: self._given.append(given[0]))

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Run the tower, and return what the first of the left out blocks would take."""
        super().forward(*inputs)
        return pack(self.side, self._given.pop(), inputs)


def blocks_of(model: Any, side: Side) -> tuple[str, torch.nn.ModuleList]:
    """Return the blocks of a tower, and what their list is called.

    Raises
    ------
    EncoderError
        If they cannot be told.
    """
    found = [
        (name, module)
        for name, module in model.named_modules()
        if re.fullmatch(rf"{side.tower}\.(\w+\.)*encoder\.({BLOCKS})", name)
    ]
    if len(found) != 1 or not isinstance(found[0][1], torch.nn.ModuleList):
        raise EncoderError(
            f"the blocks of a {type(model).__name__} cannot be told; choose a recipe that trains "
            "the projections alone, or another encoder"
        )
    return found[0]


def accelerator() -> str | None:
    """What torch calls this machine's graphics card."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


@dataclass(frozen=True)
class Plan:
    """What `photosieve.encoders.runtime.open_tower` takes."""

    name: str
    key: str
    build: Callable[[], torch.nn.Module]
    example: Example
    shapes: Sequence[Sequence[int]]


def _whole(model: Model, side: Side, example: Example) -> Plan:
    def build() -> torch.nn.Module:
        loaded = model.load(side, attention="eager")
        if side in model.projections:
            setattr(loaded, side.projection, torch.nn.Identity())
        return Whole(loaded, side, tuple(example)).eval()

    return _plan(model, side, example, build, "whole")


def _plan(
    model: Model, side: Side, example: Example, build: Callable[[], torch.nn.Module], part: str
) -> Plan:
    if side == PHOTOS:
        shapes = [array.shape for array in example.values()]
    else:  # a text without a mask has one length only
        shapes = [(-1, -1 if len(example) > 1 else ids.shape[1]) for ids in example.values()]
    # What a converted tower computes follows from the code that made it, too.
    code = "".join(inspect.getsource(made) for made in (Model.load, Whole, Front, pack))
    key = "/".join((model.key(side), part, version("transformers"), code))
    return Plan(f"hub-{side.tower}-{part}", key, build, example, shapes)


def _open(plan: Plan, side: Side, device: str | None) -> Tower:
    # Inputs beside the pixels say how large this photo is: a traced tower would take them as fixed.
    if device or (side == PHOTOS and len(plan.example) > 1):
        return torch_tower(plan.build(), device or "cpu")
    return open_tower(plan.name, plan.key, plan.build, list(plan.example.values()), plan.shapes)


def _lazily(make: Callable[[], Tower]) -> Tower:
    made = functools.cache(make)

    def run(inputs: Iterable[Sequence[NDArray[Any]]]) -> Iterator[Float32Array]:
        return made()(inputs)

    return run
