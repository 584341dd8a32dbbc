"""The frozen part of a tower whose last blocks are trained: from its inputs to rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from photosieve.encoders.blocks.rows import pack
from photosieve.encoders.model import Model, Side
from photosieve.encoders.protocol import Float32Array
from photosieve.encoders.runtime import Tower
from photosieve.encoders.towers import Example, WholeTower, lazy_tower, tower_source
from photosieve.errors import EncoderError

FRONT_TOWER_VERSION = 1
"""Raise it when `FrontTower`, `pack` or `Model.load` change the rows that a front gives: towers
that were converted before are then converted again."""

BLOCK_LISTS = "layers|layer|blocks"
"""Names that models give to the list of a tower's blocks."""


class FrontTower(WholeTower):
    """A tower without its last blocks: inputs to rows."""

    def __init__(self, model: Any, side: Side, names: Sequence[str], blocks: int) -> None:
        super().__init__(model, side, names)
        name, found = blocks_of(model, side)
        encoder, _, last = name.rpartition(".")
        owner = model.get_submodule(encoder)
        setattr(owner, last, found[: len(found) - blocks])
        # The parts after the blocks still run, to no effect; a conversion leaves them out.
        self._given: list[torch.Tensor] = []
        owner.register_forward_hook(lambda _, __, given: self._given.append(given[0]))

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Run the tower, and return the input of the first of the blocks that are left out."""
        super().forward(*inputs)
        return pack(self.side, self._given.pop(), inputs)


def front_tower(
    model: Model, side: Side, example: Example, device: str | None, blocks: int
) -> Tower:
    """Return a tower that ends before the last blocks and gives rows."""

    def build() -> torch.nn.Module:
        return FrontTower(model.load(side, attention="eager"), side, tuple(example), blocks).eval()

    part = f"front-{blocks}"
    source = tower_source(model, side, example, part, FRONT_TOWER_VERSION, build)
    return lazy_tower(source, side, device, model.files.name)


def input_rows(side: Side) -> Tower:
    """Return a tower without blocks, which gives the inputs themselves as rows."""

    def run(inputs: Iterable[Sequence[NDArray[Any]]]) -> Iterator[Float32Array]:
        for arrays in inputs:
            yield pack(side, None, [torch.from_numpy(array) for array in arrays]).numpy()

    return run


def blocks_of(model: Any, side: Side) -> tuple[str, torch.nn.ModuleList]:
    """Return the name of the list of a tower's blocks, and the list.

    Raises
    ------
    EncoderError
        If there is no such list, or more than one.
    """
    found = [
        (name, module)
        for name, module in model.named_modules()
        if re.fullmatch(rf"{side.tower}\.(\w+\.)*encoder\.({BLOCK_LISTS})", name)
    ]
    if len(found) != 1 or not isinstance(found[0][1], torch.nn.ModuleList):
        raise EncoderError(
            f"the blocks of a {type(model).__name__} cannot be told; choose a recipe that trains "
            "the projections alone, or another encoder"
        )
    return found[0]
