"""A small world for tests: an encoder without weights, and listings of coloured photos."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photosieve.encoders import Encoder, Floats, Head, Item, Other, PhotoFeatures, feed, runtime
from photosieve.encoders.linear import LinearHead
from photosieve.labels import Dataset
from photosieve.photos import DEFAULT_MAX_PIXELS
from photosieve.progress import Progress, silent
from photosieve.training.recipes import get_recipe
from photosieve.training.trunk import Prepared, prepare

if TYPE_CHECKING:  # it brings torch, which most tests do without
    from tests.zoo import Zoo

# The heads trained here are tiny: a second thread saves nothing, and waits long for a busy core.
os.environ.setdefault("OMP_NUM_THREADS", "1")

COLOURS = {"red": (230, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 230)}
GREY = (128, 128, 128)

QUICK = get_recipe("balanced", {"epochs": "30", "lr": "5e-3"})
"""What is enough for the coloured photos below."""

CELLS = 4
WIDTH = 3 * CELLS**2


def identity_head() -> LinearHead:
    middle, same = np.full(WIDTH, 0.5, np.float32), np.eye(WIDTH, dtype=np.float32)
    return LinearHead(photo_mean=middle, photo=same, text_mean=middle, text=same)


@dataclass(frozen=True)
class FakeEncoder:
    """A photo is the mean colours of a 4 x 4 grid; a text is its colour, or noise from its hash."""

    head: Head = field(default_factory=identity_head)
    name: str = "fake"
    licence: str = ""
    shortest_side: int | None = None

    @property
    def fingerprint(self) -> str:
        return f"fake-{self.head.fingerprint()}"

    @property
    def trunk_fingerprint(self) -> str:
        return "fake"

    def photo_features(
        self,
        paths: Sequence[Path],
        *,
        more_views: bool = False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        progress: Progress = silent,
    ) -> PhotoFeatures:
        return feed.photo_features(
            iter_grids,
            grid,
            paths,
            width=WIDTH,
            more=more_views,
            max_pixels=max_pixels,
            progress=progress,
        )

    def stream(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Sequence[Image.Image] | Other],
        other: Callable[[Item, Other], None],
    ) -> Iterator[tuple[Item, Floats]]:
        return feed.stream(iter_grids, grid, items, load, other)

    def text_features(self, texts: Sequence[str]) -> Floats:
        rows = [
            np.tile(np.array(COLOURS[text]) / 255, CELLS**2) if text in COLOURS else _noise(text)
            for text in texts
        ]
        return np.array(rows, np.float32).reshape(len(texts), WIDTH)

    def with_head(self, head: Head) -> "FakeEncoder":
        return replace(self, head=head)

    def opened(self, blocks: int, lora_rank: int, *, trains_text: bool) -> "FakeEncoder":
        assert (blocks, lora_rank) == (0, 0)
        assert isinstance(trains_text, bool)
        return self

    def export(self, folder: Path) -> "FakeEncoder":
        assert folder.is_dir()
        return self

    def general_words(self) -> tuple[str, ...]:
        return tuple(f"word {number}" for number in range(30))


def grid(photo: Image.Image) -> tuple[Floats]:
    cells = np.asarray(photo.resize((CELLS, CELLS), Image.Resampling.BOX), np.float32)
    return (cells.reshape(1, WIDTH) / np.float32(255),)


def iter_grids(inputs: Iterable[Sequence[NDArray[Any]]]) -> Iterator[Floats]:
    for (cells,) in inputs:
        yield cells


def _noise(text: str) -> Floats:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    return np.random.default_rng(seed).uniform(0, 1, WIDTH).astype(np.float32)


# Left and right half of each photo, and its labels. Nothing in its pixels says "garden": the
# encoder has to learn that it means green.
_SHOTS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int], list[str]]] = {
    "red.png": (COLOURS["red"], COLOURS["red"], ["red"]),
    "red-too.png": (COLOURS["red"], COLOURS["red"], ["red"]),
    "blue.png": (COLOURS["blue"], COLOURS["blue"], ["blue"]),
    "green.png": (COLOURS["green"], COLOURS["green"], ["garden"]),
    "both.png": (COLOURS["red"], COLOURS["blue"], ["red", "blue"]),
    "grey.png": (GREY, GREY, []),
}


def write_building(folder: Path, file: str, seed: int, without: str = "") -> None:
    """Photos of one building with their labels; `without` names a label that nothing there has."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    shots = {name: shot for name, shot in _SHOTS.items() if without not in shot[2]}
    for name, (left, right, _) in shots.items():
        pixels = np.repeat(np.array([[left, right]]), 16, axis=1).repeat(32, axis=0)
        noisy = (pixels + rng.normal(0, 25, pixels.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / name)
    (folder / file).write_text(json.dumps({name: shot[2] for name, shot in shots.items()}))


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return FakeEncoder()


@pytest.fixture(scope="session")
def listings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Buildings in train/ (four) and test/ (two, the second without anything blue); read only."""
    root = tmp_path_factory.mktemp("listings")
    for number in range(4):
        write_building(root / "train" / f"house-{number}", "train_labels.json", seed=number)
    write_building(root / "test" / "house-8", "test_labels.json", seed=8)
    write_building(root / "test" / "house-9", "test_labels.json", seed=9, without="blue")
    return root


@pytest.fixture(scope="session")
def prepared(listings: Path, encoder: Encoder) -> Prepared:
    """The training photos as features."""
    return prepare(encoder, Dataset.load(listings / "train"))


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> "Zoo":
    """Small models of each family, and photos; read only."""
    from tests.zoo import build

    return build(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="session")
def towers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("towers")


@pytest.fixture(scope="module")
def tower_cache(towers_folder: Path) -> Iterator[None]:
    """Converted towers are kept in a folder of this run, not in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "cache_folder", lambda: towers_folder)
        yield
