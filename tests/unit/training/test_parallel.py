"""Trainings side by side: results in order, and one failure ends them all soon."""

import threading
import time

import pytest
import torch

from photosieve.errors import TrainingError
from photosieve.progress import Progress
from photosieve.training.parallel import one_thread_each, run_all


def test_results_come_in_order() -> None:
    told: list[tuple[str, int, int]] = []

    def job(number: int, progress: Progress) -> int:
        progress("inside", 1, 1)
        time.sleep(0.02 * (3 - number))
        return number

    jobs = [lambda progress, n=n: job(n, progress) for n in range(4)]
    assert run_all(jobs, "working", lambda *report: told.append(report)) == [0, 1, 2, 3]
    assert told == [("working", done, 4) for done in range(5)]


def test_they_run_side_by_side() -> None:
    both = threading.Barrier(2, timeout=20)
    assert len(run_all([lambda _: both.wait()] * 2, "waiting", lambda *_: None)) == 2


@pytest.mark.parametrize(
    "error", [TrainingError("lower the learning rate"), KeyboardInterrupt("Ctrl-C")]
)
def test_one_failure_stops_the_others(error: BaseException) -> None:
    """The others would go on for ever; they end at their next report."""

    def endless(progress: Progress) -> None:
        while True:
            progress("training", 0, 1)
            time.sleep(0.001)

    def failing(_: Progress) -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        run_all([failing, endless, endless, endless], "training", lambda *_: None)


def test_torch_uses_one_thread_and_then_as_many_as_before() -> None:
    before = torch.get_num_threads()
    with one_thread_each():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
