"""How long a person waits after pressing Learn, in the process that the server keeps warm.

    python benchmarks/learn_button.py [PHOTOS ...]

PHOTOS are folders with labels files; by default the sample listings. They are indexed with the
pretrained starter, as the page does it with photos that nobody has labeled yet. Then 30 and 300 of
them are labeled (or as many as there are), and a sieve is learned and compared: (1) the time of a
cold process until it is ready, which passes while the person labels; (2) the time from pressing
Learn to the figures, the first time and once again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from machine import clock, write
from photosieve.data.dataset import Dataset
from photosieve.data.photos import DEFAULT_MAX_PIXELS
from photosieve.encoders import load_encoder
from photosieve.index.index import Index
from photosieve.server import worker
from photosieve.server.library import Library
from photosieve.sieve.untrained import untrained

ROOT = Path(__file__).resolve().parents[1]
COUNTS = 30, 300


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="*", default=[ROOT / "samples" / "train"])
    options = parser.parse_args()
    dataset = Dataset.load(*options.photos)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for number, photo in enumerate(dataset.photos):
            building = place / "photos" / dataset.groups[number].replace("/", "-")
            building.mkdir(parents=True, exist_ok=True)
            shutil.copy(photo, building / photo.name)
        untrained(dataset.photos, load_encoder("starter")).save(place / "sieve")
        Index(place / "index").update(
            place / "sieve", place / "photos", max_pixels=DEFAULT_MAX_PIXELS
        )
        library = Library(place / "sieve", str(place / "index"))
        with clock() as ready:
            worker.warm(library)
        print(f"until the process is ready: {ready}")
        rows = [measured(library, dataset, count, place) for count in COUNTS]
    write("learn_button", {"until the process is ready, CPU s": ready.cpu, "learning": rows})


def measured(library: Library, dataset: Dataset, count: int, place: Path) -> dict[str, str]:
    """Label so many photos, taken evenly from all buildings, and learn twice."""
    count = min(count, len(dataset))
    chosen = dataset.select([row * len(dataset) // count for row in range(count)])
    labels: dict[Path, dict[str, list[str]]] = {}
    for photo, own, group in zip(chosen.photos, chosen.labels, chosen.groups, strict=True):
        building = place / "photos" / group.replace("/", "-")
        labels.setdefault(building, {})[photo.name] = list(own)
    for building, listed in labels.items():
        (building / "labels.json").write_text(json.dumps(listed))
    fresh = Library(library.sieve_folder, library.address)
    times = []
    for _ in range(2):
        with clock() as time:
            result = worker.learn(fresh, place / "new", lambda _: None)
        times.append(time)
        print(f"{count} photos, {len(result['labels'])} labels: {time}")
    return {
        "photos": str(count),
        "labels": str(len(chosen.vocabulary)),
        "first time, CPU s": f"{times[0].cpu:.1f}",
        "again, CPU s": f"{times[1].cpu:.1f}",
        "s on the clock": f"{times[1].wall:.1f}",
    }


if __name__ == "__main__":
    main()
