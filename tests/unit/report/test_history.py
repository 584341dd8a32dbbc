"""The history of a training is written as figures and as a picture."""

import json
from pathlib import Path

from photosieve import Dataset, Sieve, write_training
from tests.conftest import QUICK, FakeEncoder


def test_a_training_as_figures_and_picture(listings: Path, tmp_path: Path) -> None:
    history = Sieve.fit(Dataset.load(listings / "train"), FakeEncoder(), recipe=QUICK).history
    write_training(history, tmp_path / "sieve")
    figures = json.loads((tmp_path / "sieve" / "training.json").read_text())
    assert figures["epochs"] == history.epochs
    assert figures["losses"] == list(history.losses)
    picture = (tmp_path / "sieve" / "training.svg").read_text()
    assert picture.startswith("<svg ")
    assert "loss on all photos" in picture


def test_the_choice_of_a_probe_is_drawn(listings: Path, tmp_path: Path) -> None:
    history = Sieve.fit(Dataset.load(listings / "train"), FakeEncoder()).history
    assert history.probe is not None
    assert len(history.tried) > 2
    write_training(history, tmp_path / "sieve")
    picture = (tmp_path / "sieve" / "training.svg").read_text()
    taken = f"text weight {history.probe.text_weight:g}, penalty {history.probe.penalty:g}"
    assert picture.count(", taken") == picture.count(taken + "<") == 1
