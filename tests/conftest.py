"""A small world for tests: an encoder without weights, and listings of colored photos."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from PIL import Image

from photosieve.data.dataset import Dataset
from photosieve.encoders import feed
from photosieve.encoders.head import LinearHead
from photosieve.encoders.protocol import Encoder, Float32Array, Head, Item, Other
from photosieve.storage import CACHE
from photosieve.training.features import Prepared, prepare
from photosieve.training.recipes import get_recipe

if TYPE_CHECKING:  # it brings torch, which most tests do without
    from tests.zoo import Zoo

# The heads trained here are tiny: a second thread saves nothing, and waits long for a busy core.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What is slow on a busy machine is not wrong.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

COLORS = {"red": (230, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 230)}
GRAY = (128, 128, 128)

QUICK = get_recipe("balanced", {"epochs": "30", "lr": "0.1"})
"""What is enough for the colored photos below."""

CELLS = 4
WIDTH = 3 * CELLS**2


def identity_head() -> LinearHead:
    middle, same = np.full(WIDTH, 0.5, np.float32), np.eye(WIDTH, dtype=np.float32)
    return LinearHead(photo_mean=middle, photo=same, text_mean=middle, text=same)


@dataclass(frozen=True)
class FakeEncoder:
    """A photo is the mean colors of a 4 x 4 grid; a text is its color, or noise from its hash."""

    head: Head = field(default_factory=identity_head)
    name: str = "fake"
    shortest_side: int | None = None

    @property
    def fingerprint(self) -> str:
        return f"fake-{self.head.fingerprint()}"

    @property
    def trunk_fingerprint(self) -> str:
        return "fake"

    def stream(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Sequence[Image.Image] | Other],
        other: Callable[[Item, Other], None],
    ) -> Iterator[tuple[Item, Float32Array]]:
        return feed.stream(iter_grids, grid, items, load, other)

    def text_features(self, texts: Sequence[str]) -> Float32Array:
        rows = [
            np.tile(np.array(COLORS[text]) / 255, CELLS**2) if text in COLORS else _noise(text)
            for text in texts
        ]
        return np.array(rows, np.float32).reshape(len(texts), WIDTH)

    def with_head(self, head: Head) -> "FakeEncoder":
        return replace(self, head=head)


def grid(photo: Image.Image) -> tuple[Float32Array]:
    cells = np.asarray(photo.resize((CELLS, CELLS), Image.Resampling.BOX), np.float32)
    return (cells.reshape(1, WIDTH) / np.float32(255),)


def iter_grids(inputs: Iterable[Sequence[NDArray[Any]]]) -> Iterator[Float32Array]:
    for (cells,) in inputs:
        yield cells


def _noise(text: str) -> Float32Array:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    return np.random.default_rng(seed).uniform(0, 1, WIDTH).astype(np.float32)


# Left and right half of each photo, and its labels. Nothing in its pixels says "garden": the
# encoder has to learn that it means green.
_SHOTS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int], list[str]]] = {
    "red.png": (COLORS["red"], COLORS["red"], ["red"]),
    "red-too.png": (COLORS["red"], COLORS["red"], ["red"]),
    "blue.png": (COLORS["blue"], COLORS["blue"], ["blue"]),
    "green.png": (COLORS["green"], COLORS["green"], ["garden"]),
    "both.png": (COLORS["red"], COLORS["blue"], ["red", "blue"]),
    "gray.png": (GRAY, GRAY, []),
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
    """The training photos as features, with few general words to keep trainings short."""
    words = encoder.text_features([f"word {number}" for number in range(30)])
    return replace(prepare(encoder, Dataset.load(listings / "train")), words=words)


@pytest.fixture(scope="session")
def test_data(listings: Path, encoder: Encoder, prepared: Prepared) -> Prepared:
    """The test photos as features, with the labels of the training photos."""
    return prepare(encoder, Dataset.load(listings / "test"), labels=prepared.labels)


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
        patch.setenv(CACHE, str(towers_folder))
        yield
