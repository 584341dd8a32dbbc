"""An evaluation, or the answer to one search, as one HTML file.

A page contains its pictures, and its security policy blocks all network access. Each photo is
embedded once, as the background of a style class. The page of an evaluation has a script that moves
the cut; its only input is numbers, and without it the page shows the learned cut. The page of a
search has no script.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from photosieve.data.photos import decode
from photosieve.decision.evaluation import Evaluation
from photosieve.decision.leaderboard import ComparisonRow
from photosieve.decision.metrics import Counts, shown_number
from photosieve.errors import PhotoError, printable
from photosieve.report import plots, report_file
from photosieve.sieve.answer import SearchResult

THUMBNAIL = (168, 126)
"""Width and height; photos are cropped to this shape around their middle."""

MOST_QUERIES = 6
BUILDINGS_OPEN = 3
HIDDEN_SHOWN = 3
LEAST_SHOWN = 12
"""Least number of photos of each list in the page, so that the reader can move the cut."""
CLOSEST_SHOWN = 12

_TEMPLATES = files("photosieve.report") / "templates"
SCRIPT = "\n".join((_TEMPLATES / name).read_text("utf-8") for name in ("cut.js", "explore.js"))
SCRIPT_HASH = "sha256-" + base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
"""Of the one script that the page of an evaluation may run, for its security policy."""

VERDICTS = {
    (True, True): "found",
    (True, False): "wrong",
    (False, True): "missed",
    (False, False): "",
    (True, None): "unknown",
    (False, None): "",
}
"""By (kept, relevant)."""
VERDICT_TEXTS = {
    "found": "✓ found", "wrong": "✕ wrong", "missed": "! missed", "unknown": "? unknown",
}  # fmt: skip


def write_html(
    evaluation: Evaluation,
    path: Path,
    *,
    queries: Sequence[str] | None = None,
    comparison: Sequence[ComparisonRow] = (),
    shown: str | None = None,
    home: str | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write the page of an evaluation.

    Parameters
    ----------
    evaluation : Evaluation
    path : Path
    queries : sequence of str, optional
        Labels whose answers are shown photo by photo; by default the most informative ones.
    comparison : sequence of ComparisonRow, optional
        A leaderboard to show.
    shown : str, optional
        Name of the row that the page describes.
    home : str, optional
        Address of a page to go back to.
    notes : sequence of str
        Sentences to show at the top.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    asked = [q for q in (queries or _informative(evaluation)) if q in evaluation.labels]
    answers = [_answer(evaluation, label) for label in asked]
    used = {photo.index for a in answers for b in a.buildings for photo in b.photos}
    _write(
        "report.html.j2",
        path,
        evaluation=evaluation,
        labels=_label_rows(evaluation),
        reliability=plots.reliability(
            evaluation.reliability,
            f"Fraction of photos that are right against their probability; expected calibration "
            f"error {shown_number(evaluation.calibration_error)}",
        ),
        comparison=comparison,
        shown=shown,
        widest=max(
            (end for row in comparison for end in vars(row.macro_f1).values() if end > 0),
            default=1.0,
        ),
        answers=answers,
        decisions=decisions(evaluation),
        verdicts=VERDICT_TEXTS,
        pictures={index: _thumbnail(evaluation.photos[index]) for index in sorted(used)},
        home=home,
        notes=notes,
        script=SCRIPT,  # of this package: not from outside
        script_hash=SCRIPT_HASH,
    )


def decisions(evaluation: Evaluation) -> dict[str, Any]:
    """Return the input of the page's script, which moves the cut.

    Returns
    -------
    dict
        buildings (photos,), probabilities and relevant (labels, photos), null where unknown, the
        cut, and how many photos the page shows. Numbers and fixed words only: a script gets no text
        from outside.
    """
    number = {name: i for i, name in enumerate(evaluation.buildings)}
    cut = evaluation.cut
    return {
        "buildings": [number[group] for group in evaluation.groups],
        "probabilities": evaluation.probabilities.T.tolist(),
        "relevant": np.where(
            evaluation.known, evaluation.relevant.astype(int), np.array(None)
        ).T.tolist(),
        # JSON has no infinity. All gates and floors below 0, or above 1, have the same effect.
        "cut": {
            "gate": min(max(cut.gate, -1.0), 2.0),
            "floor": min(max(cut.floor, -1.0), 2.0),
            "drop": cut.to_dict()["drop"],
        },
        "hiddenShown": HIDDEN_SHOWN,
        "verdicts": VERDICT_TEXTS,
    }


def write_contact_sheet(result: SearchResult, path: Path) -> None:
    """Write the page of one search: the matches, and the closest photos behind the cut.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    closest = result.hidden[:CLOSEST_SHOWN]
    pictures = {hit.path: _thumbnail(hit.path) for hit in (*result.hits, *closest)}
    number = {photo: index for index, photo in enumerate(pictures)}
    _write(
        "search.html.j2",
        path,
        result=result,
        closest=closest,
        number=number,
        pictures={number[photo]: picture for photo, picture in pictures.items()},
    )


@dataclass(frozen=True)
class _Photo:
    """One thumbnail with its score, probability and verdict."""

    index: int
    name: str
    probability: float
    score: float
    relevant: bool | None
    kept: bool
    verdict: str


@dataclass(frozen=True)
class _Building:
    """One building's list for one query, best first, on both sides of the cut."""

    number: int
    name: str
    matches: int
    unknown: int
    mistakes: int
    photos: list[_Photo]
    kept: int
    """Number of photos, from the first on, that are the result."""
    shown: int
    """Number of photos, from the first on, that are visible; the script can show the others."""
    total: int


@dataclass(frozen=True)
class _Answer:
    """One query's lists; the first `open` of them are visible without a click."""

    number: int
    label: str
    counts: Counts
    buildings: list[_Building]
    open: int


def _informative(evaluation: Evaluation) -> list[str]:
    """Pick labels to show: the most frequent, the worst, and some that many buildings lack."""
    support, f1 = evaluation.per_label.support, evaluation.per_label.f1
    absent = evaluation.unanswerable.sum(0)  # (labels,) buildings without the label
    orders = (
        np.argsort(-support, kind="stable"),
        np.argsort(np.where(np.isnan(f1), 2.0, f1), kind="stable"),
        np.argsort(-np.where(support > 0, absent, -1), kind="stable"),
    )
    ranks = [int(j) for together in zip(*orders, strict=True) for j in together]
    return [evaluation.labels[j] for j in list(dict.fromkeys(ranks))[:MOST_QUERIES]]


def _answer(evaluation: Evaluation, label: str) -> _Answer:
    """One query's ranked thumbnails by building, the most informative buildings first."""
    j = evaluation.labels.index(label)
    lists = [_building(evaluation, i, j) for i in range(len(evaluation.buildings))]
    lists.sort(key=lambda b: (-min(b.mistakes, 1), -b.matches))
    # First come buildings with mistakes and matches, and one building without a match.
    without = [b for b in lists if not b.matches][:1]
    first = [b for b in lists if b not in without][: BUILDINGS_OPEN - len(without)] + without
    rest = [b for b in lists if b not in first]
    return _Answer(j, label, evaluation.per_label[j], first + rest, len(first))


def _building(evaluation: Evaluation, i: int, j: int) -> _Building:
    """One building's list for one label."""
    name = evaluation.buildings[i]
    rows = [n for n, group in enumerate(evaluation.groups) if group == name]
    ranked = [
        _Photo(
            index=n,
            name=evaluation.photos[n].name,
            probability=float(evaluation.probabilities[n, j]),
            score=float(evaluation.scores[n, j]),
            relevant=_judged(evaluation, n, j),
            kept=bool(evaluation.kept[n, j]),
            verdict=VERDICTS[bool(evaluation.kept[n, j]), _judged(evaluation, n, j)],
        )
        for n in sorted(rows, key=lambda n: (-evaluation.probabilities[n, j], n))
    ]
    kept = sum(photo.kept for photo in ranked)
    last_right = max((n for n, photo in enumerate(ranked) if photo.relevant), default=-1)
    shown = min(max(kept + HIDDEN_SHOWN, last_right + 1), len(ranked))
    counts = evaluation.counts[i, j]
    return _Building(
        number=i,
        name=name,
        matches=int(counts.support),
        unknown=int(evaluation.unknown[i, j]),
        mistakes=int(counts.fp + counts.fn),
        photos=ranked[: max(shown, LEAST_SHOWN)],
        kept=kept,
        shown=shown,
        total=len(ranked),
    )


def _judged(evaluation: Evaluation, photo: int, label: int) -> bool | None:
    """Whether a photo has a label; None if this is unknown."""
    return bool(evaluation.relevant[photo, label]) if evaluation.known[photo, label] else None


def _label_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Figures and plots of each label, best F1 first."""
    lines = [("floor", evaluation.cut.floor)]
    if evaluation.cut.gate != evaluation.cut.floor:
        lines.append(("gate", evaluation.cut.gate))
    rows = []
    for j, label in enumerate(evaluation.labels):
        counts = evaluation.per_label[j]
        known = evaluation.known[:, j]
        scores, relevant = evaluation.scores[known, j], evaluation.relevant[known, j]
        at = (float(counts.recall), float(counts.precision))
        rows.append(
            {
                "label": label,
                "train": evaluation.trained.get(label, 0),
                "test": int(counts.support),
                "returned": int(counts.returned),
                "precision": float(counts.precision),
                "recall": float(counts.recall),
                "f1": float(counts.f1),
                "average_precision": float(evaluation.average_precision[j]),
                "calibration_error": float(evaluation.calibration_errors[j]),
                "curve": plots.curve(
                    scores,
                    relevant,
                    at,
                    f"{label}: precision {at[1]:.2f} at recall {at[0]:.2f}",
                )
                if relevant.any()
                else None,
                "strip": plots.strip(
                    evaluation.probabilities[known, j],
                    relevant,
                    lines,
                    f"Probabilities of all {'' if known.all() else 'judged '}photos for {label}",
                ),
            }
        )
    return sorted(rows, key=lambda row: (np.isnan(row["f1"]), -row["f1"], row["label"]))


def _thumbnail(path: Path) -> str | None:
    """A small JPEG as a data URI; None for a photo that cannot be read."""
    try:
        photo = decode(path, shortest_side=max(THUMBNAIL))
    except PhotoError:
        return None
    width, height = photo.size
    shape = THUMBNAIL[0] / THUMBNAIL[1]
    inner = min(width, round(height * shape)), min(height, round(width / shape))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    box = (left, top, left + max(inner[0], 1), top + max(inner[1], 1))
    small = photo.resize(THUMBNAIL, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    data = io.BytesIO()
    small.save(data, "JPEG", quality=78, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"


def _write(template: str, path: Path, **values: Any) -> None:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("photosieve.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ratio"] = lambda x: "-" if x is None or np.isnan(x) else f"{float(x):.2f}"
    environment.filters["figure"] = shown_number
    environment.filters["score"] = "{:z.3f}".format  # z: no minus before zero
    environment.filters["percent"] = lambda x: 0 if np.isnan(x) else round(100 * float(x), 1)
    text = environment.get_template(template).render(**values)
    with report_file(path) as file:
        file.write(printable(text).encode("utf-8"))
