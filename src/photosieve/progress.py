"""Progress of long work, reported to the caller, which decides how to show it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the stage in words, the units done and the units in all.

What follows a colon may change from call to call: the stage is the same.
"""


def silent(stage: str, done: int, total: int) -> None:
    """Show nothing: the default of every function that takes a `Progress`."""
