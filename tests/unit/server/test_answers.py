"""What people said of photos comes before what the sieve finds."""

from typing import Any

from fastapi.testclient import TestClient

from tests.unit.server.conftest import ids


def found(client: TestClient, query: str, **more: Any) -> dict[str, str | None]:
    """The photos of an answer by group and name, each with what is known of it."""
    answer = client.get("/search", params={"q": query, **more}).json()
    assert answer["matches"] == len(answer["photos"])
    assert all(photo["kept"] for photo in answer["photos"])
    return {f"{p['group']}/{p['name']}": p["known"] for p in answer["photos"]}


def test_a_photo_marked_wrong_leaves_and_one_marked_right_enters(client: TestClient) -> None:
    assert found(client, "garden") == {
        "house-1/green.png": "yes",
        "house-2/green.png": "yes",
        "house-3/green.png": None,
    }
    green, blue = (ids(client, "house-3")[name] for name in ("green.png", "blue.png"))
    client.patch("/labels", json={"photos": [green], "remove": ["garden"]})
    client.patch("/labels", json={"photos": [blue], "add": ["garden"]})
    now = {"house-1/green.png": "yes", "house-2/green.png": "yes", "house-3/blue.png": "yes"}
    assert found(client, "garden") == now
    assert found(client, "GARDEN", threshold=1) == now
    out = client.get("/search", params={"q": "garden"}).json()["nearest"]
    assert {p["reason"] for p in out if p["id"] == green} == {"marked wrong"}
    assert found(client, "garden", group="house-3") == {"house-3/blue.png": "yes"}
    assert found(client, "garden", known="hide") == {}
    assert found(client, "garden", known="only") == now
    alone = found(client, "garden", known="ignore")
    assert alone == {**dict.fromkeys(list(now)[:2], "yes"), "house-3/green.png": "no"}
    tested = client.get("/search", params={"q": "garden"}).json()["photos"]
    assert [p["test"] for p in tested if p["group"] == "house-2"] == [True]


def test_what_is_known_of_several_terms(client: TestClient) -> None:
    red = ids(client, "house-3")["red.png"]
    client.put("/labels", json={"photos": {red: {"yes": ["red"], "no": ["garden"]}}})
    place = "house-3/red.png"
    assert found(client, "red -garden", group="house-3")[place] == "yes"
    assert found(client, "garden|red", group="house-3")[place] == "yes"
    assert found(client, "red", group="house-3")[place] == "yes"
    assert place not in found(client, "red +garden", group="house-3", threshold=0)
    assert found(client, "red -window", group="house-3", threshold=0)[place] is None


def test_a_word_that_is_labeled_and_not_learned_yet(client: TestClient) -> None:
    both, red = (ids(client, "house-3")[name] for name in ("both.png", "red.png"))
    client.patch("/labels", json={"photos": [both, red], "add": ["zorblax"]})
    answer = client.get("/search", params={"q": "Zorblax"}).json()
    assert answer["terms"][0]["label"] is None
    assert answer["terms"][0]["labeled"] == 2
    assert {"house-3/both.png", "house-3/red.png"} <= found(client, "zorblax").keys()
    listed = {p["id"]: p["known"] for p in (*answer["photos"], *answer["nearest"])}
    assert [said for said in listed.values() if said] == ["yes", "yes"]  # nobody said no


def test_photos_that_may_have_a_label(client: TestClient) -> None:
    likely = client.get("/proposals", params={"label": "garden"}).json()
    assert {photo["group"] for photo in likely} == {"house-3"}  # known of the listed ones
    assert [p["name"] for p in likely if p["suggested"]] == ["green.png"]
    house = ids(client, "house-1")
    red = [house.pop("red.png"), house.pop("red-too.png")]
    client.patch("/labels", json={"photos": red, "add": ["zorblax"]})
    unsaid = client.get("/proposals", params={"label": "zorblax"}).json()
    assert {photo["id"] for photo in unsaid} > set(house.values())  # listed, and unknown
    client.patch("/labels", json={"photos": list(house.values()), "remove": ["zorblax"]})
    likely = client.get("/proposals", params={"label": "zorblax"}).json()
    assert {photo["group"] for photo in likely} == {"house-3"}
    assert {label for photo in likely for label in photo["suggested"]} <= {"zorblax"}
