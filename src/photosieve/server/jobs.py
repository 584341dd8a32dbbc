"""Trainings under way, one at a time, and what came of them."""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from photosieve.errors import TrainingError
from photosieve.server.library import Library
from photosieve.sieve import folder as sievefile

State = Literal["running", "done", "failed", "cancelled", "kept", "dropped"]

REMEMBERED = 20

log = logging.getLogger("photosieve")


@dataclass
class Job:
    """One training.

    Parameters
    ----------
    id : str
    state : str
        "done" waits for somebody to keep or drop it.
    stage : str
        What it is doing, in words.
    done, total : int
        How far the stage is.
    error : str or None
        One sentence.
    result : dict or None
        See `photosieve.server.worker.learn`.
    """

    id: str
    state: State = "running"
    stage: str = "starting"
    done: int = 0
    total: int = 1
    started: float = field(default_factory=time.time)
    error: str | None = None
    result: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON."""
        return dict(vars(self))


class Jobs:
    """Starts trainings, watches them, and puts a new sieve in its place when it is kept.

    Parameters
    ----------
    library : Library
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._jobs: dict[str, Job] = {}
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.RLock()
        self._folder = library.state / "new-sieve"

    def get(self, job_id: str) -> Job | None:
        """Return a job by its id."""
        return self._jobs.get(job_id)

    @property
    def newest(self) -> Job | None:
        """The last one that was started."""
        return next(reversed(self._jobs.values()), None)

    def start(self) -> Job:
        """Start one; what the one before has made, if nobody kept it, is dropped.

        Raises
        ------
        TrainingError
            If one is running.
        """
        with self._lock:
            newest = self.newest
            if newest is not None and newest.state == "running":
                raise TrainingError("a training is running already; wait for it, or cancel it")
            if newest is not None and newest.state == "done":
                newest.state = "dropped"
            shutil.rmtree(self._folder, ignore_errors=True)
            job = Job(secrets.token_hex(8))
            self._jobs[job.id] = job
            while len(self._jobs) > REMEMBERED:
                del self._jobs[next(iter(self._jobs))]
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "photosieve.server.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
            threading.Thread(target=self._watch, args=(job, process), daemon=True).start()
            return job

    def _watch(self, job: Job, process: subprocess.Popen[str]) -> None:
        library = self._library
        wish = {"sieve": library.sieve_folder, "index": library.address, "out": self._folder}
        said: list[str] = []
        errors = threading.Thread(target=_collect, args=(process, said), daemon=True)
        errors.start()
        try:
            if process.stdin is None or process.stdout is None:  # both were asked for
                raise ValueError("no pipe")
            with process.stdin as stdin:
                stdin.write(json.dumps({name: str(value) for name, value in wish.items()}) + "\n")
            with process.stdout as lines:
                for line in lines:
                    found = json.loads(line)
                    if "progress" in found:
                        vars(job).update(found["progress"])
                    job.result = found.get("result", job.result)
                    job.error = found.get("error", job.error)
        except (OSError, ValueError):
            log.exception("the training's output cannot be read")
        status = process.wait()
        errors.join(5)
        with self._lock:
            if job.state != "running":  # cancelled
                return
            if job.result is not None:
                job.state = "done"
                return
            if job.error is None:
                log.error("the training ended with status %d: %s", status, "".join(said[-20:]))
                job.error = "the training stopped unexpectedly; nothing was changed, try again"
            job.state = "failed"

    def cancel(self, job: Job) -> None:
        """Stop a running job."""
        with self._lock:
            if job.state == "running" and self._process is not None:
                job.state = "cancelled"
                self._process.kill()

    def keep(self, job: Job) -> None:
        """Put the job's sieve in the place of the one in use, and search with it from now on.

        Raises
        ------
        TrainingError
            If there is nothing to keep.
        PhotosieveError
            If it cannot be put there.
        """
        with self._lock:
            if job.state != "done":
                raise TrainingError(f"this training is {job.state}: there is nothing to keep")
            sievefile.replace(self._library.sieve_folder, self._folder)
            self._library.renew()
            job.state = "kept"

    def drop(self, job: Job) -> None:
        """Throw the job's sieve away.

        Raises
        ------
        TrainingError
            If there is nothing to drop.
        """
        with self._lock:
            if job.state != "done":
                raise TrainingError(f"this training is {job.state}: there is nothing to drop")
            shutil.rmtree(self._folder, ignore_errors=True)
            job.state = "dropped"

    def close(self) -> None:
        """Stop what is running."""
        if (newest := self.newest) is not None:
            self.cancel(newest)
        if self._process is not None:
            self._process.wait()


def _collect(process: subprocess.Popen[str], said: list[str]) -> None:
    """Read what a process says of its troubles, so that it never waits for a reader."""
    if process.stderr is not None:
        with process.stderr as lines:
            said.extend(lines)
