"""A training that is killed goes on, and ends as if nothing had happened."""

import multiprocessing
import os
import pickle
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image

from photosieve.data.dataset import Dataset
from photosieve.encoders.protocol import Encoder, Head
from photosieve.errors import TrainingError
from photosieve.progress import Progress, silent
from photosieve.sieve.sieve import Sieve
from photosieve.training.checkpoints import Checkpoint, Checkpoints
from photosieve.training.features import Prepared, prepare
from photosieve.training.fit import fit
from photosieve.training.hidden import PARTS
from photosieve.training.recipe import Recipe
from photosieve.training.run import Run

SMALL = Recipe("small", "", batch_size=10, epochs=6, learning_rate=1e-3, scale=5.0)
RECIPE = replace(
    SMALL,
    epochs=10,
    more_views=True,
    trains_text=True,
    schedule="plateau",
    anchor_weight=10.0,
    picks_epoch=True,
    interpolates=True,
)
PAIRS = replace(RECIPE, loss="diagonal_softmax", distinct=True)
OPENED = replace(RECIPE, blocks=1, micro_batch=8)  # one training after another, batches in parts

# Imports once, the parts of torch that its optimizers bring too, and then starts quickly.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["photosieve.sieve.sieve", "photosieve.training.folds", "torch._dynamo"]
)


@pytest.fixture(scope="module")
def data(prepared: Prepared) -> Prepared:
    views = np.stack([prepared.photos[:, ::-1], prepared.photos * 0.9], axis=1)
    wrong = np.random.default_rng(3).random(prepared.targets.shape) < 0.3
    return replace(prepared, more_views=views, targets=prepared.targets ^ wrong)


def trained(data: Prepared, start: Head, recipe: Recipe, **options: Any) -> Head:
    """Train a head; `options` are those of a run."""
    return fit(data, start, Run(recipe, **options))[0]


def learn(encoder: Encoder, data: Prepared, recipe: Recipe, folder: Path, resume: bool) -> None:
    """Fit a sieve, and leave its numbers beside the folder of checkpoints."""
    kept = Checkpoints(folder, resume=resume, seconds=0.0)
    sieve = Sieve.fit_prepared(encoder, data, Run(recipe, checkpoints=kept))
    numbers = {**sieve.encoder.head.arrays(), **sieve.evidence.tables()["hidden_words"]}
    result = {**numbers, "scores": sieve.evidence.scores}, sieve.history
    folder.with_suffix(".done").write_bytes(pickle.dumps(result))


def arrays(folder: Path) -> tuple[dict[str, Any], object]:
    """All numbers that `learn` left."""
    found: tuple[dict[str, Any], object] = pickle.loads(folder.with_suffix(".done").read_bytes())
    return found


# --- kill -9 --------------------------------------------------------------------------------------


@pytest.mark.kill
@pytest.mark.parametrize("recipe", [PAIRS, OPENED], ids=["side by side", "in turn"])
def test_a_killed_training_ends_as_if_it_had_not_been(
    recipe: Recipe, data: Prepared, encoder: Encoder, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    started = time.monotonic()
    process = CONTEXT.Process(target=learn, args=(encoder, data, recipe, whole, False))
    process.start()
    process.join(60)
    seconds = time.monotonic() - started
    assert process.exitcode == 0

    moments, killed = random.Random(7), 0
    for attempt in range(20):
        process = CONTEXT.Process(target=learn, args=(encoder, data, recipe, broken, attempt > 0))
        before = _latest(broken)
        process.start()
        if killed < 4:
            while process.is_alive() and _latest(broken) <= before:
                time.sleep(0.001)
            time.sleep(moments.uniform(0, seconds / 10))
            process.kill()
        process.join(60)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        killed += 1
    assert killed >= 2
    (found, history), (expected, same) = arrays(broken), arrays(whole)
    assert history == same
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert_array_equal(array, expected[name], err_msg=name)


def _latest(folder: Path) -> int:
    """When the last checkpoint was written."""
    times = [0]
    for path in folder.glob("*.checkpoint"):
        with suppress(FileNotFoundError):  # removed in this moment
            times.append(path.stat().st_mtime_ns)
    return max(times)


@pytest.mark.long
@pytest.mark.parametrize("epoch", [1, 3, 5])
def test_a_training_goes_on_from_any_epoch(
    epoch: int, data: Prepared, encoder: Encoder, tmp_path: Path
) -> None:
    """What is done is not done again."""
    recipe = replace(RECIPE, epochs=6)
    whole = trained(data, encoder.head, recipe)
    told: list[int] = []

    def interrupting(_: str, done: int, __: int) -> None:
        told.append(done)
        if done == epoch + 1 and len(told) == epoch + 1:
            raise KeyboardInterrupt

    kept = Checkpoints(tmp_path, seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        trained(data, encoder.head, recipe, checkpoints=kept, progress=interrupting)
    head = trained(data, encoder.head, recipe, checkpoints=kept, progress=interrupting)
    assert head.fingerprint() == whole.fingerprint()
    assert told == [*range(1, epoch + 2), *range(epoch + 1, 7)]
    del told[:]
    again = trained(data, encoder.head, recipe, checkpoints=kept, progress=interrupting)
    assert again.fingerprint() == whole.fingerprint()
    assert not told


@pytest.mark.long
@pytest.mark.parametrize("recipe", [RECIPE, PAIRS, OPENED], ids=["photos", "pairs", "opened"])
def test_a_training_goes_on_within_an_epoch(
    recipe: Recipe,
    data: Prepared,
    encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An epoch of a large model takes minutes: no more than a step of it is done again."""
    recipe = replace(recipe, epochs=3)
    whole, losses = fit(data, encoder.head, Run(recipe))
    save, saved = Checkpoint.save, list[int]()

    def stopping(self: Checkpoint, key: str, state: dict[str, Any]) -> None:
        save(self, key, state)
        saved.append(len(state["batches"]))
        if len(saved) < 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", stopping)
    kept = Checkpoints(tmp_path, seconds=0.0)
    for _ in range(5):  # each time one step further
        with pytest.raises(KeyboardInterrupt):
            trained(data, encoder.head, recipe, checkpoints=kept)
    assert any(saved)
    head, same = fit(data, encoder.head, Run(recipe, checkpoints=kept))
    assert head.fingerprint() == whole.fingerprint()
    assert same == losses


def test_fast_epochs_share_a_checkpoint(
    data: Prepared, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    save = Checkpoint.save

    def counted(self: Checkpoint, key: str, state: dict[str, Any]) -> None:
        written.append(state["epoch"])
        save(self, key, state)

    monkeypatch.setattr(Checkpoint, "save", counted)
    trained(data, encoder.head, SMALL, checkpoints=Checkpoints(tmp_path, seconds=1e6))
    assert written == [6]
    trained(data, encoder.head, SMALL, checkpoints=Checkpoints(tmp_path, seconds=0.0))
    assert written[1:] == sorted(written[1:])
    assert set(written) == set(range(7))


@pytest.mark.long
def test_sieve_fit_goes_on_too(listings: Path, encoder: Encoder, tmp_path: Path) -> None:
    dataset = Dataset.load(listings / "train")
    plain = Sieve.fit(dataset, encoder, recipe=SMALL)
    told: list[str] = []
    for resume in (False, True):
        told.clear()
        sieve = Sieve.fit(
            dataset,
            encoder,
            recipe=SMALL,
            checkpoints=Checkpoints(tmp_path / "kept", resume=resume),
            progress=lambda stage, *_: told.append(stage),
        )
        assert sieve.encoder.fingerprint == plain.encoder.fingerprint
        assert sieve.tuning.cut == plain.tuning.cut
        assert any(stage.startswith("training:") for stage in told) != resume
    names = {path.name for path in (tmp_path / "kept").iterdir()}
    trainings = {"fold": len(dataset.folds()), "hidden": PARTS}
    expected = {
        f"{kind}-{n}.checkpoint" for kind, count in trainings.items() for n in range(1, count + 1)
    }
    assert names == {"final.checkpoint", "features-000000.checkpoint", *expected}


@pytest.mark.long
def test_photos_that_were_read_are_not_read_again(
    listings: Path, encoder: Encoder, tmp_path: Path
) -> None:
    """A photo that changed since is; damaged files of features are made again."""
    shutil.copytree(listings / "train", tmp_path / "train")
    dataset, folder = Dataset.load(tmp_path / "train"), tmp_path / "kept"
    told: list[int] = []

    def interrupting(stage: str, done: int, _: int) -> None:
        if stage == "reading photos":
            told.append(done)
            if done == 9 and told[0] == 1:
                raise KeyboardInterrupt

    def prepared(resume: bool, progress: Progress = silent) -> Prepared:
        kept = Checkpoints(folder, resume=resume, seconds=0.0)
        return prepare(encoder, dataset, progress=progress, keep=kept.features())

    with pytest.raises(KeyboardInterrupt):
        prepared(False, interrupting)
    files = sorted(folder.glob("features-*"))
    assert len(files) == 9
    files[0].write_bytes(files[0].read_bytes()[:-7])
    files[1].write_bytes(b"no features at all")
    Image.new("RGB", (20, 20), "blue").save(dataset.photos[2])
    del told[:]
    resumed = prepared(True, interrupting)
    assert told == list(range(7, len(dataset) + 1))
    fresh = prepared(False)
    assert resumed.dataset.photos == fresh.dataset.photos == dataset.photos
    assert_array_equal(resumed.photos, fresh.photos)
    assert not np.array_equal(resumed.photos[2], prepare(encoder, Dataset.load(listings)).photos[2])


# --- what cannot be gone on from ------------------------------------------------------------------


@pytest.fixture
def kept(data: Prepared, encoder: Encoder, tmp_path: Path) -> Checkpoints:
    """A finished training."""
    checkpoints = Checkpoints(tmp_path / "kept")
    trained(data, encoder.head, SMALL, checkpoints=checkpoints)
    return checkpoints


def test_a_checkpoint_of_another_training_is_refused(
    kept: Checkpoints, data: Prepared, encoder: Encoder
) -> None:
    targets, photos = data.targets.copy(), data.photos.copy()
    targets[0, 0] ^= True
    photos[5, 5] += 1e-3
    other_head = trained(data, encoder.head, replace(SMALL, epochs=1))
    attempts: list[Callable[[], Head]] = [
        lambda: trained(data, encoder.head, SMALL, seed=1, checkpoints=kept),
        lambda: trained(data, encoder.head, replace(SMALL, epochs=7), checkpoints=kept),
        lambda: trained(data, other_head, SMALL, checkpoints=kept),
        lambda: trained(replace(data, targets=targets), encoder.head, SMALL, checkpoints=kept),
        lambda: trained(replace(data, photos=photos), encoder.head, SMALL, checkpoints=kept),
        lambda: trained(data.rows(np.arange(20)), encoder.head, SMALL, checkpoints=kept),
    ]
    for attempt in attempts:
        with pytest.raises(TrainingError, match=r"final\.checkpoint belongs to a training with"):
            attempt()
    trained(data, encoder.head, SMALL, checkpoints=kept)


def test_other_held_out_photos_are_refused(
    data: Prepared, encoder: Encoder, tmp_path: Path
) -> None:
    """Those that no fold trains on count as well: their scores are in the checkpoint."""
    recipe = replace(SMALL, picks_epoch=True)
    photos = data.photos.copy()
    photos[data.dataset.folds(3)[0][0]] += 0.1
    other = replace(data, photos=photos)
    for resume, here in ((False, data), (True, data)):
        kept = Checkpoints(tmp_path / "kept", resume=resume)
        run = Run(recipe, folds=1, checkpoints=kept)
        Sieve.fit_prepared(encoder, here, run, words=False)
    with pytest.raises(TrainingError, match=r"fold-1\.checkpoint belongs to a training with"):
        Sieve.fit_prepared(encoder, other, run, words=False)


class Explosive:
    """What runs code where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("damage", ["short", "empty", "text", "list", "pickle", "zip"])
def test_a_damaged_checkpoint_is_refused(
    damage: str, kept: Checkpoints, data: Prepared, encoder: Encoder, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    content = kept.of("final").path.read_bytes()
    if damage == "list":
        torch.save([1, 2], kept.of("final").path)
    elif damage == "zip":
        torch.save({"key": "it", "state": Explosive(trap)}, kept.of("final").path)
    else:
        kept.of("final").path.write_bytes(
            {
                "short": content[: len(content) // 2],
                "empty": b"",
                "text": b"no checkpoint at all",
                "pickle": pickle.dumps(Explosive(trap)),
            }[damage]
        )
    with pytest.raises(TrainingError, match=r"final\.checkpoint is damaged .*without --resume"):
        trained(data, encoder.head, SMALL, checkpoints=kept)
    assert not trap.exists()


@pytest.mark.parametrize("inside", [False, True])
def test_a_folder_that_cannot_be_made(inside: bool, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TrainingError, match=r"checkpoints cannot be kept here .*another place"):
        Checkpoints(tmp_path / "file" / "kept" if inside else tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_went_away(data: Prepared, encoder: Encoder, tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "kept")
    (tmp_path / "kept").rmdir()
    with pytest.raises(TrainingError, match=r"cannot be written \(No such file or directory\)"):
        trained(data, encoder.head, SMALL, checkpoints=kept)


def _save_on_a_full_disk(kept: Checkpoints, room: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    state = {"epoch": 1, "steps": torch.zeros(100_000)}
    try:
        kept.of("final").save("it", state)
    except TrainingError as error:
        os._exit(7 if "cannot be written (" in str(error) and "make room" in str(error) else 8)


@pytest.mark.long
@pytest.mark.parametrize("room", [0, 100, 5000, 399_000])
def test_a_full_disk_leaves_the_checkpoint_before(room: int, kept: Checkpoints) -> None:
    before = kept.of("final").path.read_bytes()
    process = CONTEXT.Process(target=_save_on_a_full_disk, args=(kept, room))
    process.start()
    process.join(60)
    assert process.exitcode == 7
    assert kept.of("final").path.read_bytes() == before
    assert [path.name for path in kept.folder.iterdir()] == ["final.checkpoint"]


# --- files ----------------------------------------------------------------------------------------


def test_only_what_is_its_own_is_removed(kept: Checkpoints) -> None:
    folder = kept.folder
    (folder / ".final.checkpoint-0f").write_bytes(b"half of one")
    for name in ("notes.txt", "labels.new"):
        (folder / name).write_text("mine")
    Checkpoints(folder, resume=True).remove()
    assert sorted(path.name for path in folder.iterdir()) == ["labels.new", "notes.txt"]
    shutil.rmtree(folder)
    Checkpoints(folder).remove()
    assert not folder.exists()


def test_old_checkpoints_are_removed_unless_they_are_gone_on_from(kept: Checkpoints) -> None:
    folder = kept.folder
    assert Checkpoints(folder, resume=True).of("final").path.exists()
    assert not Checkpoints(folder).of("final").path.exists()
    assert folder.is_dir()
