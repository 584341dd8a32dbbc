"""The training loop, read from top to bottom: a head, from features to weights."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from photosieve.encoders.protocol import Head, Student
from photosieve.errors import TrainingError
from photosieve.training.features import Prepared
from photosieve.training.held_out import HeldOut, mixed
from photosieve.training.recipe import Recipe
from photosieve.training.run import History, Run

if TYPE_CHECKING:  # it brings torch, which a probe alone does not need
    import torch

    from photosieve.training.steps import Steps


def fit(
    data: Prepared, start: Head, run: Run, *, name: str = "final", held_out: HeldOut | None = None
) -> tuple[Head, list[float]]:
    """Train a head.

    The same data, start, recipe and seed give the same head on the same machine, in one go or
    resumed from a checkpoint.

    Parameters
    ----------
    data : Prepared
    start : Head
        The pretrained head: training starts from it, and the anchors hold words where it has them.
    run : Run
        Its folds play no part.
    name : str
        Of the training in the run's checkpoints.
    held_out : HeldOut, optional
        Photos to score after each epoch; they decide when to stop.

    Returns
    -------
    head : Head
    losses : list of float
        Mean loss of each epoch.

    Raises
    ------
    TrainingError
        If the loss stops being a number, the weights grow out of all bounds, or memory runs out.
    """
    recipe, losses = run.recipe, list[float]()
    if recipe.epochs == 0 or not data.targets.any():  # nothing to do, or nothing to learn from
        return start, losses
    from photosieve.training.steps import Steps

    student = start.student(trains_text=recipe.trains_text)
    steps = Steps(data, start, recipe, student, run.seed)
    saves = _Saves(data, start, run, name, held_out, steps, losses)
    epochs, left, (total, count) = saves.resume()
    for epoch in range(epochs, recipe.epochs):
        batches = left or list(steps.batches())
        if not left:
            total = count = 0.0
        for number, batch in enumerate(batches, start=1):
            loss = _step(steps, batch, epoch, number)
            total, count = total + loss * len(batch), count + len(batch)
            if number < len(batches) and saves.due():
                saves.save(epoch, batches[number:], total, count)
        left = []
        if recipe.schedule == "plateau":
            steps.plateau.step(total / count)
        run.progress(f"training: loss {total / count:.3g}", epoch + 1, recipe.epochs)
        losses.append(total / count)
        go_on = held_out is None or held_out.look(start.with_arrays(student.arrays()))
        last = not go_on or epoch + 1 == recipe.epochs
        if last or saves.due():
            _check_weights(student, recipe, epoch)
            saves.save(recipe.epochs if last else epoch + 1, [], 0.0, 0.0)
        if last:
            break
    return start.with_arrays(student.arrays()), losses


def _step(steps: Steps, batch: torch.Tensor, epoch: int, number: int) -> float:
    """Change the weights by one batch; return its loss."""
    with _memory_explained(steps.recipe):
        steps.optimizer.zero_grad()
        loss = steps.backward(batch, epoch)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss stopped being a number in epoch {epoch + 1}, batch {number}; "
                f"lower the learning rate (now {steps.recipe.learning_rate:g})"
            )
        steps.optimizer.step()
    return loss


def _check_weights(student: Student, recipe: Recipe, epoch: int) -> None:
    """Refuse weights with which the length of an embedding would overflow."""
    if not all(math.isfinite(values.detach().square().sum()) for values in student.parameters()):
        raise TrainingError(
            f"the weights grew out of all bounds in epoch {epoch + 1}; "
            f"lower the learning rate (now {recipe.learning_rate:g})"
        )


def fit_as(
    history: History, data: Prepared, start: Head, run: Run, *, name: str = "final"
) -> tuple[Head, list[float]]:
    """Train for the epochs and with the mix of a history; see `fit`."""
    head, losses = fit(data, start, run.lasting(history.epochs), name=name)
    return mixed(start, head, history.mix), losses


class _Saves:
    """The states of one training, in its checkpoint, if the run has such."""

    def __init__(
        self,
        data: Prepared,
        start: Head,
        run: Run,
        name: str,
        held_out: HeldOut | None,
        steps: Steps,
        losses: list[float],
    ) -> None:
        self.steps, self.losses, self.held_out = steps, losses, held_out
        self.checkpoint = run.checkpoints.of(name) if run.checkpoints is not None else None
        self.key = _key(data, start, run, held_out) if self.checkpoint is not None else ""

    def due(self) -> bool:
        """Whether it is time to save."""
        return self.checkpoint is not None and self.checkpoint.due()

    def save(self, epoch: int, batches: list[torch.Tensor], total: float, count: float) -> None:
        """Save the state after so many epochs, in the midst of one where batches are left."""
        if self.checkpoint is not None:
            state = {
                "epoch": epoch,
                "batches": batches,
                "total": (total, count),
                "steps": self.steps.state_dict(),
                "losses": self.losses,
                "held_out": self.held_out.state_dict() if self.held_out is not None else {},
            }
            self.checkpoint.save(self.key, state)

    def resume(self) -> tuple[int, list[torch.Tensor], tuple[float, float]]:
        """Bring the training to the state that was saved.

        Returns
        -------
        epochs : int
            How many are done.
        batches : list of tensors
            Those that are left of the next epoch; none at its beginning.
        total, count : float
            Sum of its losses so far, and number of its items.
        """
        state = self.checkpoint.load(self.key) if self.checkpoint is not None else None
        if state is None:
            return 0, [], (0.0, 0.0)
        self.steps.load_state_dict(state["steps"])
        self.losses += state["losses"]
        if self.held_out is not None:
            self.held_out.load_state_dict(state["held_out"])
        return int(state["epoch"]), state.get("batches", []), state.get("total", (0.0, 0.0))


def _key(data: Prepared, start: Head, run: Run, held_out: HeldOut | None) -> str:
    """Hash of all that decides a training and the scores taken on the way."""
    parts = (run.seed, run.recipe.to_dict(), start.fingerprint(), data.fingerprint())
    scored = held_out.fingerprint() if held_out is not None else None
    return hashlib.sha256(f"{parts} {scored}".encode()).hexdigest()


@contextmanager
def _memory_explained(recipe: Recipe) -> Iterator[None]:
    """Say which number to lower when memory runs out."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # that of torch is a RuntimeError
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        name = "micro_batch" if recipe.trains_blocks else "batch_size"
        raise TrainingError(
            f"there is not enough memory for a training step; lower {name} "
            f"(now {getattr(recipe, name)}), as in: --set {name}={getattr(recipe, name) // 2 or 1}"
        ) from error
