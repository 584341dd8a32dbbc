"""What 8-bit integers change in the answers of the starters: a table of docs/models.md.

    OMP_NUM_THREADS=1 python benchmarks/formats.py [--seeds 2]

Takes about two minutes, and more where the photos are not embedded yet. The sets and figures are
those of `proof.py`, for the default recipe; sets that are absent are left out. Each starter is
trained and tested in float32 and in integers.
"""

from __future__ import annotations

import argparse
import sys

import machine
from photosieve.encoders import FLOAT32, STARTERS, load_encoder
from proof import F1, HOUSES, MEAN_AP, NONE, SETS, photo_set
from quality_figures import PROBE, Answers, figures, measure
from quality_sets import DATA

SHOWN = {
    ("labels", MEAN_AP): "mAP",
    ("labels", F1): "macro F1",
    ("words", F1): "other words, macro F1",
    ("far", NONE): 'far words, "none"',
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=2)
    seeds = parser.parse_args().seeds
    rows: list[dict[str, float | str]] = []
    for name, title in SETS.items():
        folder = DATA / name
        if name != "samples" and not folder.is_dir():
            print(f"{name} left out: there is no folder {folder}", file=sys.stderr)
            continue
        columns = {}
        for encoder in (name + ending for name in STARTERS for ending in (FLOAT32, "")):
            found = measure(photo_set(name, folder, load_encoder(encoder), seeds), [PROBE])[PROBE]
            columns[f"`{encoder}`"] = shown(found)
        trained = f", trained on {HOUSES}" if name == "houses" else ""
        for number, label in enumerate(SHOWN.values()):
            own = {encoder: cells[number] for encoder, cells in columns.items()}
            rows.append({"": f"{title}{trained}: {label}", **own})
            print(rows[-1], flush=True)
    machine.write("formats", {"answers": rows})


def shown(answers: Answers) -> list[str]:
    """Return the figures with their intervals over buildings, as text."""
    found = {of: figures(getattr(answers, of), calibrated=False) for of, _ in SHOWN}
    return [str(found[of][name].interval) for of, name in SHOWN]


if __name__ == "__main__":
    main()
