"""What a person sees while a command works: a bar on a terminal, lines elsewhere."""

import os
import re
import subprocess
import sys
import time

import pytest

from photosieve.cli import waiting
from photosieve.cli.waiting import progress_bar
from photosieve.progress import LEAST_SECONDS

STAGES = [("loading the model", 0.0), ("reading photos", 1.0), ("asking for hidden labels", 1.0)]
SCRIPT = f"""
import time
from photosieve.cli.waiting import progress_bar
with progress_bar({STAGES}, "50 photos, 39 labels") as progress:
    progress("reading photos", 0, 10)
    time.sleep({LEAST_SECONDS})
    progress("reading photos", 10, 10)
    progress("asking for hidden labels", 0, 10)
    time.sleep(1.5)
print("a result")
"""


def test_short_work_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(STAGES) as progress:
        progress("reading photos", 1, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.long
def test_a_line_now_and_then_where_stderr_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "SECONDS_A_LINE", 0.1)
    told = ""
    with progress_bar(STAGES) as progress:
        progress("reading photos", 0, 100)
        for photo in range(1, 100):
            time.sleep(0.05)
            progress("reading photos", photo, 100)
            told += capsys.readouterr().err
            if " left" in told:
                break
    *_, last = told.splitlines()
    assert re.fullmatch(r"photosieve: reading photos, \d+ %, about \d+ (s|min) left", last)


def test_the_work_is_announced_once_with_its_duration(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(STAGES, "50 photos, 39 labels") as progress:
        progress("reading photos", 0, 10)
        assert capsys.readouterr().err == ""
        time.sleep(LEAST_SECONDS)
        progress("reading photos", 5, 10)
        progress("reading photos", 6, 10)
    assert re.fullmatch(r"50 photos, 39 labels: about \d+ s\n", capsys.readouterr().err)


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="pseudo terminals are of POSIX")
def test_a_bar_is_one_line_of_a_terminal_and_goes_away() -> None:
    import fcntl
    import pty
    import struct
    import termios

    columns = 60
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
    environment.pop("COLUMNS", None)  # parallel tests have it, and it comes before the terminal
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=follower, env=environment
    ) as child:
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 65_536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not part:
                break
            shown += part
        assert child.stdout is not None
        assert child.stdout.read() == b"a result\n"
    os.close(leader)
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()))
    assert max(map(len, lines)) <= columns
    assert re.search(r"^50 photos, 39 labels: about \d+ s$", "\n".join(map(str.strip, lines)), re.M)
    bars = [line for line in lines if " % " in line]
    assert any(re.match(r"asking for hidden labels .*\d+ % about \d+ s left", bar) for bar in bars)
    assert shown.rstrip().endswith(b"\x1b[2K")  # the line was erased
