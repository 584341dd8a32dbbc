"""Other models from the command line: a small CLIP, trained, saved, resumed and compared."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import transformers
from safetensors.numpy import load_file

from tests.conftest import write_building
from tests.e2e.conftest import Run
from tests.zoo import save_model


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, three buildings to train on and one to test on."""
    folder = tmp_path_factory.mktemp("models")
    save_model("clip", folder / "clip")
    for number in range(3):
        write_building(folder / "train" / f"house-{number}", "train_labels.json", seed=number)
    write_building(folder / "test" / "house-8", "test_labels.json", seed=8)
    return folder


def arguments(out: str, *more: str) -> list[str]:
    return ["train", "train", "--out", out, "--encoder", "clip", *more]


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors")


def test_blocks_are_trained_and_the_folder_is_a_model(run: Run, place: Path) -> None:
    more = ("--recipe", "clip-freeze-1", "--set", "epochs=3", "--set", "lr=1e-3", "--json")
    made = run(*arguments("blocks", *more), cwd=place)
    assert made.status == 0, made.err
    assert made.json["epochs"] == 3
    assert not (place / "blocks.training").exists()
    loaded = transformers.CLIPModel.from_pretrained(place / "blocks")
    before = transformers.CLIPModel.from_pretrained(place / "clip")
    moved = {
        name
        for (name, new), old in zip(
            loaded.state_dict().items(), before.state_dict().values(), strict=True
        )
        if not new.equal(old)
    }
    assert "vision_model.encoder.layers.1.mlp.fc1.weight" in moved
    assert "visual_projection.weight" in moved
    assert not [name for name in moved if ".layers.0." in name or "embeddings" in name]
    searched = run("search", "red", "test/house-8", "--sieve", "blocks", cwd=place)
    assert searched.status == 0, searched.err
    judged = run("evaluate", "blocks", "test", "--json", cwd=place)
    assert judged.status == 0, judged.err
    assert judged.json["photos"] == 6


def test_one_part_held_out_is_said_to_be_rough(run: Run, place: Path) -> None:
    more = ("--recipe", "last-2", "--set", "epochs=2", "--folds", "1")
    made = run(*arguments("rough", *more), cwd=place)
    assert made.status == 0, made.err
    assert "rough figures: only 1 of 3 buildings" in made.out
    assert "best on held-out photos: epoch" in made.out
    assert {"training.json", "training.svg"} <= {p.name for p in (place / "rough").iterdir()}


def test_a_killed_training_goes_on(run: Run, place: Path) -> None:
    more = ("--recipe", "clip-8", "--set", "epochs=12", "--set", "lr=1e-3", "--folds", "1")
    assert run(*arguments("whole", *more), cwd=place).status == 0
    command = [sys.executable, "-m", "photosieve", *arguments("killed", *more)]
    kept = place / "killed.training"
    with subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not list(kept.glob("fold-*.checkpoint")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert list(kept.glob("fold-*.checkpoint"))
    assert not (place / "killed").exists()
    other = run(*arguments("killed", *more, "--seed", "7", "--resume"), cwd=place)
    other.assert_one_sentence(1, "other photos, labels or settings", "without --resume")
    resumed = run(*arguments("killed", *more, "--resume"), cwd=place)
    assert resumed.status == 0, resumed.err
    assert not kept.exists()
    expected, found = weights(place / "whole"), weights(place / "killed")
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def test_recipes_are_compared_on_a_model(run: Run, place: Path) -> None:
    names = "projection,clip-8"
    more = ("--encoder", "clip", "--recipes", names, "--seeds", "1", "--excel", "board.xlsx")
    found = run("compare", "train", "test", *more, "--json", cwd=place)
    assert found.status == 0, found.err
    assert {row["name"] for row in found.json["rows"]} == {"projection", "clip-8"}
    assert (place / "board.xlsx").stat().st_size > 1000


def test_the_starter_has_no_blocks(run: Run, place: Path) -> None:
    found = run("train", "train", "--out", "never", "--recipe", "clip-8", cwd=place)
    found.assert_one_sentence(1, "starter", "another encoder")
    assert not (place / "never").exists()
