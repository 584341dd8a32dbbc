"""Progress of long work, reported to the caller, which decides how to show it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""Called with the stage in words, the units done and the units in all.

What follows a colon may change from call to call: the stage is the same.
"""


_LOADED = time.monotonic()


def seconds_of_process() -> float:
    """Return how long this process has been running: what the person who started it waited.

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
