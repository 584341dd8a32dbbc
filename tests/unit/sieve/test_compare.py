"""The leaderboard: rows, seeds, what is left out, and that all are tested on the same photos."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photosieve.data.dataset import Dataset
from photosieve.decision.cut import NOTEBOOK_CUT
from photosieve.encoders.blocks import opening
from photosieve.encoders.protocol import Encoder, Float32Array, Head, Item, Other
from photosieve.errors import EncoderError, UsageError
from photosieve.progress import Progress
from photosieve.sieve.compare import compare, compare_prepared
from photosieve.training.features import Prepared
from photosieve.training.recipe import Recipe
from photosieve.training.recipes import RECIPES
from tests.conftest import FakeEncoder


def noted() -> tuple[list[tuple[int, int]], Progress]:
    """A list, and a progress that notes in it how far the comparison is."""
    told: list[tuple[int, int]] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "comparing recipes":
            told.append((done, total))

    return told, progress


def brief(*names: str) -> list[Recipe]:
    """Recipes of three epochs, for tests that do not look at what is learned."""
    return [replace(RECIPES[name], epochs=min(RECIPES[name].epochs, 3)) for name in names]


@pytest.mark.long
def test_rows_are_the_recipes_and_the_cut_by_hand(
    encoder: Encoder, prepared: Prepared, test_data: Prepared
) -> None:
    told, progress = noted()
    recipes = brief("zero-shot", "notebook", "balanced")
    found = compare_prepared(encoder, prepared, test_data, recipes, seeds=2, progress=progress)
    names = {"zero-shot", "notebook, cut by hand", "notebook", "balanced"}
    assert {row.name for row in found.rows} == found.evaluations.keys() == names
    assert told == [(done, 6) for done in range(7)]
    for evaluations in found.evaluations.values():
        assert len(evaluations) == 2
        for evaluation in evaluations:
            assert evaluation.photos == test_data.dataset.photos
            np.testing.assert_array_equal(evaluation.relevant, test_data.targets)
    by_hand, learned = found.evaluations["notebook, cut by hand"], found.evaluations["notebook"]
    assert by_hand[0].cut == NOTEBOOK_CUT
    np.testing.assert_array_equal(by_hand[0].scores, learned[0].scores)  # one training, two cuts


@pytest.mark.long
def test_rows_are_sorted_and_carry_what_the_reader_needs(
    encoder: Encoder, prepared: Prepared, test_data: Prepared
) -> None:
    found = compare_prepared(encoder, prepared, test_data, ["zero-shot", "balanced"], seeds=1)
    balanced, zero_shot = found.rows  # best first: a word must be learned here
    assert (balanced.name, zero_shot.name) == ("balanced", "zero-shot")
    assert balanced.mean_average_precision.value > zero_shot.mean_average_precision.value
    assert balanced.macro_f1.value > zero_shot.macro_f1.value
    assert balanced.seed_deviation == 0.0
    assert zero_shot.caveat == RECIPES["zero-shot"].caveat != ""
    assert tuple(balanced.label_f1) == prepared.labels
    assert np.mean(list(balanced.label_f1.values())) == pytest.approx(balanced.macro_f1.value)


def test_an_unknown_recipe_stops_before_any_training(encoder: Encoder, listings: Path) -> None:
    dataset = Dataset.load(listings / "train")
    with pytest.raises(UsageError, match='no recipe called "best"'):
        compare(encoder, dataset, dataset, ["balanced", "best"], seeds=1)


@dataclass(frozen=True)
class Openable(FakeEncoder):
    """A fake encoder with two blocks that keeps count of its inputs."""

    asked: list[tuple[str, int, bool]] = field(default_factory=list)

    def stream(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Sequence[Image.Image] | Other],
        other: Callable[[Item, Other], None],
    ) -> Iterator[tuple[Item, Float32Array]]:
        found = list(super().stream(items, load, other))
        self.asked.append((self.name, len(found), len(found[0][1]) > 1))
        return iter(found)

    def with_head(self, head: Head) -> "Openable":
        return replace(self, head=head)


@pytest.fixture(autouse=True)
def _openable(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_blocks(
        encoder: Openable, blocks: int, lora_rank: int, *, trains_text: bool
    ) -> Openable:
        if blocks > 2 or lora_rank:
            raise EncoderError("this model has 2 blocks, and peft is not there")
        return Openable(name=f"{blocks} open, {trains_text}", asked=encoder.asked)

    monkeypatch.setattr(opening, "open_blocks", open_blocks)


@pytest.mark.long
def test_photos_are_prepared_once_for_all_recipes_that_open_the_same(listings: Path) -> None:
    encoder = Openable()
    train, test = Dataset.load(listings / "train"), Dataset.load(listings / "test")
    told, progress = noted()
    names = ["clip-8", "zero-shot", "clip-2", "notebook", "clip-freeze-2", "last-2"]
    found = compare(encoder, train, test, brief(*names), seeds=1, progress=progress)
    assert encoder.asked == [
        (model, len(part), False)
        for model in ("-1 open, True", "fake", "2 open, True", "2 open, False")
        for part in (train, test)
    ]
    assert list(dict.fromkeys(told)) == [(done, 6) for done in range(7)]
    assert found.evaluations.keys() == {*names, "notebook, cut by hand"}
    assert not found.left_out


def test_more_views_are_made_where_a_recipe_trains_on_them(listings: Path) -> None:
    encoder = Openable()
    train, test = Dataset.load(listings / "train"), Dataset.load(listings / "test")
    compare(encoder, train, test, brief("zero-shot", "balanced"), seeds=1)
    assert encoder.asked == [("fake", len(train), True), ("fake", len(test), False)]


@pytest.mark.long
def test_all_is_what_the_encoder_can_run(listings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = ("zero-shot", "lora", "clip-freeze-1", "clip-freeze-10")
    monkeypatch.setattr("photosieve.sieve.compare.RECIPES", {name: RECIPES[name] for name in few})
    train, test = Dataset.load(listings / "train"), Dataset.load(listings / "test")
    found = compare(Openable(), train, test, None, seeds=1)
    assert found.evaluations.keys() == {"zero-shot", "clip-freeze-1"}
    assert found.left_out.keys() == {"lora", "clip-freeze-10"}
    assert set(found.left_out.values()) == {"this model has 2 blocks, and peft is not there"}
    with pytest.raises(EncoderError, match="2 blocks"):
        compare(Openable(), train, test, ["zero-shot", "clip-freeze-10"], seeds=1)


def test_unreadable_photos_are_named(listings: Path, encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("no photo")
    (tmp_path / "labels.json").write_text('{"broken.png": ["red"]}')
    train = Dataset.load(listings / "train")
    test = Dataset.load(tmp_path, listings / "test" / "house-8")
    found = compare(encoder, train, test, ["zero-shot"], seeds=1)
    assert [skip.path.name for skip in found.skipped] == ["broken.png"]
