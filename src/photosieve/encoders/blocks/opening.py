"""Open an encoder for training: its head becomes the last blocks of each tower, or everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.encoders import is_starter
from photosieve.encoders.blocks.block_head import BlockHead
from photosieve.encoders.blocks.ends import TowerEnd, load_end
from photosieve.encoders.blocks.fronts import front_tower, input_rows
from photosieve.encoders.head import LinearHead
from photosieve.encoders.hub import HubEncoder
from photosieve.encoders.model import PHOTOS, TEXTS, Side, model_errors
from photosieve.encoders.protocol import Encoder, Float32Array
from photosieve.encoders.runtime import Tower
from photosieve.encoders.stored import StoredEncoder
from photosieve.errors import EncoderError


def open_blocks(encoder: Encoder, blocks: int, lora_rank: int, *, trains_text: bool) -> Encoder:
    """Return the same model with a head of more than the projections.

    Its embeddings are the same to rounding. Its features are the inputs of the head, in rows that
    only the head can read.

    Training then changes the last `blocks` blocks of each opened tower and the projections after
    them, or the parts in their place: SigLIP's pooling of photos and its last layer of texts. The
    norms between them stay. With -1 it changes everything, and with `lora_rank` the matrices of
    attention in all blocks, of which ALIGN's image tower has none.

    Parameters
    ----------
    encoder : Encoder
    blocks : int
        How many of the last blocks of each tower belong to the head; -1 for all.
    lora_rank : int
        If above 0, the head is everything, and training adds changes of this rank.
    trains_text : bool
        Whether the text tower is opened too.

    Raises
    ------
    EncoderError
        If this model has no blocks that can be trained, or fewer, or its head is a trained one.
    """
    if not blocks and not lora_rank:
        return encoder
    if isinstance(encoder, StoredEncoder):
        encoder = encoder.model
    if not isinstance(encoder, HubEncoder):
        name = "the starter" if is_starter(encoder.name) else encoder.name
        raise EncoderError(
            f"of {name} only the head can be trained; choose a recipe without blocks "
            "and LoRA, or another encoder"
        )
    if encoder.trunk.rounding:
        raise EncoderError(
            f"{encoder.name} computes in integers, which cannot be trained; choose a recipe "
            "without blocks and LoRA, or take the model in float32"
        )
    if encoder.head.fingerprint() != encoder.plain.fingerprint():
        raise EncoderError(
            f"{encoder.name} was trained already, and only a pretrained encoder can be opened; "
            "load it anew"
        )
    kept = 0 if lora_rank or blocks < 0 else blocks
    photos, photo_end = _split(encoder, PHOTOS, kept, lora_rank)
    texts, text_end = _embedding(encoder.trunk.texts, encoder.plain), None
    if trains_text:
        texts, text_end = _split(encoder, TEXTS, kept, lora_rank)
    head = BlockHead.start(photo_end, text_end, lora_rank)
    if not head.values:
        raise EncoderError(
            f"{encoder.name} has no attention in what is to be trained, which LoRA would change; "
            "choose another recipe"
        )
    return replace(encoder, trunk=replace(encoder.trunk, photos=photos, texts=texts), head=head)


def _split(encoder: HubEncoder, side: Side, kept: int, lora_rank: int) -> tuple[Tower, TowerEnd]:
    """Return the tower that gives rows of one side, and the end that reads them."""
    model, trunk = encoder.model, encoder.trunk
    example, device = trunk.examples[side], trunk.device
    with model_errors(encoder.name, "the model"):
        end = load_end(model, side, example, kept, low_rank=lora_rank > 0)
    tower = front_tower(model, side, example, device, kept) if kept else input_rows(side)
    return tower, end.to(device or "cpu")


def _embedding(tower: Tower, head: LinearHead) -> Tower:
    """Return a text tower that gives the head's vectors of its features, (m, d)."""

    def run(inputs: Iterable[Sequence[NDArray[Any]]]) -> Iterator[Float32Array]:
        for rows in tower(inputs):
            yield np.asarray((rows - head.text_mean) @ head.text, np.float32)

    return run
