"""Trainings: one runs at a time; its result waits, also for a server that starts again."""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from photosieve.errors import TrainingError
from photosieve.server.library import Library
from photosieve.server.problems import without_folders
from photosieve.server.schemas import State
from photosieve.server.trainer import Trainer
from photosieve.server.versions import Version, Versions
from photosieve.sieve import folder
from photosieve.storage import draft_file, remove_drafts

MAX_JOBS = 20
"""Jobs that can be looked up; older ones are forgotten."""

MOST_STARTS = 2
"""Times that a training is started, if the server ends while it runs. One that takes the whole
machine down is not started for ever."""

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
    percent : int
    seconds_left : float or None
        None while it is not known.
    started : float
        Seconds since 1970.
    starts : int
        Times that it was started.
    error : str or None
        One sentence.
    first : dict or None
        First figures, while the rest is computed; see `photosieve.sieve.review.Review.to_dict`.
    result : dict or None
        See `photosieve.server.worker.learn`.
    """

    id: str
    state: State = "running"
    stage: str = "starting"
    percent: int = 0
    seconds_left: float | None = None
    started: float = field(default_factory=time.time)
    starts: int = 1
    error: str | None = None
    first: dict[str, Any] | None = None
    result: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON."""
        return asdict(self)


class Jobs:
    """Starts and watches trainings, and replaces the sieve in use when a new one is kept.

    Every job is in a file of the state folder, so that neither a closed page nor a server that
    ends loses it.

    Parameters
    ----------
    library : Library
    command : sequence of str, optional
        Program that trains; see `Trainer`.
    """

    def __init__(self, library: Library, command: Sequence[str] | None = None) -> None:
        self._library = library
        self._trainer = Trainer(command)
        self._follower: threading.Thread | None = None
        self._lock = threading.RLock()
        self._files = library.state / "jobs"
        self._folder = library.state / "new-sieve"
        self._jobs = {job.id: job for job in _read_all(self._files)}
        self.versions = Versions(library.state / "versions")
        newest = self.newest
        for job in self._jobs.values():
            if job.state == "running":
                job.state = "interrupted"
                job.error = (
                    "the server stopped while it was learning; nothing was changed, try again"
                )
            elif job.state == "done" and (job is not newest or not self._folder.is_dir()):
                job.state = "dropped"

    def get(self, job_id: str) -> Job | None:
        """Return a job by its id."""
        return self._jobs.get(job_id)

    def list(self) -> list[Job]:
        """Return the last jobs, the newest first."""
        return list(reversed(self._jobs.values()))

    @property
    def newest(self) -> Job | None:
        """The last job that was started."""
        return next(reversed(self._jobs.values()), None)

    def warm(self) -> None:
        """Start the process that trains, before a person asks for it; somebody labels photos."""
        with self._lock:
            if not self._trainer.alive:
                self._trainer.send({"warm": True, **self._task()})

    def resume(self) -> None:
        """Start the training again that the last server left unfinished."""
        with self._lock:
            job = self.newest
            if job and job.state == "interrupted" and job.starts < MOST_STARTS:
                job.state, job.error, job.starts = "running", None, job.starts + 1
                self._run(job)

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
                self._end(newest, "dropped")
            job = Job(secrets.token_hex(8))
            self._jobs[job.id] = job
            while len(self._jobs) > MAX_JOBS:
                oldest = next(iter(self._jobs))
                del self._jobs[oldest]
                (self._files / f"{oldest}.json").unlink(missing_ok=True)
            self._run(job)
            return job

    def _task(self) -> dict[str, str]:
        library = self._library
        task = {"sieve": library.sieve_folder, "index": library.address, "out": self._folder}
        return {name: str(value) for name, value in task.items()}

    def _run(self, job: Job) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._save(job)
        self._follower = threading.Thread(target=self._follow, args=(job,), daemon=True)
        self._trainer.send(self._task())
        self._follower.start()

    def _follow(self, job: Job) -> None:
        """Read the messages of a training, and record its end."""
        result = None
        for message in self._trainer.messages():
            if "progress" in message:
                vars(job).update(message["progress"])
            job.first = message.get("first", job.first)
            result = message.get("result", result)
            if "error" in message:
                log.error("the training failed: %s", message["error"])
                job.error = without_folders(message["error"], self._library.folders())
        remove_drafts(self._folder)  # a training that was killed while it saved leaves one
        with self._lock:
            if job.state != "running":  # canceled, or the server ends
                return
            if result is not None:
                job.result = result
                self._end(job, "done")
                return
            if job.error is None:
                log.error("the training stopped: %s", self._trainer.last_words())
                job.error = "the training stopped unexpectedly; nothing was changed, try again"
            self._end(job, "failed")

    def _end(self, job: Job, state: State) -> None:
        job.state, job.seconds_left, job.first = state, None, None
        if state == "done":
            job.percent = 100
        self._save(job)

    def _save(self, job: Job) -> None:
        try:
            self._files.mkdir(parents=True, exist_ok=True)
            with draft_file(self._files / f"{job.id}.json") as draft:
                draft.write(json.dumps(job.to_dict()).encode())
        except OSError as error:  # the job goes on; only a restart would forget it
            log.warning("the state of a training cannot be kept (%s)", error.strerror)

    def cancel(self, job: Job) -> None:
        """Stop a running job."""
        with self._lock:
            if job.state == "running":
                self._end(job, "cancelled")
                self._trainer.stop()

    def keep(self, job: Job) -> None:
        """Replace the sieve in use with the job's sieve; the old one stays as a version.

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
            self.versions.add_first(self._library.sieve_folder, self._library.view().sieve)
            folder.replace(self._library.sieve_folder, self._folder)
            self._library.renew()
            self.versions.add(job.id, self._library.sieve_folder, job.result or {})
            self._end(job, "kept")

    def use(self, version: Version) -> None:
        """Use an earlier sieve again.

        Raises
        ------
        PhotosieveError
            If it cannot replace the sieve in use.
        """
        with self._lock:
            self.versions.restore(version, self._library.sieve_folder)
            self._library.renew()

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
            self._end(job, "dropped")

    def close(self) -> None:
        """Stop the process that trains; the next server finds a running job interrupted."""
        with self._lock:
            if (newest := self.newest) is not None and newest.state == "running":
                newest.state = "interrupted"  # its file still says running
            self._trainer.stop()
        if self._follower is not None:
            self._follower.join(5)


def _read_all(files: Path) -> list[Job]:
    """Read the jobs of earlier servers, the oldest first; damaged files are left out."""
    jobs = []
    for file in files.glob("*.json"):
        try:
            job = Job(**json.loads(file.read_bytes()))
            if job.id != file.stem or job.state not in get_args(State):
                raise ValueError
        except (OSError, ValueError, TypeError):
            log.warning("%s is damaged and left out", file)
        else:
            jobs.append(job)
    return sorted(jobs, key=lambda job: job.started)
