"""The process that trains. It stays for a while, since a second training then begins at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

# -P: modules are imported from where photosieve is installed, not from the current folder.
WORKER = (sys.executable, "-P", "-m", "photosieve.server.worker")

TOKEN_VARIABLE = "PHOTOSIEVE_TOKEN"  # noqa: S105  # a name, no secret
"""Environment variable that a training does not inherit."""

IDLE_SECONDS = 600.0
"""A process without work is ended after so long, to give its memory back."""


class Trainer:
    """A process that takes tasks as lines of JSON, and answers each with lines of JSON.

    Parameters
    ----------
    command : sequence of str, optional
        The program; by default `photosieve.server.worker`, which describes input and output.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self._errors: deque[str] = deque(maxlen=20)
        self._idle: threading.Timer | None = None
        self._busy = False
        self._lock = threading.RLock()
        self._reading = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def send(self, task: Mapping[str, Any]) -> None:
        """Give the process a task, and start it if it does not run.

        A task to be warm has no answer; of any other one, `messages` gives the answer.
        """
        line = json.dumps(task) + "\n"
        with self._lock:
            self._busy = "warm" not in task
            if not self.alive or not self._write(line):  # it may have ended just now
                self._start()
                self._write(line)
            self._end_later()

    def _start(self) -> None:
        self.stop()
        self._errors.clear()
        self._process = subprocess.Popen(  # noqa: S603
            self._command or WORKER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE},
        )
        reader = threading.Thread(target=self._read_errors, args=(self._process,), daemon=True)
        reader.start()

    def _write(self, line: str) -> bool:
        try:
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.write(line)
                self._process.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def messages(self) -> Iterator[dict[str, Any]]:
        """Give the messages of the task that runs, to its result or to the end of the process."""
        process = self._process
        if process is None or process.stdout is None:
            return
        with self._reading, suppress(OSError, ValueError):  # no JSON, or the pipe was closed
            for line in iter(process.stdout.readline, ""):
                message = json.loads(line)
                yield message
                if {"result", "error"} & message.keys():
                    self._busy = False
                    self._end_later()
                    return
        process.kill()
        process.wait()

    def last_words(self) -> str:
        """Return the last lines that the process wrote to stderr."""
        return "".join(self._errors)

    def _read_errors(self, process: subprocess.Popen[str]) -> None:
        """Read stderr to its end, so that the process never waits for a full pipe."""
        if process.stderr is not None:
            with process.stderr as lines:
                self._errors.extend(lines)

    def _end_later(self) -> None:
        """End the process when nothing was asked of it for a while."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = threading.Timer(IDLE_SECONDS, self._end_if_idle)
        self._idle.daemon = True
        self._idle.start()

    def _end_if_idle(self) -> None:
        with self._lock:
            if not self._busy:
                self.stop()

    def stop(self) -> None:
        """End the process."""
        with self._lock:
            if self._idle is not None:
                self._idle.cancel()
            process, self._process, self._busy = self._process, None, False
            if process is None:
                return
            process.kill()
            process.wait()
            with self._reading:  # the reading thread has come to the end
                for pipe in (process.stdin, process.stdout):
                    with suppress(OSError):
                        if pipe is not None:
                            pipe.close()
