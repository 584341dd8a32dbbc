"""A person sets the cut of a label; it holds for this sieve, and for everybody."""

import json

import pytest
from fastapi.testclient import TestClient

from photosieve.server.cuts import MOST_SIEVES, LabelCuts
from photosieve.server.guard import Rules
from photosieve.server.library import Library
from tests.unit.server.conftest import assert_problem, served


def test_a_cut_of_a_label_decides_its_answers(client: TestClient, library: Library) -> None:
    learned = client.get("/search", params={"q": "garden"}).json()
    assert (learned["learned"], learned["own_cut"]) == (True, False)
    change = {"label": "Garden", "threshold": 0}
    assert client.put("/labels/cut", json=change).json() == change
    own = client.get("/search", params={"q": " GARDEN ", "known": "ignore"}).json()
    assert (own["matches"], own["learned"], own["own_cut"]) == (18, False, True)
    assert client.get("/search", params={"q": "red"}).json()["learned"]
    asked = client.get("/search", params={"q": "garden", "threshold": 1, "known": "ignore"}).json()
    assert (asked["matches"], asked["own_cut"]) == (0, False)
    for other in served(library):  # after a restart
        assert (
            other.get("/search", params={"q": "garden", "known": "ignore"}).json()["matches"] == 18
        )
    client.put("/labels/cut", json={"label": "garden", "threshold": None})
    again = client.get("/search", params={"q": "garden"}).json()
    assert [p["id"] for p in again["photos"]] == [p["id"] for p in learned["photos"]]


def test_the_report_names_cuts_of_labels(client: TestClient) -> None:
    client.put("/labels/cut", json={"label": "garden", "threshold": 0.25})
    said = "“garden” 0.25"
    assert said in client.get("/report").text
    client.put("/labels/cut", json={"label": "garden", "threshold": None})
    assert said not in client.get("/report").text


@pytest.mark.parametrize("threshold", [-0.1, 1.1, "x", "nan"])
def test_a_cut_is_a_probability(client: TestClient, threshold: object) -> None:
    answer = client.put("/labels/cut", json={"label": "garden", "threshold": threshold})
    assert_problem(answer, 422)


def test_only_labels_have_cuts_and_only_where_things_may_change(
    client: TestClient, library: Library
) -> None:
    change = {"label": "submarine", "threshold": 0.5}
    assert_problem(client.put("/labels/cut", json=change), 404, "no label “submarine”")
    for reader in served(library, Rules(read_only=True)):
        assert_problem(reader.put("/labels/cut", json=change), 403, "read-only")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"a": {"garden": "x"}}'])
def test_a_damaged_file_counts_as_empty(library: Library, text: str) -> None:
    file = library.state / "cuts.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    view = library.view()
    cuts = LabelCuts(file)
    assert cuts.of(view) == {}
    cuts.change(view, "garden", 0.3)
    assert LabelCuts(file).of(view) == {"garden": 0.3}


def test_cuts_of_the_last_sieves_are_kept(library: Library) -> None:
    file = library.state / "cuts.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({f"sieve-{n}": {"garden": 0.1} for n in range(MOST_SIEVES)}))
    LabelCuts(file).change(library.view(), "garden", 0.3)
    kept = list(json.loads(file.read_text()))
    assert kept == [
        *(f"sieve-{n}" for n in range(1, MOST_SIEVES)),
        library.view().sieve.fingerprint,
    ]
