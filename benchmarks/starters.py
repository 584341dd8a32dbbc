"""How much each starter costs and gives: the table in docs/models.md. About three minutes.

    python benchmarks/starters.py [--listings FOLDER]

The listings are real ones, a folder each with a labels file; what is measured on them is left out
where the folder is absent. Trained on the samples, a starter is tested on eight other buildings;
trained on the listings, on those that were held out of training.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

from machine import by_row, table, timed, write
from photosieve.data.dataset import Dataset
from photosieve.decision import metrics
from photosieve.encoders import STARTERS
from photosieve.encoders.embedding import embed_photos, embed_texts
from photosieve.encoders.starter import Starter
from photosieve.sieve.sieve import Sieve

ROOT = Path(__file__).resolve().parents[1]
TRAIN, TEST = ROOT / "samples" / "train", ROOT / "samples" / "test"
LISTINGS = ROOT.parent / "shared" / "data" / "listings"
ROUNDS = 3


def main() -> None:
    """Print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--listings", type=Path, default=LISTINGS)
    listings = parser.parse_args().listings
    columns = [costs(Starter(name)) | samples(Starter(name)) for name in STARTERS]
    if listings.is_dir():
        for name, column in zip(STARTERS, columns, strict=True):
            column |= real_listings(Starter(name), Dataset.load(listings))
    else:
        print(f"listings left out: there is no folder {listings}\n")
    rows = by_row({f"`{name}`": column for name, column in zip(STARTERS, columns, strict=True)})
    print(table(rows))
    write("starters", {"starters": rows})


def costs(encoder: Starter) -> dict[str, str]:
    """Measure time, storage and size, photos being taken from files."""
    photos = sorted((ROOT / "samples").rglob("*.jpg"))
    embed_photos(encoder, photos[:2])  # converts the towers on a machine that has not yet
    rounds = [timed(lambda: embed_photos(encoder, photos)) for _ in range(ROUNDS)]
    busy, wall = (median(getattr(one, kind) for one in rounds) for kind in ("cpu", "wall"))
    sides = ", ".join(f"Lite{network.number} {network.side} px" for network in encoder.networks)
    weights = sum(network.file.stat().st_size for network in encoder.networks)
    return {
        "image towers": sides,
        "CPU ms a photo": f"{1000 * busy / len(photos):.0f}",
        "photos a second, all cores": f"{len(photos) / wall:.0f}",
        "features in an index, kB a photo": f"{encoder.head.photo_width * 4 / 1000:.1f}",
        "weights of the image towers, MB": f"{weights / 1e6:.0f}",
    }


def samples(encoder: Starter) -> dict[str, str]:
    """Measure quality on the sample listings."""
    found = Sieve.fit(Dataset.load(TRAIN), encoder).evaluate(TEST)
    return {
        "sample listings, mAP untrained": f"{untrained(encoder, Dataset.load(TEST)):.3f}",
        "sample listings, mAP trained": f"{found.mean_average_precision:.3f}",
        "sample listings, macro F1 trained": f"{found.macro['f1']:.3f}",
    }


def real_listings(encoder: Starter, dataset: Dataset) -> dict[str, str]:
    """Measure quality on real listings."""
    found = Sieve.fit(dataset, encoder).tuning.figures
    return {
        "real listings, mAP untrained": f"{untrained(encoder, dataset):.3f}",
        "real listings, mAP trained": f"{found['mean_average_precision']:.3f}",
        "real listings, macro F1 trained": f"{found['f1']:.3f}",
    }


def untrained(encoder: Starter, dataset: Dataset) -> float:
    """Return the mean average precision of the labels, ranked by the pretrained encoder."""
    labels = dataset.vocabulary
    scores = embed_photos(encoder, dataset.photos).features @ embed_texts(encoder, labels).T
    shown, known = dataset.matrix(labels), dataset.known(labels)
    return metrics.mean_average_precision(scores.astype(float), shown, known)


if __name__ == "__main__":
    main()
