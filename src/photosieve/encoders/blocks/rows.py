"""Rows: all inputs of the trained part of a model for one photo or text, as a list of numbers.

A photo's row holds the hidden states of its image, then the inputs that the tower takes beside the
pixels, if any. A text's row holds for each of its tokens the hidden state, the id, and 1, or 0 for
padding; so zeros at the end of a row are padding too, and rows of different lengths fit together.
Where no part of a tower is frozen, a photo's row holds pixels instead of hidden states, and a
text's row has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from photosieve.encoders.model import PHOTOS, Side


def pack(side: Side, hidden: torch.Tensor | None, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    """Make rows, (n, p).

    Parameters
    ----------
    side : Side
    hidden : tensor (n, ...) or None
        Hidden states; of texts (n, t, w).
    inputs : sequence of tensors (n, ...)
        Inputs of the tower: pixels and more, or token ids and, in most models, the mask.
    """
    if side == PHOTOS:
        parts = [inputs[0] if hidden is None else hidden, *inputs[1:]]
        return torch.cat([part.flatten(1).float() for part in parts], 1)
    ids, real = inputs[0], inputs[1] if len(inputs) > 1 else torch.ones_like(inputs[0])
    tokens = torch.stack([ids, real], -1).float()  # (n, t, 2); ids are exact up to 2**24
    if hidden is not None:
        tokens = torch.cat([hidden.float(), tokens], -1)  # (n, t, w + 2)
    return tokens.flatten(1)


@dataclass(frozen=True)
class Layout:
    """Shapes and types of the values in the rows of a tower.

    Parameters
    ----------
    side : Side
    hidden : bool
        Whether they hold hidden states.
    parts : tuple of (shape, dtype)
        Parts of a photo's row; for texts only the last number of the first shape counts.
    inputs : int
        How many inputs the tower takes.
    """

    side: Side
    hidden: bool
    parts: tuple[tuple[tuple[int, ...], torch.dtype], ...]
    inputs: int

    @classmethod
    def of(cls, side: Side, hidden: torch.Tensor | None, inputs: Sequence[torch.Tensor]) -> Layout:
        """Read the layout from one example."""
        parts = [inputs[0] if hidden is None else hidden, *inputs[1:]]
        shapes = tuple((tuple(part.shape[1:]), part.dtype) for part in parts)
        return cls(side, hidden is not None, shapes, len(inputs))

    @property
    def width(self) -> int:
        """How many numbers a photo's row has, or a text's row for each token."""
        if self.side == PHOTOS:
            return sum(torch.Size(shape).numel() for shape, _ in self.parts)
        return (self.parts[0][0][-1] if self.hidden else 0) + 2

    def unpack(self, rows: torch.Tensor) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
        """Return hidden states and inputs again; hidden states stand in place of pixels."""
        if self.side == PHOTOS:
            sizes = [torch.Size(shape).numel() for shape, _ in self.parts]
            inputs = [
                part.reshape(-1, *shape).to(dtype)
                for part, (shape, dtype) in zip(
                    torch.split(rows, sizes, 1), self.parts, strict=True
                )
            ]
            return (inputs[0] if self.hidden else None), inputs
        tokens = rows.reshape(len(rows), -1, self.width)  # (n, t, w + 2)
        real = tokens[..., -1] > 0
        longest = int(real.any(0).nonzero().max()) + 1  # padding beyond it changes nothing
        tokens = tokens[:, :longest]
        inputs = [tokens[..., -2].long(), real[:, :longest].long()]
        return (tokens[..., :-2] if self.hidden else None), inputs[: self.inputs]
