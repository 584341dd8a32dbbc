"""Batches: which items one training step sees."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch


def shuffled(items: int, batch_size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Shuffle, and cut into batches; a last one of fewer items is used too.

    Parameters
    ----------
    items : int
    batch_size : int
        Most items in a batch.
    generator : Generator
        Decides the order.

    Returns
    -------
    iterator of tensors (batch,) of int
    """
    order = torch.randperm(items, generator=generator)
    return (order[start : start + batch_size] for start in range(0, items, batch_size))


def distinct(
    pairs: torch.Tensor, targets: torch.Tensor, batch_size: int, generator: torch.Generator
) -> Iterator[torch.Tensor]:
    """Batches of (photo, label) pairs without a false negative.

    For a softmax with diagonal targets: no photo in a batch has the label of another pair in it.
    Each pair comes exactly once. A label on many photos needs as many batches, so that batches are
    often much smaller than `batch_size`: mostly 3 or 4 pairs in the sample listings, whose
    photos have six labels each.

    One by one, in random order, each pair joins the smallest batch that it may join, or opens a new
    one. Pairs of common labels, the hardest to place, tend to come first. Both keep batches even:
    filling one batch after the other leaves many of a single pair, which teach a softmax nothing.
    Some single ones can remain, as where one photo has all the labels.

    Parameters
    ----------
    pairs : tensor (pairs, 2) of int
        Row of the photo and column of its label in `targets`; on the CPU.
    targets : tensor (n, labels)
        True or 1 where the photo has the label.
    batch_size : int
        Most pairs in a batch.
    generator : Generator
        Decides the order.

    Returns
    -------
    iterator of tensors (batch,) of int
        Rows of `pairs`.
    """
    if not len(pairs):
        return iter(())
    labels = [set(row.nonzero()[:, 0].tolist()) for row in targets]  # of each photo
    common = torch.bincount(pairs[:, 1])[pairs[:, 1]].double()  # (pairs,): pairs with its label
    order = torch.multinomial(common**2, len(pairs), generator=generator)  # common ones early
    batches = [_Batch() for _ in range(math.ceil(len(pairs) / batch_size))]
    for pair, (photo, label) in zip(order.tolist(), pairs[order].tolist(), strict=True):
        open_to_it = [
            batch
            for batch in batches
            if len(batch.pairs) < batch_size
            and label not in batch.shown
            and batch.asked.isdisjoint(labels[photo])
        ]
        if not open_to_it:
            open_to_it = [_Batch()]
            batches += open_to_it
        smallest = min(open_to_it, key=lambda batch: len(batch.pairs))
        smallest.pairs.append(pair)
        smallest.asked.add(label)
        smallest.shown |= labels[photo]
    turns = torch.randperm(len(batches), generator=generator).tolist()
    return (torch.tensor(batches[turn].pairs) for turn in turns)


@dataclass
class _Batch:
    """Rows of pairs, the labels of those pairs, and all the labels that their photos have."""

    pairs: list[int] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)
    shown: set[int] = field(default_factory=set)
