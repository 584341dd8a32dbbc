"""Earlier sieves stay, and are one request away."""

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from photosieve.decision.cut import Cut
from photosieve.server import versions
from photosieve.server.jobs import Job, Jobs
from photosieve.server.library import Library
from tests.unit.server.conftest import assert_problem


def keep(jobs: Jobs, library: Library, name: str, threshold: float) -> None:
    """Keep a sieve that differs from the one in use by its cut."""
    sieve = library.view().sieve
    other = replace(sieve, tuning=replace(sieve.tuning, cut=Cut.threshold(threshold)))
    other.save(library.state / "new-sieve")
    figures = {"macro_f1": {"before": 0.5, "after": threshold}}
    jobs.keep(
        Job(name, state="done", result={"labels": {"red": 3}, "review": {"figures": figures}})
    )


def test_back_to_an_earlier_sieve(client: TestClient, library: Library) -> None:
    assert client.get("/versions").json() == []
    first = library.view().sieve.cut
    jobs = client.app.state.service.jobs  # type: ignore[attr-defined]
    keep(jobs, library, "one", 0.25)
    keep(jobs, library, "two", 0.75)
    found = client.get("/versions").json()
    assert [(one["id"], one["used"]) for one in found] == [
        ("two", True),
        ("one", False),
        ("first", False),
    ]
    assert found[1]["figures"]["macro_f1"]["after"] == 0.25
    assert found[1]["labels"] == {"red": 3}
    assert set(found[2]["labels"]) == {"red", "blue", "garden"}
    for name, cut in (("one", Cut.threshold(0.25)), ("first", first), ("two", Cut.threshold(0.75))):
        assert client.post(f"/versions/{name}/use").json()["used"]
        assert library.view().sieve.cut == cut
        assert [one["id"] for one in client.get("/versions").json() if one["used"]] == [name]
    assert_problem(client.post("/versions/three/use"), 404)


def test_a_damaged_version_changes_nothing(client: TestClient, library: Library) -> None:
    jobs = client.app.state.service.jobs  # type: ignore[attr-defined]
    keep(jobs, library, "one", 0.25)
    (library.state / "versions" / "first" / "sieve" / "head.safetensors").unlink()
    assert_problem(client.post("/versions/first/use"), 503)
    assert library.view().sieve.cut == Cut.threshold(0.25)
    assert jobs.versions.used == "one"
    (library.state / "versions" / "first" / "version.json").write_text("{")
    assert [one["id"] for one in client.get("/versions").json()] == ["one"]


def test_the_oldest_versions_go(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "MOST_VERSIONS", 2)
    jobs = Jobs(library)
    for number in range(4):
        keep(jobs, library, f"v{number}", number / 4)
    assert [one.id for one in jobs.versions.list()] == ["v3", "v2"]
    weights = library.sieve_folder / "head.safetensors"
    assert weights.stat().st_nlink == 2  # its bytes are shared
    jobs.use(jobs.versions.list()[1])
    assert library.view().sieve.cut == Cut.threshold(0.5)
