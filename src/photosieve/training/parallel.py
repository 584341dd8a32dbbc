"""Several trainings: small heads side by side with a processor each, large ones in turn."""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

from photosieve.errors import TrainingError
from photosieve.progress import Progress

Result = TypeVar("Result")


def run_all(
    jobs: Sequence[Callable[[Progress], Result]],
    stage: str,
    progress: Progress,
    *,
    side_by_side: bool = True,
) -> list[Result]:
    """Run jobs, in any order, and return their results in order.

    If one fails, or the user interrupts, the others are stopped at their next report of progress.

    Parameters
    ----------
    jobs : sequence of callable
        Each takes a `Progress`, which it calls every now and then.
    stage : str
        Name of the whole.
    progress : Progress
        Told of each job that is done.
    side_by_side : bool
        Whether each job has a processor to itself. Otherwise they run one after another, each with
        all processors, and the progress of a job counts as a part of the whole.
    """
    if not side_by_side:
        results = []
        for done, job in enumerate(jobs):
            progress(stage, done, len(jobs))
            results.append(job(functools.partial(_within, progress, stage, done, len(jobs))))
        progress(stage, len(jobs), len(jobs))
        return results
    stop = threading.Event()

    def watch(*_: object) -> None:
        if stop.is_set():
            raise TrainingError("the training was stopped")

    progress(stage, 0, len(jobs))
    results = []
    with one_thread_each(), ThreadPoolExecutor(os.cpu_count()) as pool:
        try:  # an interrupt may come before all are submitted, too
            waiting = [pool.submit(job, watch) for job in jobs]
            for done, future in enumerate(waiting, start=1):
                results.append(future.result())
                progress(stage, done, len(jobs))
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return results


def _within(
    progress: Progress, whole: str, before: int, jobs: int, stage: str, done: int, total: int
) -> None:
    """Tell the progress of one job as that of all."""
    progress(f"{whole}: {stage}", before * total + done, jobs * total)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let torch and numpy use one thread for each caller: more wait for one another than they help.

    On a machine that is busy, products of small matrices in two threads take fifty times as long.
    torch is not imported for it: a probe needs none.
    """
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    with threadpool_limits(1, "blas"):
        try:
            if torch:
                torch.set_num_threads(1)
            yield
        finally:
            if torch:
                torch.set_num_threads(before)
