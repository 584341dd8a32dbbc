"""One training runs at a time, and a worker that fails changes nothing."""

import sys
import time

import pytest
from fastapi.testclient import TestClient

from photosieve.server.jobs import Jobs
from photosieve.server.library import Library
from tests.unit.server.conftest import assert_problem


def jobs_of(library: Library, code: str) -> Jobs:
    """Jobs whose worker is a few lines of Python."""
    return Jobs(library, [sys.executable, "-c", code])


def test_two_trainings_do_not_run_at_once(client: TestClient, library: Library) -> None:
    jobs = jobs_of(library, "import time; time.sleep(600)")
    client.app.state.service.jobs = jobs  # type: ignore[attr-defined]
    started = client.post("/train")
    assert started.status_code == 202
    assert_problem(client.post("/train"), 409, "running already")
    job = started.json()
    assert client.get(started.headers["location"]).json()["state"] == "running"
    assert_problem(client.post(f"/jobs/{job['id']}/keep"), 409, "nothing to keep")
    assert client.delete(f"/jobs/{job['id']}").json()["state"] == "cancelled"
    assert "cancelled" in client.get(f"/jobs/{job['id']}/events").text
    assert_problem(client.get("/jobs/none"), 404)
    assert jobs.newest is not None
    jobs.newest.state = "done"
    client.post("/train")  # without a word about the last one
    assert client.get(f"/jobs/{job['id']}").json()["state"] == "dropped"


@pytest.mark.parametrize(
    ("code", "state", "error"),
    [
        ('print(\'{"result": {"photos": 3}}\')', "done", None),
        ('print(\'{"error": "too few photos"}\')', "failed", "too few photos"),
        ("raise SystemExit(3)", "failed", "stopped unexpectedly"),
        ("print('no JSON')", "failed", "stopped unexpectedly"),
        ("import sys; sys.stderr.write('x' * 10**6); raise MemoryError", "failed", "unexpectedly"),
    ],
)
def test_the_end_of_a_worker(shared: Library, code: str, state: str, error: str | None) -> None:
    job = jobs_of(shared, f"input(); {code}").start()
    deadline = time.monotonic() + 30
    while job.state == "running" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert job.state == state
    assert (error is None and job.error is None) or (error or "") in str(job.error)
