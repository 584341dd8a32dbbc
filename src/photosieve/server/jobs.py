"""Trainings: one runs at a time, and its sieve is kept or dropped."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from photosieve.errors import TrainingError
from photosieve.server.library import Library
from photosieve.server.problems import without_folders
from photosieve.sieve import folder
from photosieve.storage import remove_drafts

State = Literal["running", "done", "failed", "cancelled", "kept", "dropped"]

MAX_JOBS = 20
"""Jobs that can be looked up; older ones are forgotten."""

# -P: modules are imported from where photosieve is installed, not from the current folder.
WORKER = (sys.executable, "-P", "-m", "photosieve.server.worker")

TOKEN_VARIABLE = "PHOTOSIEVE_TOKEN"  # noqa: S105  # a name, no secret
"""Environment variable that a training does not inherit."""

log = logging.getLogger("photosieve")


@dataclass
class Job:
    """One training.

    Parameters
    ----------
    id : str
    state : str
        "done" waits until the sieve is kept or dropped.
    stage : str
        Name of the current stage.
    done, total : int
        Progress of the stage.
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
    """Starts and watches trainings, and replaces the sieve in use when a new one is kept.

    Parameters
    ----------
    library : Library
    command : sequence of str
        Program that trains; see `photosieve.server.worker` for its input and output.
    """

    def __init__(self, library: Library, command: Sequence[str] = WORKER) -> None:
        self._command = command
        self._library = library
        self._jobs: dict[str, Job] = {}
        self._process: subprocess.Popen[str] | None = None
        self._follower: threading.Thread | None = None
        self._lock = threading.RLock()
        self._folder = library.state / "new-sieve"

    def get(self, job_id: str) -> Job | None:
        """Return a job by its id."""
        return self._jobs.get(job_id)

    @property
    def newest(self) -> Job | None:
        """The last job that was started."""
        return next(reversed(self._jobs.values()), None)

    def start(self) -> Job:
        """Start a training; a sieve of the last one that is not kept yet is dropped.

        Raises
        ------
        TrainingError
            If a training is running.
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
            while len(self._jobs) > MAX_JOBS:
                del self._jobs[next(iter(self._jobs))]
            process = self._process = subprocess.Popen(  # noqa: S603
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env={name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE},
            )
            self._follower = threading.Thread(target=self._follow, args=(job, process), daemon=True)
            self._follower.start()
            return job

    def _follow(self, job: Job, process: subprocess.Popen[str]) -> None:
        """Send the task to a process, read its messages, and record its end."""
        library = self._library
        task = {"sieve": library.sieve_folder, "index": library.address, "out": self._folder}
        errors: list[str] = []
        reader = threading.Thread(target=_read_errors, args=(process, errors), daemon=True)
        reader.start()
        try:
            if process.stdin is None or process.stdout is None:  # for the type checker
                raise ValueError("no pipe")
            with process.stdin as stdin:
                stdin.write(json.dumps({name: str(value) for name, value in task.items()}) + "\n")
            with process.stdout as lines:
                for line in lines:
                    message = json.loads(line)
                    if "progress" in message:
                        vars(job).update(message["progress"])
                    job.result = message.get("result", job.result)
                    if "error" in message:
                        log.error("the training failed: %s", message["error"])
                        job.error = without_folders(message["error"], library.folders())
        except (OSError, ValueError):
            log.exception("the training's output cannot be read")
        status = process.wait()
        remove_drafts(self._folder)  # a training that was killed while it saved leaves one
        reader.join(5)
        with self._lock:
            if job.state != "running":  # cancelled
                return
            if job.result is not None:
                job.state = "done"
                return
            if job.error is None:
                log.error("the training ended with status %d: %s", status, "".join(errors[-20:]))
                job.error = "the training stopped unexpectedly; nothing was changed, try again"
            job.state = "failed"

    def cancel(self, job: Job) -> None:
        """Stop a running job."""
        with self._lock:
            if job.state == "running" and self._process is not None:
                job.state = "cancelled"
                self._process.kill()

    def keep(self, job: Job) -> None:
        """Replace the sieve in use with the job's sieve.

        Raises
        ------
        TrainingError
            If there is nothing to keep.
        PhotosieveError
            If it cannot replace the sieve in use.
        """
        with self._lock:
            if job.state != "done":
                raise TrainingError(f"this training is {job.state}: there is nothing to keep")
            folder.replace(self._library.sieve_folder, self._folder)
            self._library.renew()
            job.state = "kept"

    def drop(self, job: Job) -> None:
        """Delete the job's sieve.

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
        """Stop a running job, and wait for its process."""
        if (newest := self.newest) is not None:
            self.cancel(newest)
        if self._process is not None and self._follower is not None:
            self._process.wait()
            self._follower.join(5)


def _read_errors(process: subprocess.Popen[str], errors: list[str]) -> None:
    """Read stderr to its end, so that the process never waits for a full pipe."""
    if process.stderr is not None:
        with process.stderr as lines:
            errors.extend(lines)
