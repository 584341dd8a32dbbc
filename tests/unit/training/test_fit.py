"""Training learns what it is shown, forgets little, and never ends in nonsense."""

import math
import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from photosieve.data.dataset import Dataset
from photosieve.encoders.head import unit
from photosieve.encoders.protocol import Encoder, Head, Student
from photosieve.errors import TrainingError
from photosieve.training.batches import shuffled
from photosieve.training.checkpoints import Checkpoints
from photosieve.training.features import Prepared, prepare
from photosieve.training.fit import fit
from photosieve.training.folds import out_of_fold
from photosieve.training.recipe import Recipe
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run
from photosieve.training.steps import _condensed

BALANCED = get_recipe("balanced", {"epochs": "40", "lr": "0.1"})
BATCHES = get_recipe("balanced", {"epochs": "5", "batch_size": "5"})
NOTEBOOK = get_recipe("notebook", {"epochs": "5"})


def trained(data: Prepared, start: Head, recipe: Recipe, **options: Any) -> Head:
    """Train a head; `options` are those of a run."""
    return fit(data, start, Run(recipe, **options))[0]


def moved(one: Head, other: Head) -> float:
    """Largest difference of two photo maps."""
    return float(np.abs(one.arrays()["photo"] - other.arrays()["photo"]).max())


def margin(data: Prepared, head: Head, label: str) -> float:
    """Lowest score of a photo with the label less the highest of one without it."""
    column = data.labels.index(label)
    scores, right = data.scores(head)[:, column], data.targets[:, column]
    return float(scores[right].min() - scores[~right].max())


def with_targets(data: Prepared, targets: NDArray[np.bool_]) -> Prepared:
    return replace(data, targets=targets)


@pytest.mark.parametrize("recipe", [BATCHES, NOTEBOOK], ids=lambda recipe: recipe.name)
def test_a_seed_decides_the_result(recipe: Recipe, prepared: Prepared, encoder: Encoder) -> None:
    one, same, other = (trained(prepared, encoder.head, recipe, seed=seed) for seed in (1, 1, 2))
    assert one.fingerprint() == same.fingerprint()
    assert moved(one, other) > 1e-6


def test_a_photo_that_may_have_a_label_is_not_pushed_away_from_it(
    prepared: Prepared, encoder: Encoder
) -> None:
    column = prepared.labels.index("red")
    silent = np.flatnonzero(prepared.targets[:, column])[1:]  # one red photo is labeled so
    targets, known = prepared.targets.copy(), prepared.known.copy()
    assert known.all()
    targets[silent, column] = False
    known[silent, column] = False
    taken_for_no = with_targets(prepared, targets)
    heads = [
        trained(data, encoder.head, BALANCED)
        for data in (taken_for_no, replace(taken_for_no, known=known))
    ]
    wrong, right = (prepared.scores(head)[silent, column].mean() for head in heads)
    assert right > wrong + 0.05


def test_lists_of_some_labels_teach_when_to_say_no(
    listings: Path, test_data: Prepared, encoder: Encoder
) -> None:
    """Nobody says no to any label: without silence all scores would only be pulled up."""
    dataset = Dataset.load(listings / "train", partial_labels=True)
    dataset = dataset.select([row for row, labels in enumerate(dataset.labels) if labels])
    data = prepare(encoder, dataset)
    assert np.array_equal(data.known, data.targets)
    head = trained(data, encoder.head, BALANCED)
    assert margin(test_data, head, "garden") > 0.1
    complete = replace(data, dataset=replace(dataset, partial_labels=False))
    complete = replace(complete, known=np.ones_like(data.known))
    assert complete.fingerprint() != data.fingerprint()
    assert moved(head, trained(complete, encoder.head, BALANCED)) < 1e-3


@pytest.mark.parametrize("recipe", [BALANCED, get_recipe("notebook")], ids=lambda r: r.name)
def test_learns_a_word_that_the_encoder_did_not_know(
    recipe: Recipe, prepared: Prepared, test_data: Prepared, encoder: Encoder
) -> None:
    assert margin(test_data, encoder.head, "garden") < 0
    head = trained(prepared, encoder.head, recipe)
    assert margin(test_data, head, "garden") > 0.1
    assert margin(test_data, head, "red") > 0


def test_only_what_the_recipe_names_moves(prepared: Prepared, encoder: Encoder) -> None:
    start = encoder.head
    before = start.fingerprint()
    head = trained(prepared, start, BATCHES)
    assert moved(head, start) > 1e-3
    assert_array_equal(head.arrays()["text"], start.arrays()["text"])
    assert not np.array_equal(
        trained(prepared, start, NOTEBOOK).arrays()["text"], start.arrays()["text"]
    )
    assert start.fingerprint() == before


def test_zero_shot_is_the_start(prepared: Prepared, encoder: Encoder) -> None:
    head = trained(prepared, encoder.head, get_recipe("zero-shot"))
    assert head.fingerprint() == encoder.head.fingerprint()


def test_fixed_words_are_held_by_a_root_of_their_products() -> None:
    """As many rows as a vector is long say the same of a photo as hundreds of words."""
    rng = np.random.default_rng(0)
    words, moves = unit(rng.normal(size=(300, 20))), rng.normal(size=(50, 20))
    held = _condensed(words)
    assert held.shape == (20, 20)
    assert_allclose(np.mean((moves @ held.T) ** 2, 1), np.mean((moves @ words.T) ** 2, 1), 1e-5)
    assert_array_equal(_condensed(words[:7]), words[:7])


def test_anchors_hold_the_words_that_no_label_mentions(
    prepared: Prepared, encoder: Encoder
) -> None:
    words = replace(prepared, texts=prepared.words)
    before = words.scores(encoder.head)
    change = {
        weight: np.square(
            words.scores(trained(prepared, encoder.head, replace(BALANCED, anchor_weight=weight)))
            - before
        ).mean()
        for weight in (0.0, 30.0)
    }
    assert change[30.0] < change[0.0] / 3


def test_words_close_to_a_label_are_free_to_move(prepared: Prepared, encoder: Encoder) -> None:
    """Of 27 far words and 3 labels as general words, the farthest 9 of 10 are held."""
    far = replace(prepared, words=prepared.words[:27])
    synonyms = replace(prepared, words=np.concatenate([far.words, prepared.texts]))
    all_held = replace(BATCHES, own_units=False, learning_rate=1e-3, anchor_weight=30.0)
    all_held = replace(all_held, scale=5.0, anchor_quantile=1.0)
    expected = trained(far, encoder.head, all_held)
    found = trained(synonyms, encoder.head, replace(all_held, anchor_quantile=0.9))
    assert found.fingerprint() == expected.fingerprint()
    assert moved(trained(synonyms, encoder.head, all_held), expected) > 1e-4


@pytest.mark.parametrize("recipe", [BALANCED, NOTEBOOK], ids=lambda recipe: recipe.name)
def test_fewer_photos_than_a_batch_train_all_the_same(
    recipe: Recipe, prepared: Prepared, encoder: Encoder
) -> None:
    few = prepared.rows(np.array([0, 2, 3]))
    assert len(few.photos) < recipe.batch_size
    assert moved(trained(few, encoder.head, recipe), encoder.head) > 1e-4


def test_photos_in_an_incomplete_last_batch_count(prepared: Prepared, encoder: Encoder) -> None:
    """A loader that drops the last batch would train on five of these six photos."""
    recipe = replace(BATCHES, epochs=1, anchor_weight=0.0)
    data = prepared.rows(np.arange(6))
    steps = []
    for size in (5, 6):
        head = trained(data, encoder.head, replace(recipe, batch_size=size))
        steps.append(moved(head, encoder.head))
    assert steps[0] > 1.5 * steps[1]  # two steps of Adam, not one


@pytest.mark.parametrize("name", ["balanced", "notebook"])
@pytest.mark.parametrize("rate", ["1e3", "1e21", "1e30", "1e38", "1e39"])
def test_a_huge_learning_rate_is_refused_or_harmless(
    name: str, rate: str, prepared: Prepared, encoder: Encoder
) -> None:
    recipe = get_recipe(name, {"learning_rate": rate, "epochs": "2"})
    if rate == "1e3":
        assert np.isfinite(prepared.scores(trained(prepared, encoder.head, recipe))).all()
        return
    with pytest.raises(TrainingError, match=r"lower the learning rate \(now 1e\+"):
        trained(prepared, encoder.head, recipe)


@pytest.mark.parametrize("recipe", [BALANCED, NOTEBOOK], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("rows", [1, 2, 6])
@pytest.mark.parametrize("label_on", ["no photo", "the first photo", "all photos"])
def test_little_data_gives_a_sound_head(
    label_on: str, rows: int, recipe: Recipe, prepared: Prepared, encoder: Encoder
) -> None:
    targets = np.full((rows, 3), label_on == "all photos")
    targets[0] |= label_on == "the first photo"
    data = with_targets(prepared.rows(np.arange(rows)), targets)
    head = trained(data, encoder.head, recipe)
    assert np.isfinite(prepared.scores(head)).all()
    if label_on == "no photo":
        assert head.fingerprint() == encoder.head.fingerprint()


def test_a_held_out_score_does_not_depend_on_the_labels_of_its_building(
    prepared: Prepared, encoder: Encoder
) -> None:
    folds = prepared.dataset.folds()
    assert len(folds) == 4
    held_out = folds[1]
    other = prepared.targets.copy()
    other[held_out] = ~other[held_out]
    before, after = (
        out_of_fold(with_targets(prepared, targets), encoder.head, Run(BATCHES), folds)[0]
        for targets in (prepared.targets, other)
    )
    assert_array_equal(before[held_out], after[held_out])
    rest = np.setdiff1d(np.arange(len(before)), held_out)
    assert (before[rest] != after[rest]).any(1).all()


def test_every_photo_is_scored_by_a_head_without_its_fold(
    prepared: Prepared, encoder: Encoder
) -> None:
    folds = prepared.dataset.folds()
    scores, _ = out_of_fold(prepared, encoder.head, Run(BATCHES, 3), folds)
    assert np.isfinite(scores).all()
    rest = prepared.rows(np.setdiff1d(np.arange(len(scores)), folds[2]))
    head = trained(rest, encoder.head, BATCHES, seed=3)
    assert_array_equal(scores[folds[2]], prepared.rows(folds[2]).scores(head))


def test_progress_is_told(prepared: Prepared, encoder: Encoder) -> None:
    told: list[tuple[str, int, int]] = []
    trained(prepared, encoder.head, NOTEBOOK, progress=lambda *step: told.append(step))
    assert [step[1:] for step in told] == [(epoch, 5) for epoch in range(1, 6)]
    stages = [re.fullmatch(r"training: loss ([\d.]+)", step[0]) for step in told]
    losses = [float(stage[1]) for stage in stages if stage]
    assert len(losses) == 5
    assert losses[-1] < losses[0]


# --- every number of a recipe ---------------------------------------------------------------------

LOSSES = {
    "balanced_sigmoid": Recipe("a", "", batch_size=10, scale=5.0),
    "multi_positive_softmax": Recipe("b", "", loss="multi_positive_softmax", scale=10.0),
    "diagonal_softmax": Recipe("c", "", loss="diagonal_softmax", batch_size=8, scale=10.0),
    "distinct": Recipe("d", "", loss="diagonal_softmax", batch_size=8, scale=10.0, distinct=True),
    "dot products": Recipe("e", "", loss="diagonal_softmax", batch_size=8, normalizes=False),
    "margin_of_pairs": Recipe("f", "", loss="margin_of_pairs", batch_size=7, margin=1.0),
    "margin_to_mean": Recipe("g", "", loss="margin_to_mean", batch_size=7, margin=1.0),
}
ONE_BATCH = {name: replace(recipe, batch_size=1000) for name, recipe in LOSSES.items()}


def losses_of(data: Prepared, start: Head, recipe: Recipe) -> list[float]:
    """Mean loss of each epoch."""
    return fit(data, start, Run(recipe))[1]


@pytest.mark.long
@pytest.mark.parametrize("trains_text", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_falls(
    name: str, trains_text: bool, prepared: Prepared, encoder: Encoder
) -> None:
    recipe = replace(LOSSES[name], trains_text=trains_text, epochs=10, learning_rate=3e-4)
    found = losses_of(prepared, encoder.head, recipe)
    assert len(found) == 10
    if name == "distinct":  # its loss depends on how many pairs fit in a batch: look at the result
        head = trained(prepared, encoder.head, replace(recipe, epochs=100, learning_rate=1e-3))
        assert margin(prepared, head, "garden") > margin(prepared, encoder.head, "garden") + 0.1
    else:
        assert np.mean(found[-3:]) < 0.98 * found[0]


@pytest.mark.parametrize("loss", ["margin_of_pairs", "margin_to_mean"])
def test_margin_losses_start_at_the_mean_distance(
    loss: str, prepared: Prepared, encoder: Encoder
) -> None:
    cosines = prepared.scores(encoder.head)
    if loss == "margin_to_mean":  # photos without a label take no part
        labeled = prepared.targets.any(1)
        assert labeled.any()
        assert not labeled.all()
        means: NDArray[np.float32] = prepared.targets @ encoder.head.project_texts(prepared.texts)
        photos = encoder.head.project_photos(prepared.photos)
        cosines = (photos * unit(means)).sum(1)[labeled]
    else:
        cosines = cosines[prepared.targets]
    (found,) = losses_of(prepared, encoder.head, replace(ONE_BATCH[loss], epochs=1))
    assert found == pytest.approx(np.maximum(0, 1 - cosines).mean(), abs=1e-6)


def test_photos_without_labels_take_no_part_in_a_mean(prepared: Prepared, encoder: Encoder) -> None:
    recipe = replace(ONE_BATCH["margin_to_mean"], epochs=3, learning_rate=1e-3)
    labeled = prepared.rows(np.flatnonzero(prepared.targets.any(1)))
    one, other = (trained(data, encoder.head, recipe) for data in (prepared, labeled))
    assert moved(one, other) < 1e-5 < moved(one, encoder.head)
    alone = replace(recipe, batch_size=1)  # a batch of nothing but such a photo
    assert np.isfinite(losses_of(prepared, encoder.head, alone)).all()


@pytest.mark.parametrize("name", ["diagonal_softmax", "dot products"])
def test_a_loss_sees_cosines_or_plain_products(
    name: str, prepared: Prepared, encoder: Encoder
) -> None:
    photos, labels = prepared.photos - 0.5, prepared.texts - 0.5  # the fake head's maps
    if name == "diagonal_softmax":
        photos, labels = unit(photos), unit(labels)
    row, column = prepared.targets.nonzero()
    logits = np.float64(ONE_BATCH[name].scale) * photos[row] @ labels[column].T

    def cross_entropy(logits: NDArray[np.float64]) -> float:
        return float((np.log(np.exp(logits).sum(1)) - np.diag(logits)).mean())

    expected = (cross_entropy(logits) + cross_entropy(logits.T)) / 2
    (found,) = losses_of(prepared, encoder.head, replace(ONE_BATCH[name], epochs=1))
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("learns_scale", [False, True])
def test_the_scale_is_learned_if_the_recipe_says_so(
    learns_scale: bool, prepared: Prepared, encoder: Encoder, tmp_path: Path
) -> None:
    recipe = replace(LOSSES["multi_positive_softmax"], learns_scale=learns_scale, epochs=5)
    kept = Checkpoints(tmp_path)
    trained(prepared, encoder.head, recipe, checkpoints=kept)
    weights = torch.load(kept.of("final").path, weights_only=True)["state"]["steps"]["weights"]
    scalars = [values.item() for values in weights if not values.ndim]
    if learns_scale:
        assert len(scalars) == 2
        assert abs(scalars[0] - math.log(recipe.scale)) > 0.01
    else:
        assert len(scalars) == 1  # the bias


def test_rate_decay_and_schedule(prepared: Prepared, encoder: Encoder) -> None:
    """A loss that is zero throughout has nothing to pull with: decay alone moves the weights."""
    recipe = Recipe("h", "", loss="margin_of_pairs", margin=-1.0, batch_size=1000, epochs=13)
    recipe = replace(recipe, learning_rate=0.1, weight_decay=0.5)
    assert losses_of(prepared, encoder.head, recipe) == [0.0] * 13

    def factor(recipe: Recipe) -> float:
        before, after = encoder.head, trained(prepared, encoder.head, recipe)
        return float(np.trace(after.arrays()["photo"]) / np.trace(before.arrays()["photo"]))

    assert factor(recipe) == pytest.approx(0.95**13, rel=1e-4)
    assert factor(replace(recipe, weight_decay=0.0)) == 1.0
    # The first epoch sets the mark; five without a better one are borne, the sixth is not.
    falling = replace(recipe, schedule="plateau")
    assert factor(falling) == pytest.approx(0.95**7 * 0.995**6, rel=1e-4)


@pytest.mark.parametrize("name", ["diagonal_softmax", "balanced_sigmoid"])
def test_a_batch_larger_than_the_data_is_one_batch(
    name: str, prepared: Prepared, encoder: Encoder
) -> None:
    recipe = replace(LOSSES[name], epochs=3)
    count = len(prepared.photos) if name == "balanced_sigmoid" else int(prepared.targets.sum())
    one, other = (
        trained(prepared, encoder.head, replace(recipe, batch_size=size)) for size in (count, 10**6)
    )
    assert one.fingerprint() == other.fingerprint()


def test_features_may_lie_in_a_file(prepared: Prepared, encoder: Encoder, tmp_path: Path) -> None:
    def in_file(name: str, array: NDArray[np.float32]) -> NDArray[np.float32]:
        np.save(tmp_path / f"{name}.npy", array)
        return np.asanyarray(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))

    views = np.stack([prepared.photos[:, ::-1], prepared.photos * 0.9], axis=1)
    here = replace(prepared, more_views=views)
    there = replace(
        here, photos=in_file("photos", here.photos), more_views=in_file("views", here.more_views)
    )
    assert isinstance(there.photos, np.memmap)
    one, other = (trained(data, encoder.head, BATCHES) for data in (here, there))
    assert one.fingerprint() == other.fingerprint()
    assert moved(one, trained(prepared, encoder.head, BATCHES)) > 1e-4  # the views count


# --- a whole batch in parts -----------------------------------------------------------------------


@pytest.mark.parametrize("trains_text", [False, True])
@pytest.mark.parametrize("name", ["balanced_sigmoid", "diagonal_softmax", "margin_to_mean"])
def test_a_batch_in_parts_is_the_whole_batch(
    name: str, trains_text: bool, prepared: Prepared, encoder: Encoder
) -> None:
    """Adam hides a gradient that is wrong by a factor; its first moments do not."""
    words = encoder.text_features([f"another {number}" for number in range(100)])
    data = replace(prepared, words=words)  # more than a step holds
    recipe = replace(LOSSES[name], batch_size=20, epochs=2, blocks=1, learning_rate=1e-3)
    recipe = replace(recipe, trains_text=trains_text, anchor_weight=30.0)
    sizes: list[int] = []
    whole, parts = (
        gradients(data, Counted(encoder.head, sizes), replace(recipe, micro_batch=size))
        for size in (1000, 3)
    )
    assert {3, 20} <= set(sizes)
    assert len(whole) == len(parts) >= 1 + trains_text
    for one, other in zip(whole, parts, strict=True):
        assert_allclose(one, other, rtol=0, atol=1e-5 * max(1e-3, float(np.abs(one).max())))


class Counted:
    """A head that notes how many photos go through it at once."""

    def __init__(self, head: Head, sizes: list[int]) -> None:
        self._head, self._sizes = head, sizes

    def student(self, *, trains_text: bool) -> Student:
        student = self._head.student(trains_text=trains_text)
        photos, sizes = student.photos, self._sizes

        def counted(features: torch.Tensor) -> torch.Tensor:
            sizes.append(len(features))
            return photos(features)

        student.photos = counted
        return student

    def __getattr__(self, name: str) -> Any:
        return getattr(self._head, name)


def gradients(data: Prepared, start: Any, recipe: Recipe) -> list[NDArray[np.float32]]:
    """First moments of the gradients after training: they are linear in each of them."""
    with TemporaryDirectory() as folder:
        kept = Checkpoints(Path(folder))
        trained(data, start, recipe, checkpoints=kept)
        saved = torch.load(kept.of("final").path, weights_only=True)["state"]
        state = saved["steps"]["optimizer"]
    return [moments["exp_avg"].numpy() for moments in state["state"].values()]


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_loss_that_is_not_a_number_names_its_batch(prepared: Prepared, encoder: Encoder) -> None:
    photos = prepared.photos.copy()
    photos[7] = np.inf
    data = replace(prepared, photos=photos)
    recipe = replace(LOSSES["balanced_sigmoid"], batch_size=1, epochs=1)
    order = [int(row) for row in shuffled(24, 1, _after_views(24, seed=5))]
    with pytest.raises(TrainingError, match=rf"in epoch 1, batch {order.index(7) + 1}; lower"):
        trained(data, encoder.head, recipe, seed=5)


def _after_views(photos: int, seed: int) -> torch.Generator:
    """Where a training's dice stand once each photo has its first view."""
    generator = torch.Generator().manual_seed(seed)
    torch.randint(1, (photos,), generator=generator)
    return generator


def test_the_last_good_epoch_is_kept(prepared: Prepared, encoder: Encoder, tmp_path: Path) -> None:
    """One view of one photo, which comes in a later epoch, is not a number."""
    views = prepared.photos[:, None].repeat(5, axis=1)
    views[7, 3] = np.inf
    data = replace(prepared, more_views=views)
    recipe = replace(LOSSES["balanced_sigmoid"], more_views=True, epochs=6)
    kept = Checkpoints(tmp_path, seconds=0.0)
    with pytest.raises(TrainingError) as refused:
        trained(data, encoder.head, recipe, seed=1, checkpoints=kept)
    state = torch.load(kept.of("final").path, weights_only=True)["state"]
    assert f"in epoch {state['epoch'] + 1}, batch " in str(refused.value)
    assert all(values.isfinite().all() for values in state["steps"]["weights"])


def test_weights_without_bounds_are_not_kept(
    prepared: Prepared, encoder: Encoder, tmp_path: Path
) -> None:
    recipe = replace(ONE_BATCH["balanced_sigmoid"], learning_rate=1e30)
    kept = Checkpoints(tmp_path, seconds=0.0)
    with pytest.raises(TrainingError, match="grew out of all bounds in epoch 1; lower"):
        trained(prepared, encoder.head, recipe, checkpoints=kept)
    assert not kept.of("final").path.exists()


@pytest.mark.parametrize(
    ("blocks", "advice"),
    [
        (0, r"lower batch_size \(now 10\), as in: --set batch_size=5"),
        (1, r"lower micro_batch \(now 32\), as in: --set micro_batch=16"),
    ],
)
def test_too_little_memory_says_which_number_to_lower(
    blocks: int, advice: str, prepared: Prepared, encoder: Encoder
) -> None:
    def too_much(features: torch.Tensor) -> torch.Tensor:
        return features.new_empty(1 << 55)

    class Huge(Counted):
        def student(self, *, trains_text: bool) -> Student:
            student = self._head.student(trains_text=trains_text)
            student.photos = too_much
            return student

    recipe = replace(LOSSES["balanced_sigmoid"], blocks=blocks)
    with pytest.raises(TrainingError, match=advice):
        trained(prepared, cast(Head, Huge(encoder.head, [])), recipe)
