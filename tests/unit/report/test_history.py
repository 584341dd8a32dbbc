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
