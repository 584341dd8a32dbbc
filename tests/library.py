"""A sieve and photos for tests of indexes: many small photos, and an encoder that counts."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from photosieve.encoders.protocol import Float32Array, Item, Other
from photosieve.index.index import Index
from photosieve.sieve import saved as storage
from tests.conftest import COLORS, FakeEncoder

COLOR_NAMES = tuple(COLORS)


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


if __name__ == "__main__":  # a process of its own, to be killed
    vars(storage)["load_encoder"] = fake_by_name
    from photosieve.index import update as update_module

    address, sieve, folder, pause, job = sys.argv[1:]
    update_module.COMMIT_SECONDS = 0.02
    real_read = update_module.Run._read

    def slow(self: Any, entry: Any) -> Any:
        import time

        time.sleep(float(pause))
        return real_read(self, entry)

    update_module.Run._read = slow  # type: ignore[method-assign]
    import lancedb  # noqa: F401  # not to be killed in the import

    print("ready", flush=True)  # noqa: T201
    if job == "compact":
        Index(address).compact()
    else:
        Index(address).update(sieve, folder)
