"""What is unknown of the labels stays so from the labels file to the figures of a sieve."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from photosieve.data.dataset import Dataset
from photosieve.encoders.protocol import Encoder
from photosieve.sieve.review import review
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import prepare
from photosieve.training.hidden import hidden_words
from photosieve.training.run import History, Run
from tests.conftest import QUICK
from tests.unit.sieve.test_old_sieves import FOLDER


@pytest.fixture(scope="module")
def folder(listings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The listings; in house-0 and house-8 nobody looked for anything blue."""
    root = Path(shutil.copytree(listings, tmp_path_factory.mktemp("exact") / "listings"))
    for house in ("train/house-0", "test/house-8"):
        (file,) = (root / house).glob("*_labels.json")
        exact = {
            name: {"yes": [x for x in own if x != "blue"], "no": list({"red", "garden"} - {*own})}
            for name, own in json.loads(file.read_text()).items()
        }
        file.write_text(json.dumps(exact))
    return root


@pytest.fixture(scope="module")
def sieve(folder: Path, encoder: Encoder) -> Sieve:
    return Sieve.fit(Dataset.load(folder / "train"), encoder, recipe=QUICK)


def test_it_is_kept_beside_the_scores_and_saved(
    sieve: Sieve, encoder: Encoder, tmp_path: Path
) -> None:
    evidence = sieve.evidence
    blue = list(sieve.labels).index("blue")
    expected = np.ones_like(evidence.relevant)
    expected[[group == "house-0" for group in evidence.groups], blue] = False
    assert_array_equal(evidence.known, expected)
    assert_array_equal(evidence.held_out().known, expected)
    sieve.save(tmp_path / "sieve")
    assert_array_equal(Sieve.load(tmp_path / "sieve", encoder).evidence.known, expected)
    unknown = (~expected).sum()
    card = (tmp_path / "sieve" / "README.md").read_text()
    assert f"left out of training and figures: {unknown} of {expected.size} pairs" in card


def test_in_a_sieve_of_version_0_1_everything_was_known(encoder: Encoder) -> None:
    old = Sieve.load(FOLDER, encoder).evidence
    assert old.known.all()
    assert old.known.shape == old.relevant.shape


def test_tuning_again_does_not_take_silence_for_no(
    sieve: Sieve, folder: Path, listings: Path
) -> None:
    dataset = Dataset.load(folder / "train")
    tuned = sieve.retune(dataset).tuning
    assert tuned == sieve.tuning
    assert sieve.retune(replace(dataset, noes=())).tuning.figures != tuned.figures
    partial = sieve.retune(Dataset.load(listings / "train", partial_labels=True)).evidence
    assert_array_equal(partial.known, partial.relevant | ~partial.relevant.any(1, keepdims=True))


def test_no_figure_on_other_buildings_includes_them(
    sieve: Sieve, folder: Path, listings: Path
) -> None:
    found = sieve.evaluate(folder / "test")
    complete = sieve.evaluate(listings / "test")
    house, blue = found.buildings.index("house-8"), found.labels.index("blue")
    assert found.unknown[house, blue] == found.unknown.sum() == found.groups.count("house-8")
    assert found.counts[house, blue].support == 0
    assert found.empty.asked == complete.empty.asked
    assert found.empty.answerable == complete.empty.answerable - 1
    assert_array_equal(found.kept, complete.kept)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_guarantee_does_not_take_silence_for_no(sieve: Sieve, folder: Path, part: str) -> None:
    dataset = Dataset.load(folder / part)
    sure, silent = (
        sieve.with_guarantee(data, "precision>=0.3", 0.5)
        for data in (dataset, replace(dataset, noes=()))
    )
    assert sure.guarantee != silent.guarantee
    assert sure.tuning.figures != silent.tuning.figures


def test_two_sieves_are_compared_on_known_pairs(sieve: Sieve, folder: Path) -> None:
    data = prepare(sieve.encoder, Dataset.load(folder / "test"), labels=tuple(sieve.labels))
    compared = review(sieve, sieve, data, data)
    assert_array_equal(compared.after.known, data.known)


def test_hidden_labels_teach_words_by_known_pairs(
    folder: Path, listings: Path, encoder: Encoder
) -> None:
    house = np.arange(6)  # held out three times, so that each label is hidden once
    exact, complete = (
        hidden_words(
            prepare(encoder, Dataset.load(root / "train"), labels=["red", "blue", "garden"]),
            encoder.head, Run(QUICK), [house] * 3, History(2),
        )
        for root in (folder, listings)
    )  # fmt: skip
    assert len(complete.relevant) - len(exact.relevant) == 6
    assert set(exact.normal) < set(complete.normal)
    assert exact.general.sum() == complete.general.sum()
