"""The memory of a server is bounded, whatever is sent to it and whatever its collection holds."""

import http.client
import io
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from photosieve.errors import PhotoError
from photosieve.index.index import Index
from photosieve.server import decoding
from photosieve.server.app import create_app
from photosieve.server.decoding import Memory, decoder
from photosieve.server.library import Library
from photosieve.server.problems import ApiError
from photosieve.sieve import saved
from tests.library import CountingEncoder, photo

ALLOWED = 512_000_000
"""Bytes above the resting size."""

SIZE = 9000, 7000


def large(mode: str, form: str, **options: Any) -> bytes:
    """A photo of 63 megapixels in a few kilobytes."""
    file = io.BytesIO()
    Image.new(mode, SIZE).save(file, form, **options)
    return file.getvalue()


BOMBS: dict[str, Callable[[], bytes]] = {
    "gray and transparent": lambda: large("LA", "PNG"),
    "bits": lambda: large("1", "PNG"),
    "palette": lambda: large("P", "PNG", transparency=b"\0"),
    "floats": lambda: large("F", "TIFF", compression="tiff_deflate"),
    "16 bits": lambda: large("I;16", "TIFF", compression="tiff_deflate"),
    "progressive": lambda: large("RGB", "JPEG", progressive=True, subsampling=0),
    "four inks": lambda: large("CMYK", "JPEG", progressive=True),
    "webp": lambda: large("RGB", "WEBP"),
    "gif": lambda: large("P", "GIF"),
}


@pytest.mark.long
@pytest.mark.server
def test_bombs_and_a_large_photo(tmp_path: Path, trained: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "scan.tif").write_bytes(large("RGB", "TIFF"))
    photo(tmp_path / "photos" / "small.png", 1)
    Index(tmp_path / "index").update(trained, tmp_path / "photos")
    (tmp_path / "bombs").mkdir()
    for name, make in BOMBS.items():
        (tmp_path / "bombs" / name).write_bytes(make())
    done = subprocess.run(
        [sys.executable, "-m", __name__, trained, tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *answers, grown = done.stdout.splitlines()
    assert int(grown) < ALLOWED
    assert answers[:3] == ["view 200 3"] * 3
    assert {line.split()[-2] for line in answers[3:]} <= {"200", "400", "503"}
    accepted = {line.rsplit(" ", 2)[0] for line in answers if " 200 " in line}
    assert len(accepted) >= 6  # not everything is refused


def peak(field: str) -> int:
    """Bytes: VmRSS is the size now, VmHWM was the largest since the last reset."""
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if field in x)
    return int(line.split()[1]) * 1024


def ask(port: int, name: str, method: str, path: str, body: bytes = b"") -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=100)
    head = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
    form = head + body + b"\r\n--x--\r\n" if body else None
    headers = {"Content-Type": "multipart/form-data; boundary=x"} if body else {}
    connection.request(method, path, form, headers)
    answer = connection.getresponse()
    return f"{name} {answer.status} {len(answer.read()) and 3}"


def main(sieve: Path, folder: Path) -> None:
    """Serve, in a process of its own, and tell how much memory it took."""
    from tests.unit.server.test_connections import running

    vars(saved)["load_encoder"] = lambda _: CountingEncoder(shortest_side=200)
    app = create_app(Library(sieve, str(folder / "index")))
    small = (folder / "photos" / "small.png").read_bytes()
    view = app.state.service.library.view()
    (scan,) = (view.photo(row).id for row in range(2) if view.photo(row).path.suffix == ".tif")
    with running(app) as port, ThreadPoolExecutor(24) as pool:
        ask(port, "warm", "POST", "/search/photo", small)
        rest = peak("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        tasks = [("view", "GET", f"/photos/{scan}")] * 3
        tasks += [("small", "GET", f"/thumbnails/{scan}")] * 3
        middle = io.BytesIO()
        Image.linear_gradient("L").resize((2400, 2000)).convert("RGB").save(middle, "PNG")
        uploads = [(file.name, file.read_bytes()) for file in (folder / "bombs").iterdir()] * 2
        uploads += [("middle", middle.getvalue())] * 20
        found = list(pool.map(lambda task: ask(port, *task), tasks))
        found += pool.map(lambda one: ask(port, one[0], "POST", "/search/photo", one[1]), uploads)
        print(*found, peak("VmHWM") - rest, sep="\n")  # noqa: T201


def test_photos_share_an_amount_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, most, now = Memory(10), [0], [0]
    lock = threading.Lock()

    def use(amount: int) -> None:
        with memory.hold(amount):
            with lock:
                now[0] += amount
                most[0] = max(most[0], now[0])
            threading.Event().wait(0.001)
            with lock:
                now[0] -= amount

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(use, [1, 4, 6, 10, 3] * 20))
    assert most[0] <= 10
    monkeypatch.setattr(decoding, "WAITING_SECONDS", 0.01)
    with memory.hold(10), pytest.raises(ApiError, match="busy"), memory.hold(1):
        pass


def test_a_photo_that_needs_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_memory", Memory(10_000_000))
    file = tmp_path / "scan.tif"
    Image.fromarray(np.zeros((1000, 1000), np.float32)).save(file)
    with pytest.raises(PhotoError, match="decoding it takes"), decoder(file, shortest_side=None):
        pass


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
