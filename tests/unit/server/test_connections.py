"""Slow, idle and many clients, over real connections: the server answers everybody else."""

import http.client
import json
import logging
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from fastapi import FastAPI

from photosieve.server import connections
from photosieve.server.app import create_app
from photosieve.server.connections import Connection, OncePerMinute, make_server, most_connections
from photosieve.server.guard import Rules
from photosieve.server.jobs import Job
from photosieve.server.library import Library
from photosieve.server.trainings import MAX_STREAMS
from tests.unit.server.conftest import TOKEN

pytestmark = pytest.mark.server

SOON = 0.5
"""Seconds of all limits in these tests."""


@contextmanager
def running(app: FastAPI, *proxies: str, root_path: str = "") -> Iterator[int]:
    """A server in a thread; gives its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = make_server(app, proxies, root_path)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
        for name in ("photosieve", "uvicorn.error", "asyncio"):
            logging.getLogger(name).filters.clear()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "seconds", dict.fromkeys(Connection.seconds, SOON))


@pytest.fixture
def app(shared: Library) -> FastAPI:
    return create_app(shared)


def status(port: int, path: str = "/health", headers: dict[str, str] | None = None) -> int:
    """Ask as a client that came just now; 0 without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers=headers or {})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_behind_a_proxy_that_takes_a_path_off(app: FastAPI) -> None:
    with running(app, root_path="/photos") as port:
        assert status(port) == 200
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/photos?limit=1")
        photo = json.load(connection.getresponse())["photos"][0]["photo"]
        assert photo.startswith("/photos/photos/")
        connection.request("GET", photo.removeprefix("/photos"))
        assert connection.getresponse().status == 200
        connection.close()


def sent(port: int, data: bytes) -> socket.socket:
    """A connection on which a client has sent something."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    connection.sendall(data)
    return connection


def is_closed(connection: socket.socket, within: float) -> bool:
    connection.settimeout(within)
    try:
        return not connection.recv(100_000)
    except TimeoutError:
        return False
    except OSError:
        return True


HEAD = b"PUT /labels HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    "data",
    [
        b"", b"G", b"GET /health HTTP/1.1\r\nHost: 127", HEAD,
        HEAD + b"Content-Length: 9\r\n\r\n", HEAD + b"Content-Length: 9\r\n\r\n{",
    ],
)  # fmt: skip
def test_a_client_that_stops_is_closed(app: FastAPI, data: bytes) -> None:
    with running(app) as port, sent(port, data) as connection:
        started = time.monotonic()
        assert is_closed(connection, 10 * SOON)
        assert time.monotonic() - started < 5 * SOON
        assert status(port) == 200


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    "start", [b"", b"GET /health HTTP/1.1\r\nX: ", HEAD + b"Content-Length: 99999\r\n\r\n"]
)
def test_drops_do_not_keep_a_connection(app: FastAPI, start: bytes) -> None:
    with running(app) as port, sent(port, start) as connection:
        deadline = time.monotonic() + 10 * SOON
        with suppress(OSError):
            while time.monotonic() < deadline:
                connection.sendall(b"a")
                time.sleep(SOON / 10)
        assert time.monotonic() < deadline


@pytest.mark.usefixtures("soon")
def test_a_client_that_does_not_read_is_closed(app: FastAPI) -> None:
    @app.get("/static-large")
    def large() -> str:
        return "x" * 20_000_000

    with running(app) as port:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        with connection:
            connection.sendall(b"GET /static-large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            time.sleep(4 * SOON)
            assert len(b"".join(iter(lambda: read(connection), b""))) < 20_000_000
        assert status(port) == 200


def read(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1_000_000)
    except OSError:
        return b""


def test_a_new_client_gets_in_however_many_are_idle(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with running(app) as port, ExitStack() as stack:
        monkeypatch.setattr(Connection, "most", 20)
        for number in range(60):
            data = (b"", b"GET /", HEAD + b"Content-Length: 9\r\n\r\n{")[number % 3]
            stack.enter_context(sent(port, data))
            if number % 10 == 9:
                assert status(port) == 200
                assert status(port, "/search?q=red") == 200
        lines = [record.getMessage() for record in caplog.records]
        assert [line for line in lines if "more than 20 connections" in line] == lines
        assert len(lines) == 1


def test_slow_bodies_and_streams_take_no_slots(shared: Library) -> None:
    app = create_app(shared, Rules(max_at_once=3))
    jobs = app.state.service.jobs
    jobs._jobs["x"] = Job("x")
    with running(app) as port, ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(sent(port, HEAD + b"Content-Length: 9\r\n\r\n{"))
        watch = b"GET /jobs/x/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        for number in range(MAX_STREAMS):
            stream = stack.enter_context(sent(port, watch))
            assert stream.recv(12) == b"HTTP/1.1 200"  # a burst would be told to come again
            if number == 20:
                assert status(port) == 200
                assert status(port, "/search?q=red") == 200
        assert status(port, "/jobs/x/events") == 429
        assert status(port, "/jobs/x") == 200
        jobs._jobs["x"].state = "done"
    assert app.state.service.streams == 0


def test_health_answers_while_every_slot_and_thread_is_taken(shared: Library) -> None:
    app, gate = create_app(shared, Rules(max_at_once=3)), threading.Event()

    @app.get("/slow")
    def slow() -> None:
        gate.wait(20)

    with running(app) as port, ExitStack() as stack:
        for _ in range(100):
            data = b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            stack.enter_context(sent(port, data))
        deadline = time.monotonic() + 30
        while status(port, "/search?q=red") != 429 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert status(port, "/search?q=red") == 429
        assert status(port) == 200
        gate.set()
        while status(port, "/search?q=red") != 200 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert status(port, "/search?q=red") == 200


def test_bodies_in_chunks_are_refused(app: FastAPI) -> None:
    """Reading chunks of one byte would keep the server from everything else."""
    with running(app) as port:
        chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n"
        with sent(port, chunked) as connection:
            answer = b"".join(iter(lambda: read(connection), b""))
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"needs a Content-Length" in answer
        with suppress(OSError), sent(port, chunked + b"1\r\nx\r\n" * 20_000) as connection:
            read(connection)
        started = time.monotonic()
        assert status(port) == 200
        assert time.monotonic() - started < 1


def test_bodies_together_are_capped(shared: Library) -> None:
    app = create_app(shared, Rules(max_bodies=2_000_000))
    with running(app) as port:
        half = HEAD + b"Content-Length: 900000\r\n\r\n" + b" " * 800_000
        with sent(port, half) as first, sent(port, half), sent(port, half):
            assert b"503" in first.recv(1000)  # the oldest gives way


@pytest.mark.parametrize("proxies", [(), ("127.0.0.1",)])
def test_proxies_are_believed_only_when_asked_to(shared: Library, proxies: tuple[str, ...]) -> None:
    app = create_app(shared, Rules(token=TOKEN))
    with running(app, *proxies) as port:
        for number in range(12):
            headers = {"X-Forwarded-For": f"10.0.0.{number}", "Authorization": f"Bearer {number}"}
            last = status(port, "/photos", headers)
        assert last == (401 if proxies else 429)
        right = {"X-Forwarded-For": "10.0.1.1", "Authorization": f"Bearer {TOKEN}"}
        assert status(port, "/photos", right) == (200 if proxies else 429)


def test_a_flood_is_one_line_of_the_log(app: FastAPI, capfd: pytest.CaptureFixture[str]) -> None:
    with running(app) as port:
        for _ in range(20):
            with sent(port, b"no HTTP\r\n\r\n") as connection:
                assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    assert capfd.readouterr().err == "WARNING:  Invalid HTTP request received.\n"


def test_the_log_says_a_thing_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    once = OncePerMinute()
    line = logging.makeLogRecord({"msg": "x"})
    assert [once.filter(line) for _ in range(3)] == [True, False, False]
    assert once.filter(logging.makeLogRecord({"msg": "y"}))
    monkeypatch.setattr(connections, "QUIET_SECONDS", 0)
    assert once.filter(line)


def test_connections_stay_below_the_limit_of_files() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 700))\n"
        "from photosieve.server.connections import most_connections\n"
        "print(most_connections(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    most, files = map(int, done.stdout.split())
    assert (most, files) == (148, 700)
    assert 0 < most_connections() <= resource.getrlimit(resource.RLIMIT_NOFILE)[0]
