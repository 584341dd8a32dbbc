"""The progress that a command shows while it works: one bar, or a line now and then."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import typer

from photosieve.progress import Progress, Stages, Tracker, duration

if TYPE_CHECKING:
    from rich.console import Console

SECONDS_A_LINE = 30.0
"""Time between two lines where stderr is no terminal."""

WIDEST_BAR = 40


@contextmanager
def progress_bar(stages: Stages, announced: str = "") -> Iterator[Progress]:
    """Show on stderr how far a command is: a bar on a terminal, and elsewhere a line now and then.

    Parameters
    ----------
    stages : Stages
        Of the command.
    announced : str
        The work in a few words, printed with its duration as soon as that is known.
    """
    from rich.console import Console

    tracker = Tracker(stages)
    waiting = bool(announced)

    def report(stage: str, done: int, total: int) -> None:
        nonlocal waiting
        tracker(stage, done, total)
        if waiting and (left := tracker.status().seconds_left) is not None:
            waiting = False
            console.print(f"{announced}: {duration(left)}", highlight=False, soft_wrap=True)

    console = Console(stderr=True)
    drawn = sys.stderr.isatty() and not console.is_dumb_terminal
    widest = max(len(name) for name, _ in stages)
    with _bar(tracker, console, widest) if drawn else _lines(tracker):
        yield report


@contextmanager
def _bar(tracker: Tracker, console: Console, widest: int) -> Iterator[None]:
    """Draw one line: stage, bar, percent, time left; it goes away in the end."""
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    def line() -> Table:
        status = tracker.status()
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True, min_width=widest)
        for _ in range(3):
            table.add_column(no_wrap=True)
        beside = len(f"  99 % {duration(86_400 - 600)} left")
        width = max(min(console.width - widest - beside, WIDEST_BAR), 8)
        bar = ProgressBar(100, status.percent, width, pulse=not status.left)
        table.add_row(
            status.stage, bar, f"{status.percent:2} %" if status.left else "", status.left
        )
        return table

    # The output of the command on stdout stays there.
    with Live(
        get_renderable=line, console=console, transient=True, redirect_stdout=False,
        refresh_per_second=5,
    ):  # fmt: skip
        yield


@contextmanager
def _lines(tracker: Tracker) -> Iterator[None]:
    """Print a line every half a minute; none for short work."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(SECONDS_A_LINE):
            with suppress(OSError):  # nobody reads
                typer.echo(f"photosieve: {tracker.status()}", err=True)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
