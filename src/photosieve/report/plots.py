"""Small plots as SVG text, drawn by hand: crisp, light, and in the colours of the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from photosieve import metrics

Floats = NDArray[np.float64]

SIDE, MARGIN = 100, 8
"""Of a curve's square, in units of its own."""


def curve(
    scores: Floats, relevant: NDArray[np.bool_], at: tuple[float, float], label: str
) -> Markup:
    """Draw a precision-recall curve with the point where the cut works.

    Parameters
    ----------
    scores : array (photos,)
    relevant : array of bool (photos,)
    at : tuple of float
        Recall and precision of the cut; not drawn where one is not a number.
    label : str
        What it is about, for those who cannot see it.
    """
    precision, recall, _ = metrics.precision_recall_curve(scores, relevant)
    points = [(0.0, float(precision[0])), *zip(recall.tolist(), precision.tolist(), strict=True)]
    path = " ".join(f"{_place(x):.1f},{_place(1 - y):.1f}" for x, y in points)
    size = SIDE + 2 * MARGIN
    shape = Markup(
        '<svg viewBox="0 0 {size} {size}" role="img" aria-label="{label}">'
        '<rect x="{margin}" y="{margin}" width="{side}" height="{side}" class="frame"/>'
        '<polyline points="{path}" class="curve"/>'
    ).format(size=size, side=SIDE, margin=MARGIN, label=label, path=path)
    if not any(np.isnan(at)):
        shape += Markup('<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" class="at"/>').format(
            x=_place(at[0]), y=_place(1 - at[1])
        )
    return shape + Markup("</svg>")


def strip(
    scores: Floats,
    relevant: NDArray[np.bool_],
    ends: tuple[float, float],
    lines: Sequence[tuple[str, float]],
    label: str,
) -> Markup:
    """Draw every photo's score on one axis: right ones above, others below, the cut as lines.

    Parameters
    ----------
    scores : array (photos,)
    relevant : array of bool (photos,)
    ends : tuple of float
        Scores at the left and right end.
    lines : sequence of (name, score)
        Where the cut's numbers lie.
    label : str
        What it is about, for those who cannot see it.
    """
    low, high = ends

    def x(score: float) -> float:
        return 1 + 98 * (score - low) / max(high - low, 1e-9)  # per cent of the width

    parts = [
        Markup(
            '<svg height="26" role="img" aria-label="{label}">'
            '<line x1="0" x2="100%" y1="13" y2="13" class="axis"/>'
        ).format(label=label)
    ]
    for right, row, name in ((False, 19, "no"), (True, 7, "yes")):
        parts += [
            Markup('<circle cx="{x:.2f}%" cy="{y}" r="3.6" class="{name}"/>').format(
                x=x(score), y=row, name=name
            )
            for score in scores[relevant == right].tolist()
        ]
    for name, score in lines:
        if low <= score <= high:
            parts.append(
                Markup('<line x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="26" class="{name}"/>').format(
                    x=x(score), name=name
                )
            )
    return Markup("").join([*parts, Markup("</svg>")])


def _place(fraction: float) -> float:
    return MARGIN + fraction * SIDE
