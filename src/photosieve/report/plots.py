"""Small plots as SVG text in the colors of the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from photosieve.decision import metrics
from photosieve.decision.metrics import Float64Array, Reliability

CURVE_SIDE, MARGIN = 100, 8
"""Size and margin of a curve, in units of its view box."""


def curve(
    scores: Float64Array, relevant: NDArray[np.bool_], at: tuple[float, float], label: str
) -> Markup:
    """Draw a precision-recall curve with the point where the cut works.

    Parameters
    ----------
    scores : array (photos,)
    relevant : array of bool (photos,)
    at : tuple of float
        Recall and precision of the cut; not drawn where one is not a number.
    label : str
        Description for screen readers.
    """
    precision, recall, _ = metrics.precision_recall_curve(scores, relevant)
    points = [(0.0, float(precision[0])), *zip(recall.tolist(), precision.tolist(), strict=True)]
    path = " ".join(f"{_place(x):.1f},{_place(1 - y):.1f}" for x, y in points)
    size = CURVE_SIDE + 2 * MARGIN
    shape = Markup(
        '<svg viewBox="0 0 {size} {size}" role="img" aria-label="{label}">'
        '<rect x="{margin}" y="{margin}" width="{side}" height="{side}" class="frame"/>'
        '<polyline points="{path}" class="curve"/>'
    ).format(size=size, side=CURVE_SIDE, margin=MARGIN, label=label, path=path)
    if not any(np.isnan(at)):
        shape += Markup('<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" class="at"/>').format(
            x=_place(at[0]), y=_place(1 - at[1])
        )
    return shape + Markup("</svg>")


def strip(
    probabilities: Float64Array,
    relevant: NDArray[np.bool_],
    lines: Sequence[tuple[str, float]],
    label: str,
) -> Markup:
    """Draw every photo's probability from 0 to 1: right ones above, others below, the cut as lines.

    Parameters
    ----------
    probabilities : array (photos,)
    relevant : array of bool (photos,)
    lines : sequence of (name, probability)
        Numbers of the cut; those outside 0 to 1 are not drawn.
    label : str
        Description for screen readers.
    """

    def x(probability: float) -> float:
        return 1 + 98 * probability  # per cent of the width

    parts = [
        Markup(
            '<svg height="26" role="img" aria-label="{label}">'
            '<line x1="0" x2="100%" y1="13" y2="13" class="axis"/>'
        ).format(label=label)
    ]
    for right, row, name in ((False, 19, "no"), (True, 7, "yes")):
        parts += [
            Markup('<circle cx="{x:.2f}%" cy="{y}" r="3.6" class="{name}"/>').format(
                x=x(probability), y=row, name=name
            )
            for probability in probabilities[relevant == right].tolist()
        ]
    for name, probability in lines:
        if 0 <= probability <= 1:
            parts.append(
                Markup('<line x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="26" class="{name}"/>').format(
                    x=x(probability), name=name
                )
            )
    return Markup("").join([*parts, Markup("</svg>")])


def reliability(bins: Reliability, label: str) -> Markup:
    """Draw observed fractions against predicted probabilities, with the decisions in each bin.

    Parameters
    ----------
    bins : Reliability
    label : str
        Description for screen readers.
    """
    left, top, side, height = 46, 12, 370, 240
    width = side / len(bins.counts)

    def x(probability: float) -> float:
        return left + side * probability

    def y(fraction: float) -> float:
        return top + height * (1 - fraction)

    parts = [
        Markup('<svg viewBox="0 0 424 316" role="img" aria-label="{label}">').format(label=label)
    ]
    for number, (observed, count) in enumerate(zip(bins.observed, bins.counts, strict=True)):
        middle = left + width * (number + 0.5)
        if count:
            parts.append(
                Markup(
                    '<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" class="bar"/>'
                ).format(x=middle - width / 2 + 2, y=y(observed), w=width - 4, h=height * observed)
            )
        parts.append(
            Markup('<text x="{x:.1f}" y="302" class="count">{count}</text>').format(
                x=middle, count=f"{count:.0f}" if count < 10_000 else f"{count / 1000:.0f}k"
            )
        )
    parts += [
        Markup(
            '<text x="{x:.1f}" y="{below:.1f}" class="count">{tick:g}</text>'
            '<text x="{left}" y="{y:.1f}" class="tick">{tick:g}</text>'
        ).format(x=x(tick), y=y(tick) + 4, below=top + height + 18, left=left - 8, tick=tick)
        for tick in (0, 0.2, 0.4, 0.6, 0.8, 1)
    ]
    parts.append(
        Markup(
            '<line x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}" class="ideal"/>'
            '<rect x="{x0}" y="{y1}" width="{side}" height="{height}" class="frame"/>'
            '<text x="{end}" y="302" class="tick">count</text>'
        ).format(x0=x(0), y0=y(0), x1=x(1), y1=y(1), side=side, height=height, end=left - 4)
    )
    parts += [
        Markup('<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" class="at"/>').format(
            x=x(predicted), y=y(observed)
        )
        for predicted, observed in zip(bins.predicted, bins.observed, strict=True)
        if not np.isnan(predicted)
    ]
    return Markup("").join([*parts, Markup("</svg>")])


def training(losses: Sequence[float], held_out: Sequence[float], chosen: int) -> Markup:
    """Draw the loss of each epoch and, below, the F1 on held-out photos, as a picture of its own.

    Parameters
    ----------
    losses : sequence of float (epochs,)
        Of the final training.
    held_out : sequence of float (epochs,)
        Macro F1 out of fold; empty where it was not measured.
    chosen : int
        The epoch of the final weights, marked by a line.
    """
    epochs = max(len(losses), len(held_out), 1)
    panels = [("loss on all photos", losses)]
    if held_out:
        panels.append(("macro F1 on held-out photos", held_out))
    left, width, height, space = 60, 520, 120, 54
    total = 24 + len(panels) * (height + space)
    parts = [
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 {total}" '
            'font-family="system-ui, sans-serif" font-size="12" fill="#57606a">'
            '<title>Training: {epochs} epochs</title><rect width="600" height="{total}" '
            'fill="#fff"/>'
        ).format(total=total, epochs=epochs)
    ]

    def x(epoch: int) -> float:
        return left + width * (epoch - 1) / max(epochs - 1, 1)

    for number, (name, values) in enumerate(panels):
        top = 34 + number * (height + space)
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        span = (high - low) or 1.0
        path = " ".join(
            f"{x(epoch):.1f},{top + height * (high - value) / span:.1f}"
            for epoch, value in enumerate(values, start=1)
        )
        parts.append(
            Markup(
                '<text x="{left}" y="{above}" font-weight="600" fill="#1c2128">{name}</text>'
                '<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" '
                'stroke="#d9d5cc"/><polyline points="{path}" fill="none" stroke="#0f6b5c" '
                'stroke-width="2"/><text x="{tick}" y="{upper}" text-anchor="end">{high:.3g}</text>'
                '<text x="{tick}" y="{lower}" text-anchor="end">{low:.3g}</text>'
                '<line x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{lower}" stroke="#b3261e" '
                'stroke-dasharray="4 3"/><text x="{left}" y="{below}">1</text>'
                '<text x="{end}" y="{below}" text-anchor="end">epoch {epochs}</text>'
            ).format(
                left=left,
                above=top - 8,
                name=name,
                top=top,
                width=width,
                height=height,
                path=path,
                tick=left - 6,
                upper=top + 10,
                high=high,
                lower=top + height,
                low=low,
                at=x(chosen),
                below=top + height + 16,
                end=left + width,
                epochs=epochs,
            )
        )
    return Markup("").join([*parts, Markup("</svg>")])


def probes(tried: Sequence[tuple[float, float, float]], chosen: tuple[float, float]) -> Markup:
    """Draw the out-of-fold quality of each probe that was tried, as a picture of its own.

    Parameters
    ----------
    tried : sequence of (float, float, float)
        Text weight, penalty and mean average precision.
    chosen : (float, float)
        Text weight and penalty of the one that was taken.
    """
    left, width, step = 220, 280, 24
    total = 50 + step * len(tried)
    parts = [
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 {total}" '
            'font-family="system-ui, sans-serif" font-size="12" fill="#57606a">'
            '<title>Training: {count} probes tried</title><rect width="600" height="{total}" '
            'fill="#fff"/><text x="16" y="24" font-weight="600" fill="#1c2128">'
            "mean average precision on held-out photos</text>"
        ).format(total=total, count=len(tried))
    ]
    for number, (weight, penalty, value) in enumerate(tried):
        taken = (weight, penalty) == chosen
        parts.append(
            Markup(
                '<text x="{end}" y="{line}" text-anchor="end" font-weight="{bold}">'
                'text weight {weight:g}, penalty {penalty:g}</text><rect x="{left}" y="{top}" '
                'width="{bar:.1f}" height="12" fill="{color}"/>'
                '<text x="{after:.1f}" y="{line}">{value:.3f}{mark}</text>'
            ).format(
                end=left - 10, line=step * number + 52, bold=700 if taken else 400,
                weight=weight, penalty=penalty, left=left, top=step * number + 42,
                bar=width * value, color="#0f6b5c" if taken else "#b9c7c3",
                after=left + width * value + 6, value=value, mark=", taken" if taken else "",
            )
        )  # fmt: skip
    return Markup("").join([*parts, Markup("</svg>")])


def _place(fraction: float) -> float:
    return MARGIN + fraction * CURVE_SIDE
