"""Photos and buildings are listed in orders and parts, with covers and details."""

from collections import Counter
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from photosieve.server.library import Library
from tests.unit.server.conftest import assert_problem, ids


def test_buildings_have_a_cover_and_their_labels(reader: TestClient) -> None:
    first, test, unlabeled = reader.get("/groups").json()
    assert (first["name"], first["photos"], first["labeled"], first["test"]) == (
        "house-1", 6, 6, False,
    )  # fmt: skip
    assert (test["test"], unlabeled["labeled"], unlabeled["labels"]) == (True, 0, {})
    listed = reader.get("/photos", params={"group": "house-1"}).json()["photos"]
    counts = Counter(label for photo in listed for label in photo["labels"])
    assert sorted(first["labels"].values()) == sorted(n for _, n in counts.most_common(5))
    assert reader.get(first["cover"]).headers["content-type"] == "image/jpeg"
    assert [b["name"] for b in reader.get("/groups?part=HOUSE-3").json()] == ["house-3"]
    assert [b["name"] for b in reader.get("/groups?offset=1&limit=1").json()] == ["house-2"]
    assert reader.get("/groups?part=nowhere").json() == []


def test_a_building_whose_first_photo_is_gone_has_another_cover(
    client: TestClient, library: Library
) -> None:
    view = library.view()
    before = client.get("/groups").json()[0]["cover"]
    view.photo(view.snapshot.groups[0].start).path.unlink()
    after = client.get("/groups").json()[0]["cover"]
    assert after != before
    assert client.get(after).status_code == 200


def test_photos_in_other_orders(client: TestClient) -> None:
    def names(sort: str, **more: str) -> list[tuple[str, str]]:
        found = client.get("/photos", params={"sort": sort, **more}).json()
        return [(photo["name"], photo["group"]) for photo in found["photos"]]

    by_name = names("name")
    assert by_name == sorted(by_name)
    assert names("building") == sorted(by_name, key=lambda photo: (photo[1], photo[0]))
    assert sorted(names("date")) == by_name
    assert names("name", group="house-2") == [photo for photo in by_name if photo[1] == "house-2"]
    page = client.get("/photos?sort=name&limit=4").json()
    rest = client.get(page["next"]).json()["photos"]
    assert [(photo["name"], photo["group"]) for photo in rest] == by_name[4:8]
    assert_problem(client.get("/photos?sort=size"), 422)


def test_matches_in_other_orders(reader: TestClient) -> None:
    def found(sort: str) -> list[dict[str, Any]]:
        parameters = {"q": "red", "threshold": "0.01", "sort": sort}
        return list(reader.get("/search", params=parameters).json()["photos"])

    best = found("probability")
    assert len(best) > 3
    unsure = [(p["known"] is not None, p["probability"] - 0.01) for p in found("unsure")]
    assert unsure == sorted(unsure)
    assert {known for known, _ in unsure} == {True, False}
    assert [p["name"] for p in found("name")] == sorted(p["name"] for p in best)
    places = [(p["group"], p["name"]) for p in found("building")]
    assert places == sorted(places)
    assert {p["id"] for p in found("date")} == {p["id"] for p in best}


def test_details_of_a_photo(reader: TestClient, shared: Library) -> None:
    one = ids(reader, "house-1")["blue.png"]
    found = reader.get(f"/photos/{one}/details").json()
    photo = shared.view().find(one)
    assert photo is not None
    with Image.open(photo.path) as image:
        assert (found["width"], found["height"]) == image.size
    assert found["bytes"] == photo.path.stat().st_size
    assert found["changed"] == pytest.approx(photo.path.stat().st_mtime)
    assert found["columns"] == {}
    assert_problem(reader.get(f"/photos/{'0' * 16}/details"), 404)
