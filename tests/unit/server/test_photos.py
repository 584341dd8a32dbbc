"""Search answers as the index does, and shows photos of the collection alone."""

import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from photosieve.decision.cut import Cut
from photosieve.server.library import Library
from photosieve.server.photos import lowest_match
from photosieve.sieve.answer import Hit, SearchResult
from tests.unit.server.conftest import assert_problem, ids


def test_a_search_gives_what_the_index_gives(reader: TestClient, shared: Library) -> None:
    found = reader.get("/search", params={"q": "garden", "nearest": 3}).json()
    expected = shared.index.search("garden")
    assert found["matches"] == len(expected) == 3
    assert [p["probability"] for p in found["photos"]] == pytest.approx(
        [hit.probability for hit in expected], abs=1e-6
    )
    assert {p["name"] for p in found["photos"]} == {"green.png"}
    assert len(found["nearest"]) == 3
    assert not any(photo["kept"] for photo in found["nearest"])
    assert found["looked_at"] == 18
    assert found["terms"][0]["label"] == "garden"
    assert not found["terms"][0]["remote"]
    (other,) = reader.get("/search", params={"q": "submarine"}).json()["terms"]
    assert other["remote"] == (other["affinity"] < shared.view().sieve.nearness.near)
    assert other["remote"]
    in_one = reader.get("/search", params={"q": "garden", "group": "house-3"}).json()
    assert [p["group"] for p in in_one["photos"]] == ["house-3"]


def test_the_cut_can_be_moved(reader: TestClient) -> None:
    learned = reader.get("/search", params={"q": "red", "known": "ignore"}).json()
    assert learned["learned"]
    everything = reader.get(
        "/search", params={"q": "red", "threshold": 0, "known": "ignore"}
    ).json()
    assert everything["matches"] == 18
    nothing = reader.get("/search", params={"q": "red", "threshold": 1, "known": "ignore"}).json()
    assert nothing["matches"] == 0
    assert nothing["nearest"]
    at = reader.get(
        "/search", params={"q": "red", "threshold": learned["threshold"], "known": "ignore"}
    ).json()
    assert [p["id"] for p in at["photos"]] == [p["id"] for p in learned["photos"]]
    assert not at["learned"]


def test_pages_of_an_answer(reader: TestClient) -> None:
    address = "/search?q=red&threshold=0&limit=7&known=ignore"
    seen: list[str] = []
    while address:
        found = reader.get(address).json()
        seen += [photo["id"] for photo in found["photos"]]
        address = found["next"]
    assert len(seen) == len(set(seen)) == 18
    first = reader.get("/photos?limit=10").json()
    rest = reader.get(first["next"]).json()
    assert (first["total"], len(rest["photos"]), rest["next"]) == (18, 8, None)


def test_photos_like_a_photo(reader: TestClient, tmp_path: Path) -> None:
    one = ids(reader, "house-1")["blue.png"]
    found = reader.post("/search/photo", data={"id": one, "limit": "2"}).json()["photos"]
    assert {photo["name"] for photo in found} == {"blue.png"}
    assert one not in {photo["id"] for photo in found}
    file = tmp_path / "upload.jpg"
    Image.new("RGB", (30, 20), (30, 200, 30)).save(file)
    with file.open("rb") as stream:
        found = reader.post("/search/photo", files={"photo": stream}).json()["photos"]
    assert found[0]["name"] == "green.png"
    assert_problem(reader.post("/search/photo", files={"photo": b"nonsense"}), 400, "upload")
    assert_problem(reader.post("/search/photo"), 400, "either a photo or the id")
    assert_problem(reader.post("/search/photo", data={"id": "0" * 16}), 404)


def test_the_threshold_that_is_shown_parts_what_is_kept() -> None:
    def shown(gate: float, floor: float, *kept: float) -> float:
        hits = tuple(Hit(Path("a.jpg"), 0.0, probability) for probability in kept)
        return lowest_match(SearchResult("q", (), hits, (), Cut(gate, floor), 9))

    assert shown(0.6, 0.3) == 0.6  # nothing gets in below the gate
    assert shown(0.6, 0.3, 0.9, 0.5) == 0.5  # but behind a photo that passed it
    assert shown(0.6, 0.3, 0.9) == 0.6
    assert shown(0.3, 0.6, 0.4) == 0.6
    assert shown(-1.0, -1.0, 0.4) == 0.0
    assert shown(2.0, 2.0) == 1.0


@pytest.mark.parametrize(
    "condition", ["root LIKE '/%'", "width > 0 AND `Root` != ''", "\"root\" = 'a'", "\tROOT > 'a'"]
)
def test_where_folders_are_cannot_be_guessed(reader: TestClient, condition: str) -> None:
    answer = reader.get("/search", params={"q": "red", "where": condition})
    assert_problem(answer, 400, "there is no column")
    said = reader.get("/search", params={"q": "red", "where": "\"group\" = 'root'"})
    assert said.json()["looked_at"] == 0


@pytest.mark.parametrize("path", ["..%2f..%2fetc%2fpasswd", "%00", "0" * 15, "G" * 16, "0" * 400])
def test_ids_that_cannot_be(reader: TestClient, path: str) -> None:
    for kind in ("photos", "thumbnails"):
        assert reader.get(f"/{kind}/{path}").status_code in (404, 422)


def test_a_huge_picture_is_refused_before_it_is_decoded(reader: TestClient, tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "big.png")
    started = time.monotonic()
    with (tmp_path / "big.png").open("rb") as stream:
        answer = reader.post("/search/photo", files={"photo": stream})
    assert_problem(answer, 400, "400,000,000 pixels")
    assert time.monotonic() - started < 5


def test_no_answer_names_a_photo_that_is_gone(client: TestClient, library: Library) -> None:
    one = ids(client, "house-1")["blue.png"]
    hits = [*library.index.search("blue").hits[:1], *library.index.search("red").hits[:2]]
    lost = [hit.path for hit in hits]
    for path in lost:
        path.unlink()
    names = {(path.parent.name, path.name) for path in lost}

    def named(photos: list[dict[str, str]]) -> set[tuple[str, str]]:
        return {(photo["group"], photo["name"]) for photo in photos}

    found = client.get("/search", params={"q": "red", "nearest": 60}).json()
    assert found["gone"] == 3
    assert found["looked_at"] == 15
    assert not named(found["photos"] + found["nearest"]) & names
    alike = client.post("/search/photo", data={"id": one, "limit": "50"}).json()["photos"]
    assert len(alike) >= 14
    assert not named(alike) & names
    assert not named(client.get("/photos").json()["photos"]) & names


def test_an_answer_offers_the_query_that_was_meant(reader: TestClient) -> None:
    found = reader.get("/search", params={"q": "gardn \u2212blue"}).json()
    assert found["suggestions"] == ["garden -blue"]
    assert found["taken_out"] == 0
    assert reader.get("/search", params={"q": "garden"}).json()["suggestions"] == []
    none = reader.get("/photos", params={"label": "GARDEN\u200b"}).json()
    assert none["total"] == reader.get("/photos", params={"label": "garden"}).json()["total"] > 0
