"""Losses: pure functions of scores and targets."""

from __future__ import annotations

import torch
from torch.nn import functional


def balanced_sigmoid(
    logits: torch.Tensor, targets: torch.Tensor, positives: torch.Tensor, photos: int
) -> torch.Tensor:
    """Binary cross-entropy of every (photo, label) pair by itself, balanced label by label.

    A label that many photos share is a positive for each of them and never its own negative, which
    is what a softmax over pairs makes of it. Within each label, positives and negatives carry half
    of the weight each, so that a label on one photo in fifty is not drowned; King and Zeng (2001),
    "Logistic regression in rare events data". The sigmoid form is that of SigLIP (Zhai et al.
    2023, arXiv:2303.15343). Labels on no photo teach nothing and are left out.

    Parameters
    ----------
    logits : tensor (n, labels)
        Of the photos of one batch.
    targets : tensor (n, labels)
        1 where the photo has the label, else 0.
    positives : tensor (labels,)
        Photos with each label in the whole training set, which weighs all batches alike.
    photos : int
        Photos in the whole training set.

    Returns
    -------
    tensor ()
    """
    positive_weight = photos / (2 * positives.clamp(min=1))  # (labels,)
    negative_weight = photos / (2 * (photos - positives).clamp(min=1))
    weight = targets * positive_weight + (1 - targets) * negative_weight  # (n, labels)
    weight = weight * (positives > 0)
    pairs = functional.binary_cross_entropy_with_logits(logits, targets, weight, reduction="sum")
    return pairs / (len(logits) * (positives > 0).sum().clamp(min=1))


def diagonal_softmax(logits: torch.Tensor) -> torch.Tensor:
    """Symmetric cross-entropy over a batch of pairs, pair i being the only match of row i.

    The loss of CLIP (Radford et al. 2021, arXiv:2103.00020, figure 3) and of the notebooks. With
    few labels a batch holds the same label several times, and all but one count as mistakes.

    Parameters
    ----------
    logits : tensor (n, n)
        Photo of pair i against text of pair j.

    Returns
    -------
    tensor ()
        Zero for a batch of one.
    """
    targets = torch.arange(len(logits))
    by_photo = functional.cross_entropy(logits, targets)
    by_text = functional.cross_entropy(logits.T, targets)
    return (by_photo + by_text) / 2


def anchor_term(scores: torch.Tensor, pretrained: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of the scores of general words from where they were before training.

    Keeps what the model knew about words that no label mentions. The idea of functional
    regularisation of forgetting, "learning without forgetting": Li and Hoiem (2016),
    arXiv:1606.09282.

    Parameters
    ----------
    scores, pretrained : tensors (photos, words)
        Cosines by the model in training and by the pretrained one.

    Returns
    -------
    tensor ()
    """
    return functional.mse_loss(scores, pretrained)
