"""The trained part of a hub model's tower: from the rows of a frozen tower to vectors.

It is the tower of the `transformers` library itself, so that no family has to be written again. Its
embeddings are replaced by a module that returns the hidden states of a row, and its frozen blocks
by modules that return their input. All weights keep their names that way.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from photosieve.encoders.blocks.fronts import blocks_of
from photosieve.encoders.blocks.rows import Layout, pack
from photosieve.encoders.inputs import PADDED
from photosieve.encoders.model import PHOTOS, TEXTS, Model, Side
from photosieve.encoders.towers import Example, WholeTower
from photosieve.errors import EncoderError

POOLED = {PHOTOS: ("clip", "altclip", "chinese_clip"), TEXTS: ("clip", *PADDED)}
"""Model types that read the last block of a tower at one token only."""

LOW_RANK = ("q_proj", "k_proj", "v_proj", "out_proj", "query", "key", "value")
"""Names of the matrices of attention, which low-rank training changes."""

LEAST_COSINE = 0.9999


@dataclass(frozen=True)
class _Context:
    """Inputs of the modules inside a tower that the tower itself does not pass to them."""

    hidden: torch.Tensor | None
    pooled: torch.Tensor  # (n,): index of the token that is read
    seen: torch.Tensor | None  # (n, t): the tokens that it attends to; None for all


_CONTEXT: ContextVar[_Context] = ContextVar("_CONTEXT")  # each thread has its own


class TowerEnd(torch.nn.Module):
    """The last blocks of a tower with all that follows, or the whole tower; `load_end` makes it.

    It is never in training mode. Batch norms keep the statistics of pretraining, which are better
    than those of a few photos, and no dropout is drawn, so that a run can be repeated and resumed.

    Parameters
    ----------
    model : torch.nn.Module
        The model, cut.
    names : sequence of str
        Names of the tower's inputs.
    layout : Layout
        Of the rows.
    """

    def __init__(self, model: Any, names: Sequence[str], layout: Layout) -> None:
        super().__init__()
        self.whole = WholeTower(model, layout.side, names)
        self.layout = layout
        self.size = 0
        self.trainable: tuple[str, ...] = ()

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map rows, (n, p), to vectors of any length, (n, d)."""
        hidden, inputs = self.layout.unpack(rows)
        pooled, seen = self._pooled(inputs[0]), None
        if self.layout.side == TEXTS and len(inputs) > 1:  # no padding, and nothing that follows
            place = torch.arange(inputs[0].shape[1], device=rows.device)
            seen = (place <= pooled[:, None]) & inputs[1].bool()
        before = _CONTEXT.set(_Context(hidden, pooled, seen))
        try:
            vectors: torch.Tensor = self.whole(*inputs)
            return vectors.float()
        finally:
            _CONTEXT.reset(before)

    @property
    def model(self) -> Any:
        """The model, cut."""
        return self.whole.model

    def weights(self) -> dict[str, torch.Tensor]:
        """All weights that may be trained, by their names in `transformers`."""
        return {name: self.model.get_parameter(name) for name in self.trainable}

    def copy(self, weights: Mapping[str, torch.Tensor], *, train: bool = False) -> TowerEnd:
        """Return the same with these weights in their places; all others are shared."""
        shared = [*self.parameters(), *self.buffers()]
        twin = copy.deepcopy(self, {id(tensor): tensor for tensor in shared})
        for name, tensor in weights.items():
            owner, _, last = name.rpartition(".")
            weight = torch.nn.Parameter(tensor, requires_grad=train)
            setattr(twin.model.get_submodule(owner), last, weight)
        return twin

    def _pooled(self, given: torch.Tensor) -> torch.Tensor:
        """Return the index of the token that is read, (n,); for texts `given` holds their ids."""
        kind = self.model.config.model_type
        first = torch.zeros(len(given), dtype=torch.long, device=given.device)
        if self.layout.side == PHOTOS or kind not in POOLED[TEXTS]:
            return first
        if kind in PADDED:
            return first + given.shape[1] - 1
        end = self.model.text_model.eos_token_id
        # Old configurations always say 2; the real end mark has the highest id of all.
        marks = given if end == 2 else (given == end).int()
        return marks.argmax(-1)


class HiddenStates(torch.nn.Module):
    """Replaces embeddings, and returns the hidden states of the row."""

    def forward(self, *_: Any, **__: Any) -> torch.Tensor | None:
        """Return the hidden states, (n, t, w)."""
        return _CONTEXT.get().hidden


class PassThrough(torch.nn.Module):
    """Replaces a frozen block, and returns its input."""

    def forward(self, hidden: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        """Return the input."""
        return hidden


class PooledBlock(torch.nn.Module):
    """A block like CLIP's that computes only the one token that is read after it.

    Keys and values are needed for all tokens; queries and everything after them, five sixths of
    the work, for that token alone.

    Parameters
    ----------
    block : torch.nn.Module
        The block; its parts keep their names.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.layer_norm1, self.self_attn = block.layer_norm1, block.self_attn
        self.layer_norm2, self.mlp = block.layer_norm2, block.mlp

    def forward(self, hidden: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        """Map hidden states, (n, t, w), to those of the one token, repeated for each token."""
        call, attention = _CONTEXT.get(), self.self_attn
        count = len(hidden)
        each = torch.arange(count, device=hidden.device)
        heads = (count, -1, attention.num_heads, attention.head_dim)
        normal = self.layer_norm1(hidden)
        queries = attention.q_proj(normal[each, call.pooled]).view(heads)  # (n, 1, heads, w/heads)
        keys, values = (part(normal).view(heads) for part in (attention.k_proj, attention.v_proj))
        seen = None if call.seen is None else call.seen[:, None, None]  # (n, 1, 1, t)
        found = functional.scaled_dot_product_attention(
            queries.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), attn_mask=seen
        )
        token = hidden[each, call.pooled] + attention.out_proj(found.reshape(count, -1))  # (n, w)
        token = token + self.mlp(self.layer_norm2(token))
        return torch.as_tensor(token)[:, None].expand(hidden.shape)


def load_end(
    model: Model, side: Side, example: Example, blocks: int, *, low_rank: bool = False
) -> TowerEnd:
    """Load the last part of a tower.

    Parameters
    ----------
    model : Model
    side : Side
    example : mapping of str to array
        Inputs of the tower, for the layout of rows and to check that the parts make up the whole.
    blocks : int
        How many of the last blocks it has; 0 for the whole tower.
    low_rank : bool
        Whether only the matrices of attention may be trained. Otherwise training may change those
        blocks and the parts after them except norms: projections or, in a model without them, the
        pooling of hidden states. ALIGN's image tower has no part after its blocks.

    Raises
    ------
    EncoderError
        If the tower has fewer blocks, or is built in a way that cannot be taken apart.
    """
    loaded: Any = model.load(side)
    loaded.requires_grad_(False)
    name, found = blocks_of(loaded, side)
    if blocks > len(found):
        raise EncoderError(
            f"{model.files.name} has {len(found)} blocks in its {side.tower}, "
            f"not {blocks}; set blocks to {len(found)} at most, or to -1 for everything"
        )
    inputs = [torch.from_numpy(array) for array in example.values()]
    entering: list[torch.Tensor] = []
    hook = found[-blocks].register_forward_pre_hook(lambda _, given: entering.append(given[0]))
    whole = WholeTower(loaded, side, tuple(example))(*inputs)
    hook.remove()
    hidden = entering[0] if blocks else None
    if blocks:
        _cut(loaded, name, blocks)
    if loaded.config.model_type in POOLED[side]:
        found[-1] = PooledBlock(found[-1])
    end = TowerEnd(loaded, tuple(example), Layout.of(side, hidden, inputs)).eval()
    end.size = whole.shape[-1]
    candidates = {
        key: weight
        for key, weight in loaded.named_parameters()
        if _may_train(loaded, key, name, blocks, low_rank)
    }
    for weight in candidates.values():
        weight.requires_grad_(True)
    vectors = end(pack(side, hidden, inputs))
    # Embeddings may not depend on all weights of a model, for example on those of a second pooling.
    if candidates:
        grads = torch.autograd.grad(vectors.sum(), list(candidates.values()), allow_unused=True)
        moved = zip(candidates, grads, strict=True)
        end.trainable = tuple(key for key, grad in moved if grad is not None)
    loaded.requires_grad_(False)
    if functional.cosine_similarity(vectors, whole).min() < LEAST_COSINE:
        raise EncoderError(
            f"the towers of {model.files.name} are not built like those that photosieve can "
            "take apart; choose a recipe that trains the projections alone, or another encoder"
        )
    return end


def _cut(model: Any, name: str, blocks: int) -> None:
    """Replace everything before the last blocks of the list of this name."""
    found = model.get_submodule(name)
    for number in range(len(found) - blocks):
        found[number] = PassThrough()
    tower = model.get_submodule(name.rpartition(".encoder.")[0])
    tower.embeddings = HiddenStates()
    for norm in ("pre_layrnorm", "pre_layernorm"):
        if hasattr(tower, norm):
            setattr(tower, norm, torch.nn.Identity())


def _may_train(model: Any, key: str, name: str, blocks: int, low_rank: bool) -> bool:
    """Whether training may change a weight of a cut model whose blocks have this name."""
    owner, _, last = key.rpartition(".")
    in_blocks = key.startswith(f"{name}.")
    if low_rank:
        return in_blocks and last == "weight" and owner.rpartition(".")[2] in LOW_RANK
    # A norm of the tower itself, not one inside its pooling.
    outer = owner.count(".") == 1 and isinstance(model.get_submodule(owner), torch.nn.LayerNorm)
    return in_blocks or not (blocks and outer)
