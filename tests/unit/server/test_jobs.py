"""One training runs at a time, and a worker that fails changes nothing."""

import json
import sys
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from photosieve.server.jobs import Job, Jobs
from photosieve.server.library import Library
from photosieve.server.trainer import WORKER
from tests.unit.server.conftest import assert_problem


def jobs_of(library: Library, code: str) -> Jobs:
    """Jobs whose worker is a few lines of Python."""
    return Jobs(library, [sys.executable, "-c", code])


def finished(jobs: Jobs) -> Job:
    return until(jobs.start())


def test_two_trainings_do_not_run_at_once(client: TestClient, library: Library) -> None:
    jobs = jobs_of(library, "import time; time.sleep(600)")
    client.app.state.service.jobs = jobs  # type: ignore[attr-defined]
    started = client.post("/train")
    assert started.status_code == 202
    assert_problem(client.post("/train"), 409, "running already")
    job = started.json()
    assert client.get(started.headers["location"]).json()["state"] == "running"
    assert_problem(client.post(f"/jobs/{job['id']}/keep"), 409, "nothing to keep")
    assert [one["id"] for one in client.get("/jobs").json()] == [job["id"]]
    assert client.delete(f"/jobs/{job['id']}").json()["state"] == "cancelled"
    assert "cancelled" in client.get(f"/jobs/{job['id']}/events").text
    assert_problem(client.get("/jobs/none"), 404)
    assert jobs.newest is not None
    jobs.newest.state = "done"
    client.post("/train")  # without a word about the last one
    assert client.get(f"/jobs/{job['id']}").json()["state"] == "dropped"


def until(job: Job) -> Job:
    deadline = time.monotonic() + 60
    while job.state == "running" and time.monotonic() < deadline:
        time.sleep(0.02)
    return job


# Fails the first time, as a server that is killed takes its training along.
ONCE = """
import json, os, sys
task = json.loads(input())
seen = task["index"] + ".seen"
if not os.path.exists(seen):
    open(seen, "w").close()
    import time; time.sleep(600)
os.makedirs(task["out"])
print('{"result": {"photos": 3}}')
"""


def test_a_job_survives_the_server(library: Library) -> None:
    jobs = jobs_of(library, ONCE)
    job = jobs.start()
    seen = Path(f"{library.address}.seen")
    while not seen.exists():
        time.sleep(0.02)
    jobs.close()
    again = jobs_of(library, ONCE)
    found = again.get(job.id)
    assert found is not None
    assert found.state == "interrupted"
    assert "try again" in str(found.error)
    again.resume()
    assert until(found).state == "done"
    assert found.percent == 100
    assert (found.starts, found.result) == (2, {"photos": 3})
    again.close()
    third = jobs_of(library, ONCE)  # the result waits
    assert [one.to_dict() for one in third.list()] == [found.to_dict()]
    waiting = third.get(job.id)
    assert waiting is not None
    third.drop(waiting)
    assert [one.state for one in jobs_of(library, ONCE).list()] == ["dropped"]


def test_a_job_that_ends_each_server_is_not_started_for_ever(library: Library) -> None:
    for starts in (1, 2, 2):
        jobs = jobs_of(library, "import time; time.sleep(600)")
        (jobs.resume if jobs.newest else jobs.start)()
        assert jobs.newest is not None
        assert jobs.newest.starts == starts
        jobs.close()
    assert jobs.newest is not None
    assert jobs.newest.state == "interrupted"


def test_damaged_jobs_are_left_out(library: Library) -> None:
    folder = library.state / "jobs"
    folder.mkdir(parents=True)
    for name, text in {
        "a": "{",
        "b": '{"id": "c"}',
        "d": '{"id": "d", "state": "x"}',
        "e": "[]",
    }.items():
        (folder / f"{name}.json").write_text(text)
    assert Jobs(library).list() == []


def test_the_process_stays_for_the_next_training(shared: Library) -> None:
    code = """
import json, os, sys
for line in sys.stdin:
    if "warm" not in json.loads(line):
        print(json.dumps({"result": {"process": os.getpid()}}), flush=True)
"""
    jobs = jobs_of(shared, code)
    jobs.warm()
    first, second = (until(jobs.start()).result for _ in range(2))
    assert first == second
    assert first is not None
    jobs.cancel(jobs.start())
    assert until(jobs.start()).result not in (None, first)  # a new one, after a cancelled one
    jobs.close()


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
    job = finished(jobs_of(shared, f"input(); {code}"))
    assert job.state == state
    assert (error is None and job.error is None) or (error or "") in str(job.error)


def test_a_worker_does_not_get_the_token(shared: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOSIEVE_TOKEN", "a long secret")
    code = "import json, os; print(json.dumps({'result': dict(os.environ)}))"
    result = finished(jobs_of(shared, f"input(); {code}")).result
    assert result is not None
    assert "PATH" in result
    assert "a long secret" not in result.values()


@pytest.mark.long
def test_the_worker_imports_nothing_from_the_current_folder(
    shared: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "numpy", "photosieve", "torch", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    job = finished(Jobs(shared, WORKER))
    assert job.state == "failed"
    assert 'no encoder "fake"' in str(job.error)  # of the tests
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("{root}/house-1/labels.json: it is damaged", "house-1/labels.json: it is damaged"),
        ("{sieve} cannot be read; allow it", "the collection cannot be read; allow it"),
        ("/root/.cache/huggingface/x.bin is damaged", "x.bin is damaged"),
        ("see (/usr/lib/python3/site-packages/a.py)", "see (a.py)"),
        ("~/models/clip has no config.json", "clip has no config.json"),
        ("accept it at https://huggingface.co/a/b", "accept it at https://huggingface.co/a/b"),
        ("a/b has no config.json", "a/b has no config.json"),
        ("too few photos: 3 / 4", "too few photos: 3 / 4"),
    ],
)
def test_an_error_names_no_folder(shared: Library, error: str, expected: str) -> None:
    root = shared.view().snapshot.groups[0].root
    message = json.dumps({"error": error.format(root=root, sieve=shared.sieve_folder)})
    assert finished(jobs_of(shared, f"input(); print({message!r})")).error == expected
