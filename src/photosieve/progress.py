"""Progress of long work: how far it is, and how long it will take from here."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""Called with the stage in words, the units done and the units in all.

Text after a colon may change from call to call: the stage is the same.
"""

Stages = Sequence[tuple[str, float]]
"""The stages of a command, in order: the name of each, and its share of the time, in any unit.

A name may come more than once. The first one is shown until there is a report; with a share of 0 it
stands for preparations that report nothing.
"""

LEAST_SECONDS = 1.0
"""A rate is trusted when it was measured for so long."""

_LOADED = time.monotonic()


def seconds_of_process() -> float:
    """Return how long this process has been running, in seconds.

    Where the system does not say it, the time before this module was loaded is missing.
    """
    try:
        stat = Path("/proc/self/stat").read_text()  # proc(5): the 22nd number is the start in ticks
        started = int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return max(time.clock_gettime(time.CLOCK_BOOTTIME) - started, 0.0)
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _LOADED


def silent(stage: str, done: int, total: int) -> None:
    """Show nothing: the default of every function that takes a `Progress`."""


def duration(seconds: float) -> str:
    """Return a rough duration in words, such as "about 40 s" or "about 1 h 20 min"."""
    if seconds < 57.5:
        return f"about {max(round(seconds / 5), 1) * 5} s"
    minutes = max(round(seconds / 60), 1)
    if minutes < 60:
        return f"about {minutes} min"
    hours, minutes = divmod(round(minutes / 10) * 10, 60)
    return f"about {hours} h {minutes} min" if minutes else f"about {hours} h"


@dataclass(frozen=True)
class Status:
    """How far a command is.

    Parameters
    ----------
    stage : str
    percent : int
        Of the time of the whole command; it never falls, and is 99 at most.
    seconds_left : float or None
        Until the end of the command; None until a rate was measured.
    """

    stage: str
    percent: int = 0
    seconds_left: float | None = None

    @property
    def left(self) -> str:
        """The time left in words; empty while it is not known."""
        return "" if self.seconds_left is None else f"{duration(self.seconds_left)} left"

    def __str__(self) -> str:
        known = [f"{self.percent} %", self.left] if self.left else []
        return ", ".join([self.stage, *known])


class Tracker:
    """Takes reports as a `Progress`, and says how far the whole command is.

    The rate of a stage is measured while it runs. Stages to come are expected to take as long as
    their share says, at the rate of those before. A stage that is not in the list counts as a part
    of the one that runs.

    Parameters
    ----------
    stages : Stages
    clock : callable
        Gives seconds.
    """

    def __init__(self, stages: Stages, clock: Callable[[], float] = time.monotonic) -> None:
        self._stages, self._clock = stages, clock
        self._lock = threading.Lock()  # a bar asks from a thread of its own
        self._place = -1  # of the stage that runs, in the list
        self._begun = self._told = self._started = clock()
        self._first = self._now = 0.0  # done of the stage, at its first report and at the last one
        self._seconds = self._units = 0.0  # what the stages before took, and their shares
        self._percent = 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take a report."""
        name = stage.partition(":")[0]
        with self._lock:
            # A stage that is over may be followed by another one of its name.
            start = self._place + (self._place < 0 or self._now >= 1)
            later = [n for n in range(start, len(self._stages)) if self._stages[n][0] == name]
            again = self._place >= 0 and self._stages[self._place][0] == name
            if not later and not again:
                return
            moment, fraction = self._clock(), min(done / total, 1.0) if total > 0 else 1.0
            if later and later[0] != self._place:
                seconds, units = self._measured()
                self._seconds, self._units = self._seconds + seconds, self._units + units
                self._place, self._begun = later[0], moment
                self._first = self._now = fraction
            if fraction >= self._now:
                self._told, self._now = moment, fraction

    def status(self) -> Status:
        """Return how far the command is by now."""
        with self._lock:
            moment = self._clock()
            stage = self._stages[max(self._place, 0)][0]
            left = self._left(moment)
            if left is not None:
                elapsed = moment - self._started
                share = elapsed / (elapsed + left) if elapsed else 0.0
                self._percent = max(self._percent, min(int(100 * share), 99))
            return Status(stage, self._percent, left)

    def _measured(self) -> tuple[float, float]:
        """Return the seconds from the first to the last report of the stage, and its share then."""
        units = self._share() * (self._now - self._first)
        return (self._told - self._begun if units else 0.0), units

    def _share(self) -> float:
        return self._stages[self._place][1] if self._place >= 0 else 0.0

    def _left(self, moment: float) -> float | None:
        seconds, units = self._measured()
        all_seconds, all_units = self._seconds + seconds, self._units + units
        if self._place < 0 or all_seconds < LEAST_SECONDS or not all_units:
            return None
        rate = all_seconds / all_units
        own = seconds / units if seconds >= LEAST_SECONDS and units else rate
        this = self._share() * (1 - self._now) * own - (moment - self._told)
        return max(this, 0.0) + rate * sum(later for _, later in self._stages[self._place + 1 :])
