"""A sieve and photos for tests of indexes: many small photos, and an encoder that counts."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from PIL import Image

from photosieve.encoders.protocol import Float32Array, Item, Other
from photosieve.index import update
from photosieve.index.changes import PendingPhoto
from photosieve.index.index import Index
from photosieve.index.update import Embed, NotEmbedded
from photosieve.sieve import saved
from tests.conftest import COLORS, FakeEncoder

QUERIES = ("red", "blue", "garden", "word 3", "red -blue", "red + blue", "red|blue", "red|red")
"""The last is a word to a sieve, no label, and as near to one as can be."""


@dataclass(frozen=True)
class CountingEncoder(FakeEncoder):
    """The fake encoder; what it embeds is counted."""

    embedded: ClassVar[list[Any]] = []

    def stream(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Sequence[Image.Image] | Other],
        other: Callable[[Item, Other], None],
    ) -> Iterator[tuple[Item, Float32Array]]:
        for item, features in super().stream(items, load, other):
            self.embedded.append(item)
            yield item, features


def fake_by_name(name: str, folder: Path | None = None) -> FakeEncoder:
    assert name == "fake"
    assert folder is None
    return CountingEncoder()


def photo(path: Path, seed: int) -> None:
    """Write a small photo: one of three colors, or none of them, with noise of its own."""
    rng = np.random.default_rng(seed)
    color = (*COLORS.values(), (128, 128, 128))[seed % 4]
    noisy = (np.array(color) + rng.normal(0, 20, (12, 16, 3))).clip(0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noisy).save(path)


def photos(folder: Path, count: int, *, groups: int = 4) -> Path:
    """Write photos into groups, long ago."""
    for number in range(count):
        path = folder / f"house-{number % groups}" / f"photo-{number:04d}.png"
        photo(path, number)
        age(path)
    return folder


def age(path: Path, seconds: float = 1000) -> None:
    """Make a file look as if it was last changed a while ago."""
    then = path.stat().st_mtime_ns - int(seconds * 1e9)
    os.utime(path, ns=(then, then))


def rows(index: Index) -> list[tuple[str, str]]:
    """Path and content of all that an index holds, sorted."""
    snapshot = index.snapshot
    return sorted(
        (snapshot.path(row), snapshot.hashes[row].tobytes().hex()) for row in range(len(snapshot))
    )


def counts(index: Index, *folders: Path, **options: object) -> dict[str, int]:
    """What an update did, without what did not happen."""
    done = index.update(None, *folders, **options).to_dict()  # type: ignore[arg-type]
    assert done["photos"] == len(rows(index))
    names = ("added", "changed", "moved", "deleted")
    return {name: done[name] for name in names if done[name]}


def embed_after(action: Callable[[], object]) -> Callable[[Path, int], Embed]:
    """Return the argument `embed` of an update that does something before each photo is read."""

    def bind(folder: Path, max_pixels: int) -> Embed:
        assert folder.is_dir()
        assert max_pixels

        def embed(
            photos: Iterable[PendingPhoto],
            load: Callable[[PendingPhoto], Sequence[Image.Image] | NotEmbedded],
            other: Callable[[PendingPhoto, NotEmbedded], None],
        ) -> Iterator[tuple[PendingPhoto, Float32Array]]:
            def act_and_load(photo: PendingPhoto) -> Sequence[Image.Image] | NotEmbedded:
                action()
                return load(photo)

            return cast("Embed", CountingEncoder().stream)(photos, act_and_load, other)

        return embed

    return bind


if __name__ == "__main__":  # a process of its own, to be killed
    vars(saved)["load_encoder"] = fake_by_name

    address, sieve, folder, pause, job = sys.argv[1:]
    update.COMMIT_SECONDS = 0.02
    import lancedb  # noqa: F401  # not to be killed in the import

    print("ready", flush=True)  # noqa: T201
    if job == "compact":
        Index(address).compact()
    else:
        slowly = embed_after(lambda: time.sleep(float(pause)))
        Index(address).update(sieve, folder, embed=slowly)
