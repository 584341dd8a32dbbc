"""Files and folders are replaced whole, and a killed writer leaves nothing behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from photosieve import storage
from photosieve.storage import draft_file, draft_folder, recover_folder

WRITER = """
import sys, time
from pathlib import Path
from photosieve import storage
target, kind = Path(sys.argv[1]), sys.argv[2]
with getattr(storage, f"draft_{kind}")(target) as draft:
    print("open", flush=True)
    time.sleep(60)
"""

BETWEEN = """
import os, signal, sys
from pathlib import Path
from photosieve import storage
storage._exchanged = lambda *_: False
rename = Path.rename
def killed(self, target):
    result = rename(self, target)
    os.kill(os.getpid(), signal.SIGKILL)
    return result
with storage.draft_folder(Path(sys.argv[1])) as draft:
    (draft / "content").write_text("new")
    Path.rename = killed
"""


def replaced(folder: Path, text: str) -> None:
    with draft_folder(folder) as draft:
        (draft / "content").write_text(text)


@pytest.mark.kill
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_draft_of_a_killed_writer_is_removed_and_that_of_a_living_one_is_not(
    tmp_path: Path, kind: str
) -> None:
    target = tmp_path / "sieve"
    command = [sys.executable, "-c", WRITER, str(target), kind]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as living,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed,
    ):
        for process in (living, killed):
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
        assert len(list(tmp_path.iterdir())) == 2
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        storage.remove_drafts(target)
        assert len(list(tmp_path.iterdir())) == 1
        os.kill(living.pid, signal.SIGKILL)
        living.wait()
    if kind == "file":
        with draft_file(target) as file:
            file.write(b"new")
    else:
        replaced(target, "new")
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.kill
def test_a_kill_between_two_renames_is_repaired_by_the_next_reader(tmp_path: Path) -> None:
    folder = tmp_path / "sieve"
    replaced(folder, "old")
    done = subprocess.run([sys.executable, "-c", BETWEEN, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not folder.exists()
    recover_folder(folder)
    assert (folder / "content").read_text() == "old"
    replaced(folder, "new")
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("atomic", [True, False])
def test_a_reader_always_finds_a_folder_that_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    """Without the exchange, a reader waits for the second rename."""
    if not atomic:
        monkeypatch.setattr(storage, "_exchanged", lambda *_: False)
    folder, missing, done = tmp_path / "sieve", 0, threading.Event()
    replaced(folder, "0")

    def write() -> None:
        for number in range(100):
            replaced(folder, str(number))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        if not atomic:
            recover_folder(folder)
        try:
            (folder / "content").read_text()
        except (FileNotFoundError, NotADirectoryError):
            missing += 1
        time.sleep(0)
    writer.join()
    assert (folder / "content").read_text() == "99"
    assert list(tmp_path.iterdir()) == [folder]
    if atomic:
        assert missing == 0


def test_a_link_to_a_file_stays_a_link_and_the_file_keeps_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    file, link = tmp_path / "real" / "labels.json", tmp_path / "labels.json"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    with draft_file(link) as draft:
        draft.write(b"new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o640
