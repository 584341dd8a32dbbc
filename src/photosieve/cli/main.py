"""The program `photosieve`: runs the command that was typed, and reports its errors.

It imports next to nothing before it is ready for Ctrl-C, which may come while libraries load.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

try:
    import atexit
    import os
    import signal
except KeyboardInterrupt:
    sys.exit(INTERRUPTED)

TYPE_CHECKING = False  # as in `typing`, which takes longer to load
if TYPE_CHECKING:
    from typing import NoReturn


class _Interrupts:
    """Raises `KeyboardInterrupt`, and remembers it: libraries turn it into errors of their own."""

    seen = False

    def __call__(self, *_: object) -> NoReturn:
        self.seen = True
        raise KeyboardInterrupt


def main() -> NoReturn:
    """Run the command that was typed, and exit: an error is one sentence on stderr.

    With `--debug` anywhere among the arguments, an error has its traceback.
    """
    interrupts = _Interrupts()
    # A shell that starts this in the background has it ignore interrupts, and that stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupts)
    debug, status = False, 0
    try:
        _open_streams()
        debug, arguments = _without_debug(sys.argv[1:])
        status = _run(arguments)
    except BaseException as error:
        if debug:
            import traceback

            _say(traceback.format_exc())
        if interrupts.seen or isinstance(error, KeyboardInterrupt):
            status = INTERRUPTED
            _say("photosieve: interrupted; unfinished work is discarded")
        else:
            from photosieve.cli.failures import explain

            status, sentence = explain(error)
            if sentence:
                _say(f"photosieve: {sentence}")
    if signal.getsignal(signal.SIGINT) is interrupts:  # all is done: another Ctrl-C ends it now
        signal.signal(signal.SIGINT, lambda *_: os._exit(status))
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    _close_streams()
    if status == INTERRUPTED:
        # Else threads would go on for a while, and Python might end by the signal instead.
        os._exit(status)
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    """Run a command; return its exit status."""
    from photosieve.cli.commands import app

    status = 0
    try:
        app(arguments)
    except SystemExit as stop:
        ended = stop.__context__  # typer makes a silent end of an interrupt
        if ended is not None and isinstance(ended.__cause__, KeyboardInterrupt):
            raise ended.__cause__ from None
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    if sys.stdout is not None:
        sys.stdout.flush()
    return status


def _without_debug(arguments: list[str]) -> tuple[bool, list[str]]:
    """Take `--debug` out of the arguments, wherever it stands before a `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = [argument for argument in arguments[:end] if argument != "--debug"]
    return len(options) < end, options + arguments[end:]


def _open_streams() -> None:
    """Make sure that there is an output, and that it takes every name of a file."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # else the next file that is opened would get what libraries print
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        # The name of a file may be no text: as \udc.. it can be printed, and read from JSON.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _close_streams() -> None:
    """Write the rest of the output; if that fails, be silent: the error was reported already."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1 if stream is sys.stdout else 2)


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
    except (OSError, ValueError):
        return  # there is no one left to tell; the exit status says it
