"""Losses: pure functions of scores and targets."""

from __future__ import annotations

import torch
from torch.nn import functional

SILENCE = 0.3
"""Weight of a pair that a partial list leaves out, as a fraction of a known negative's."""


def balanced_sigmoid(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Binary cross-entropy of every (photo, label) pair by itself, balanced label by label.

    A label that many photos share is a positive for each of them and never its own negative, as it
    is in a softmax over pairs. The sigmoid form is that of SigLIP (Zhai et al. 2023,
    arXiv:2303.15343).

    Parameters
    ----------
    logits : tensor (n, labels)
        Of the photos of one batch.
    targets : tensor (n, labels)
        1 where the photo has the label, else 0.
    weights : tensor (n, labels)
        Their rows of `balanced_weights` of the whole training set, which weighs all batches alike.

    Returns
    -------
    tensor ()
    """
    pairs = functional.binary_cross_entropy_with_logits(logits, targets, weights, reduction="sum")
    return pairs / len(logits)


def balanced_weights(
    targets: torch.Tensor, known: torch.Tensor, silent: torch.Tensor
) -> torch.Tensor:
    """Weights of pairs for `balanced_sigmoid`.

    Within each label, positives and negatives carry half of the weight each, so that a label on one
    photo in fifty is not drowned; King and Zeng (2001), "Logistic regression in rare events data".
    Pairs that a partial list leaves out are weak negatives: without them, a label that nobody says
    no to would only ever be pulled up. Other unknown pairs, and labels on no photo, weigh 0.

    Parameters
    ----------
    targets : tensor (n, labels)
        1 where the photo has the label, else 0; of the whole training set.
    known : tensor (n, labels)
        0 where this is unknown, else 1.
    silent : tensor (n, labels)
        1 for unknown pairs that a partial list leaves out, else 0.

    Returns
    -------
    tensor (n, labels)
        Its mean over photos, summed over labels, is 1 if each label has positives and negatives.
    """
    negatives = known * (1 - targets) + SILENCE * silent
    weights = torch.zeros_like(targets)
    for half in (targets, negatives):
        total = half.sum(0)
        weights += half / (2 * torch.where(total > 0, total, 1))
    taught = targets.any(0)
    return weights * taught * (len(targets) / taught.sum().clamp(min=1))


def multi_positive_softmax(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Softmax with several right answers: over labels for each photo, over photos for each label.

    Each photo should spread its softmax evenly over the labels that it has, each label over the
    photos that have it; the loss is the mean of the two directions. A shared label is nobody's
    negative. The "out" form of supervised contrastive learning, Khosla et al. 2020,
    arXiv:2004.11362, equation 2.

    The right answers of a photo compete: with k of them the loss cannot fall below log k, and one
    that stands out is pulled down again. Only differences count: a constant added to all logits
    changes nothing, so nothing fixes the score above which a photo has a label.

    Parameters
    ----------
    logits : tensor (n, labels)
        Scaled cosines of the photos of one batch.
    targets : tensor (n, labels)
        1 where the photo has the label, else 0. Photos without a label, and labels on no photo of
        the batch, have no right answer: they are wrong answers of the others only.

    Returns
    -------
    tensor ()
        Zero if no photo has a label.
    """
    return (_several_right(logits, targets) + _several_right(logits.T, targets.T)) / 2


def _several_right(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each row against the even spread over its targets; mean of such rows."""
    right = targets.sum(1)  # (n,)
    rows = -(targets * logits.log_softmax(1)).sum(1) / right.clamp(min=1)  # (n,), 0 if none right
    return rows.sum() / (right > 0).sum().clamp(min=1)


def diagonal_softmax(logits: torch.Tensor) -> torch.Tensor:
    """Symmetric cross-entropy over a batch of pairs, pair i being the only match of row i.

    The kind of logits decides whose loss it is:

    - cosines times a learned scale: that of CLIP (Radford et al. 2021, arXiv:2103.00020, figure 3),
      both ways of InfoNCE (van den Oord et al. 2018, arXiv:1807.03748);
    - plain cosines, a scale of 1: they differ by 2 at most, so that the softmax always stays
      nearly flat; the loss of 16 pairs is never below 1.1;
    - dot products of vectors of any length: the lengths are the scale, each vector has its own, and
      it can grow without bound, while search sees only the cosine.

    With few labels a batch holds the same label several times, and all but one count as mistakes,
    as do the other labels of a photo; `photosieve.training.batches.distinct` avoids both.

    Parameters
    ----------
    logits : tensor (n, n)
        Photo of pair i against text of pair j.

    Returns
    -------
    tensor ()
        Zero for a batch of one, which teaches nothing.
    """
    targets = torch.arange(len(logits), device=logits.device)
    by_photo = functional.cross_entropy(logits, targets)
    by_text = functional.cross_entropy(logits.T, targets)
    return (by_photo + by_text) / 2


def margin(cosines: torch.Tensor, margin: float) -> torch.Tensor:
    """How far matching photos and texts are from a cosine of `margin`, on average.

    It only pulls together: nothing is ever pushed apart, and all photos and texts in one point is a
    perfect answer, which training goes towards. Hadsell, Chopra and LeCun (2006), "Dimensionality
    reduction by learning an invariant mapping", have the same pull and say why it needs a push. It
    is here to compare with, not to use.

    Parameters
    ----------
    cosines : tensor (n,)
        Of the photo and the text of each pair, or of each photo and the mean of the embeddings of
        its labels.
    margin : float
        Cosine from which a match is good enough and teaches nothing more.

    Returns
    -------
    tensor ()
    """
    return functional.relu(margin - cosines).mean()


def anchor_term(scores: torch.Tensor, pretrained: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of the scores of general words from where they were before training.

    Keeps the knowledge of words that no label mentions. The idea of functional
    regularization of forgetting, "learning without forgetting": Li and Hoiem (2016),
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
