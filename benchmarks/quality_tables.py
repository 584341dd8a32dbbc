"""The tables of the documentation that join several sets of `quality.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from machine import Figure
from quality_figures import BEFORE, BY_HAND, NOTEBOOK, PROBE, ZERO_SHOT
from quality_sets import LISTING_WORDS, SAMPLE_WORDS

METHODS = {
    ZERO_SHOT: "untrained, cut learned",
    BY_HAND: "the notebooks' training and cut",
    NOTEBOOK: "the notebooks' training, cut learned",
    BEFORE: "`balanced`, a head trained by gradients",
    PROBE: "**`probe`, the default**",
}

Results = Mapping[str, Any]
"""The figures in `results/quality.json`: tables `SET_labels` and `SET_words`, and others."""


def value(results: Results, table: str, method: str, column: str) -> str:
    """Return a figure without its interval; a `KeyError` if it is not measured."""
    return with_interval(results, table, method, column).partition(" [")[0]


def with_interval(results: Results, table: str, method: str, column: str) -> str:
    """Return a figure as it is."""
    return {str(row["method"]): str(row[column]) for row in results[table]}[method]


def by_method(
    results: Results, methods: Sequence[str], columns: Mapping[str, tuple[str, str]]
) -> list[dict[str, str]]:
    """Return a row for each method; `columns` gives table and column of each title."""
    return [
        {"method": METHODS[method]}
        | {title: value(results, table, method, name) for title, (table, name) in columns.items()}
        for method in methods
    ]


def labels(results: Results) -> Figure:
    """Labels of docs/limits.md."""
    columns = {
        f"{title}: {name}": (f"{photos}_labels", name)
        for photos, title in {"samples": "samples", "listings": "real"}.items()
        for name in ("mAP", "macro F1", "best F1")
    }
    return by_method(results, [*METHODS], columns)


def houses(results: Results) -> Figure:
    """Macro F1 after one, four and eight houses."""
    columns = {
        f"{count} house{'s' * (count > 1)}": (f"houses_{count}_labels", "macro F1")
        for count in (1, 4, 8)
    }
    return by_method(results, [*METHODS], columns)


def heads(results: Results) -> Figure:
    """Macro F1 of the default beside trained heads."""
    columns = {
        "sample listings": ("samples_labels", "macro F1"),
        "real listings": ("listings_labels", "macro F1"),
    }
    return by_method(results, (PROBE, NOTEBOOK, BEFORE, ZERO_SHOT), columns)


def words(results: Results) -> Figure:
    """Mean average precision and macro F1 of words that no label mentions."""
    sets = {
        "samples": f"sample listings, {len(SAMPLE_WORDS)} words",
        "listings": f"real listings, {len(LISTING_WORDS)} words",
        "clip_50": "CLIP vectors, 50 photos, 34 words",
    }
    return [
        {"words": title}
        | {
            METHODS[method]: " / ".join(
                value(results, f"{photos}_words", method, name) for name in ("mAP", "macro F1")
            )
            for method in (ZERO_SHOT, PROBE, BEFORE, NOTEBOOK)
        }
        for photos, title in sets.items()
    ]


def clip(results: Results) -> Figure:
    """Labels on CLIP vectors."""
    table = "clip_50_labels"
    return [
        {
            "method": METHODS[method],
            "mean average precision": value(results, table, method, "mAP"),
            "macro F1": with_interval(results, table, method, "macro F1"),
            "micro F1": value(results, table, method, "micro F1"),
        }
        for method in (ZERO_SHOT, NOTEBOOK, PROBE)
    ]


TABLES: Mapping[str, Callable[[Results], Figure]] = {
    "labels": labels, "houses": houses, "heads": heads, "words": words, "clip": clip
}  # fmt: skip

NUMBERS = {
    "clip_map": ("clip_50_labels", PROBE, "mAP"),
    "clip_map_notebook": ("clip_50_labels", NOTEBOOK, "mAP"),
    "samples_f1": ("samples_labels", PROBE, "macro F1"),
    "samples_f1_notebook": ("samples_labels", NOTEBOOK, "macro F1"),
    "samples_f1_by_hand": ("samples_labels", BY_HAND, "macro F1"),
    "words_samples_f1": ("samples_words", PROBE, "macro F1"),
    "words_samples_f1_untrained": ("samples_words", ZERO_SHOT, "macro F1"),
    "words_listings_f1": ("listings_words", PROBE, "macro F1"),
    "words_listings_f1_untrained": ("listings_words", ZERO_SHOT, "macro F1"),
    "words_listings_f1_notebook": ("listings_words", NOTEBOOK, "macro F1"),
    "far_listings": ("listings_words", PROBE, "far: none"),
}
"""Figures that stand in a sentence: table, method and column."""


def joined(results: Results) -> dict[str, Figure]:
    """Return the tables and numbers of all sets that are measured."""
    found: dict[str, Figure] = {}
    for name, make in TABLES.items():
        with suppress(KeyError):
            found[name] = make(results)
    for name, place in NUMBERS.items():
        with suppress(KeyError):
            found[name] = value(results, *place)
    return found
