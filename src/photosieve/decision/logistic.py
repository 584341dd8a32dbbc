"""Logistic regressions of many labels on the same features, found all at once.

Newton's method: each step is a system of equations for each label, which conjugate gradients solve
roughly, for all labels by the same two matrix products. Lin, Weng and Keerthi (2008), "Trust region
Newton method for logistic regression", do so for one label; here, a step that makes the loss worse
is halved.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = 30
"""Most steps of Newton's method; with a start nearby it takes three or four."""

DIRECTIONS = 12
"""Most directions of conjugate gradients for one step."""

RESIDUAL = 0.1
"""Fraction of the gradient that is left when a step is exact enough."""

STRAIGHT = 0.01
"""The least probability of the right answer that a step counts with."""

HALVINGS = 20
"""Most halvings of a step that makes the loss worse."""


def fit(
    features: NDArray[np.floating[Any]],
    targets: NDArray[np.bool_],
    weights: NDArray[np.floating[Any]],
    penalty: float,
    offsets: NDArray[np.floating[Any]] | float = 0.0,
    start: NDArray[np.floating[Any]] | None = None,
) -> NDArray[Any]:
    """Find the coefficients with the least weighted cross-entropy plus `penalty / 2 * |w|^2`.

    Parameters
    ----------
    features : array (n, r)
        Its precision is that of the result. Conjugate gradients take few directions where its
        columns are orthogonal.
    targets : array of bool (n, labels)
    weights : array (n, labels)
        Of pairs, of a sum near 1 for each label. A label whose weights are all 0 keeps its start.
    penalty : float
        Above 0. It does not apply to the constants.
    offsets : array (n, labels) or float
        Added to the log odds.
    start : array (r + 1, labels), optional
        A result for similar settings; by default 0.

    Returns
    -------
    array (r + 1, labels)
        The last row are the constants.
    """
    kind = features.dtype
    table = np.column_stack([features, np.ones(len(features), kind)])  # (n, r + 1)
    turned, squares = np.ascontiguousarray(table.T), np.ascontiguousarray(table.T**2)
    sign = np.where(targets, 1, -1).astype(kind)
    share = np.asarray(weights, kind)
    decay = np.full((table.shape[1], 1), penalty, kind)
    decay[-1] = 0
    tiny, noise = np.finfo(kind).tiny, 10 * np.finfo(kind).eps

    def look(found: NDArray[Any], odds: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Loss of each label, (labels,), and the probability of an error, (n, labels)."""
        margins = sign * odds
        small = np.exp(-np.abs(margins))
        pairs = share * (np.log1p(small) + np.maximum(-margins, 0))
        errors = np.where(margins > 0, small, 1) / (1 + small)
        return pairs.sum(0) + (decay * found * found).sum(0) / 2, errors

    found = np.zeros((table.shape[1], targets.shape[1]), kind)
    if start is not None:
        found = start.astype(kind)
    odds = table @ found + np.asarray(offsets, kind)
    loss, errors = look(found, odds)
    for _ in range(STEPS):
        gradient = decay * found - turned @ (sign * share * errors)
        # Far on the wrong side the loss is a straight line, and a step would have no end.
        curvature = share * errors * np.maximum(1 - errors, STRAIGHT)
        # Conjugate gradients, with the diagonal of the Hessian as preconditioner.
        scale = 1 / np.maximum(squares @ curvature + decay, tiny**0.5)
        step, moved, residual = np.zeros_like(found), np.zeros_like(odds), -gradient
        direction = scale * residual
        left = (residual * direction).sum(0)
        enough = RESIDUAL**2 * left
        for _ in range(DIRECTIONS):
            along = table @ direction
            bent = turned @ (curvature * along) + decay * direction
            size = left / np.maximum((direction * bent).sum(0), tiny)
            step, moved = step + size * direction, moved + size * along
            residual = residual - size * bent
            before, left = left, (residual * scale * residual).sum(0)
            if (left <= enough).all():
                break
            direction = scale * residual + left / np.maximum(before, tiny) * direction
        size = np.ones_like(loss)
        for _ in range(HALVINGS):
            reached, mistaken = look(found + size * step, odds + size * moved)
            worse = ~(reached <= loss + noise)
            if not worse.any():
                break
            size[worse] /= 2
        else:
            return found  # as good as it gets in this precision
        found, odds = found + size * step, odds + size * moved
        gained, loss, errors = loss - reached, reached, mistaken
        if gained.max(initial=0) <= noise:
            break
    return found
