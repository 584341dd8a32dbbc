"""Towers: the converted form agrees with torch, and a broken cache costs time, not results."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from photosieve.encoders.runtime import Tower, TowerSource, load_tower
from photosieve.storage import CACHE

Batches = list[tuple[NDArray[np.float32]]]


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(4, 3)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(rows).tanh()
        return result


def counted() -> tuple[Callable[[], torch.nn.Module], list[Small]]:
    """How to build the module, and all that were built."""
    built: list[Small] = []

    def build() -> torch.nn.Module:
        built.append(Small())
        return built[-1].eval()

    return build, built


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def batches() -> Batches:
    """More than there are requests, of sizes that vary."""
    rng = np.random.default_rng(0)
    return [(rng.normal(size=(1 + i % 3, 4)).astype(np.float32),) for i in range(40)]


def load_small(fingerprint: str = "a", version: int = 1) -> tuple[Tower, int]:
    """The tower, and how many modules had to be built for it."""
    build, built = counted()
    example = (np.zeros((1, 4), np.float32),)
    source = TowerSource("small", fingerprint, version, build, example, ((-1, 4),))
    return load_tower(source), len(built)


def run(batches: Batches) -> NDArray[np.float32]:
    tower, _ = load_small()
    return np.concatenate(list(tower(batches)))


def plain(batches: Batches) -> NDArray[np.float32]:
    with torch.no_grad():
        rows = [Small()(torch.from_numpy(batch)).numpy() for (batch,) in batches]
    return np.concatenate(rows)


def test_outputs_are_those_of_torch_in_order(batches: Batches) -> None:
    np.testing.assert_allclose(run(batches), plain(batches), atol=1e-5)
    tower, _ = load_small()
    assert list(tower([])) == []


def test_the_converted_form_is_kept(cache: Path, batches: Batches) -> None:
    assert [load_small("a")[1], load_small("a")[1], load_small("b")[1]] == [1, 0, 1]
    assert [load_small("a", version=2)[1], load_small("a", version=1)[1]] == [1, 0]
    np.testing.assert_allclose(run(batches), plain(batches), atol=1e-5)
    towers = list(cache.glob("small-*"))
    assert [sorted(path.name for path in tower.iterdir()) for tower in towers] == 3 * [
        ["checksums.json", "compiled", "tower.bin", "tower.xml"]
    ]
    assert {path.name for path in cache.iterdir()} == {path.name for path in towers}


@pytest.mark.long
@pytest.mark.parametrize("suffix", [".xml", ".bin"])
@pytest.mark.parametrize("damage", ["empty", "cut short", "gone"])
def test_a_damaged_cache_is_made_again(
    cache: Path, batches: Batches, suffix: str, damage: str
) -> None:
    load_small()
    (file,) = cache.glob(f"small-*/*{suffix}")
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: {"empty": 0, "cut short": 20}[damage]])
    tower, built = load_small()
    assert built == 1
    np.testing.assert_allclose(np.concatenate(list(tower(batches))), plain(batches), atol=1e-5)
    assert load_small()[1] == 0


@pytest.mark.long
@pytest.mark.parametrize("name", ["tower.xml", "tower.bin", "checksums.json", "compiled/*.blob"])
def test_no_changed_byte_in_the_cache_changes_an_output(
    cache: Path, batches: Batches, name: str
) -> None:
    """As a failing disk does it: size and time of the file stay."""
    expected = run(batches)
    for part in range(12):
        (file,) = cache.glob(f"small-*/{name}")
        content, times = bytearray(file.read_bytes()), file.stat()
        content[len(content) * part // 12] ^= 0x10
        file.chmod(0o600)
        file.write_bytes(content)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert np.array_equal(run(batches), expected)
        assert load_small()[1] == 0  # it was made again, and kept


def test_a_cache_that_cannot_be_written_costs_only_time(cache: Path, batches: Batches) -> None:
    cache.write_text("a file where the folder should be")
    np.testing.assert_allclose(run(batches), plain(batches), atol=1e-5)


def test_without_openvino_torch_does_it(
    cache: Path, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    np.testing.assert_allclose(run(batches), plain(batches), atol=1e-6)
    assert not cache.exists()


def test_inputs_are_taken_as_they_are_needed(batches: Batches) -> None:
    """A million photos must not lie in memory because the tower is slower than the disk."""
    taken: list[int] = []

    def stream() -> Iterator[tuple[NDArray[np.float32]]]:
        for number, batch in enumerate(batches):
            taken.append(number)
            yield batch

    tower, _ = load_small()
    next(tower(stream()))
    assert len(taken) < len(batches)
