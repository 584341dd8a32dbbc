"""Labels are written and undone, and photos without labels are proposed."""

import json
import threading
from pathlib import Path

from fastapi.testclient import TestClient
from PIL import Image

from photosieve.data.dataset import Dataset
from photosieve.index.index import Index
from photosieve.server.library import Library
from tests.unit.server.conftest import assert_problem, ids


def test_labels_are_written_where_they_belong_and_taken_back(
    client: TestClient, library: Library, tmp_path: Path
) -> None:
    one, two = (ids(client, "house-3")[name] for name in ("red.png", "gray.png"))
    changed = client.put("/labels", json={"photos": {one: ["red", "new word"], two: []}}).json()
    assert changed["labels"]["new word"] == 1
    assert [photo["labels"] for photo in changed["photos"]] == [["red", "new word"], []]
    file = tmp_path / "secret-place" / "house-3" / "labels.json"
    no = ["blue", "garden"]  # lists would say no to the new word on all photos listed before
    assert json.loads(file.read_text()) == {
        "red.png": {"yes": ["red", "new word"], "no": no},
        "gray.png": {"yes": [], "no": ["red", *no, "new word"]},
    }
    learned = library.view().book.dataset(test=False, groups=library.view().groups_of_photos)
    assert learned is not None
    assert learned.known(["new word"]).sum() == 2
    assert Dataset.load(tmp_path / "secret-place", training=True).known(["new word"]).sum() == 2
    assert len(client.get("/photos?label=new word").json()["photos"]) == 1
    assert client.get("/photos?labeled=false").json()["total"] == 4
    undone = client.post("/labels/undo").json()
    assert [photo["labels"] for photo in undone["photos"]] == [None, None]
    assert_problem(client.post("/labels/undo"), 409, "nothing to undo")
    assert_problem(client.put("/labels", json={"photos": {one: ["a\0b"]}}), 409, "unprintable")
    assert_problem(client.put("/labels", json={"photos": {"f" * 16: ["a"]}}), 404)
    assert_problem(client.put("/labels", json={"photos": {"../etc": ["a"]}}), 422)


def test_exact_labels_are_written_returned_and_stay_exact(
    client: TestClient, tmp_path: Path
) -> None:
    one, two = (ids(client, "house-3")[name] for name in ("red.png", "gray.png"))
    exact = {one: {"yes": ["red"], "no": ["blue"]}, two: ["blue"]}
    changed = client.put("/labels", json={"photos": exact}).json()["photos"]
    assert [(photo["labels"], photo["no"]) for photo in changed] == [
        (["red"], ["blue"]),
        (["blue"], None),
    ]
    file = tmp_path / "secret-place" / "house-3" / "labels.json"
    assert json.loads(file.read_text()) == {"red.png": exact[one], "gray.png": ["blue"]}
    change = {"photos": [one, two], "add": ["Blue"], "remove": ["red"]}
    changed = client.patch("/labels", json=change).json()["photos"]
    assert [photo["labels"] for photo in changed] == [["Blue"], ["blue"]]
    assert [photo["no"] for photo in changed] == [["red"], None]
    client.put("/labels", json={"photos": {one: ["red"]}})
    found = client.get("/labels", params={"id": one}).json()["photos"][0]
    assert (found["labels"], found["no"]) == (["red"], ["Blue"])
    both = {one: {"yes": ["red"], "no": ["Red"]}}
    assert_problem(client.put("/labels", json={"photos": both}), 409, "both yes and no")
    assert_problem(client.put("/labels", json={"photos": {one: {"maybe": ["red"]}}}), 422)
    unknown = client.patch("/labels", json={"photos": [one], "yes": ["red"]})
    assert_problem(unknown, 422, "yes: there is no such field")


def test_a_click_says_nothing_about_other_labels_and_other_photos(
    client: TestClient, tmp_path: Path
) -> None:
    folder = tmp_path / "secret-place"
    before = (folder / "house-1" / "train_labels.json").read_text()
    both = ids(client, "house-3")["both.png"]
    listed = ids(client, "house-1")["gray.png"]
    change = {"photos": [both, listed], "add": ["sofa"], "remove": ["Blue", "TV"]}
    changed = client.patch("/labels", json=change).json()
    found = [(set(photo["labels"]), set(photo["no"])) for photo in changed["photos"]]
    assert found[0] == ({"sofa"}, {"Blue", "TV"})  # nobody said anything else of this photo
    assert found[1] == ({"sofa"}, {"red", "Blue", "garden", "TV"})  # as its list said before
    data = Dataset.load(folder)
    assert data.known(["sofa", "TV"]).sum(0).tolist() == [2, 2]  # unknown on all other photos
    assert data.known(["red"]).sum() == len(data) - 1
    assert client.get("/labels").json()["open"] == ["sofa"]
    client.patch("/labels", json={"photos": [listed], "add": ["red"]})
    client.post("/labels/undo")
    client.post("/labels/undo")
    assert (folder / "house-1" / "train_labels.json").read_text() == before
    client.patch("/labels", json={"photos": [listed], "add": ["red"], "remove": ["blue"]})
    assert client.get(f"/labels?id={listed}").json()["photos"][0]["no"] is None  # still a list


def test_proposals_have_no_labels_yet_and_are_not_for_testing(
    client: TestClient, library: Library, tmp_path: Path
) -> None:
    Image.new("RGB", (9, 9), "blue").save(tmp_path / "secret-place" / "house-2" / "new.png")
    Index(library.address).update()
    found = client.get("/proposals?limit=4").json()
    assert {photo["group"] for photo in found} == {"house-3"}
    assert len({photo["id"] for photo in found}) == 4
    assert all(photo["labels"] is None for photo in found)
    every = client.get("/proposals?limit=48").json()
    assert {photo["group"] for photo in every} == {"house-3"}
    suggested = {photo["name"]: photo["suggested"] for photo in every}
    assert suggested["green.png"] == ["garden"]


def test_of_two_requests_at_once_both_additions_stay(client: TestClient) -> None:
    one = ids(client, "house-1")["red.png"]

    def add(name: str) -> None:
        for number in range(10):
            change = {"photos": [one], "add": [f"{name} {number}"], "remove": []}
            assert client.patch("/labels", json=change).status_code == 200

    threads = [threading.Thread(target=add, args=(name,)) for name in ("ann", "ben", "cy")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    labels = client.get(f"/labels?id={one}").json()["photos"][0]["labels"]
    added = {f"{name} {number}" for name in ("ann", "ben", "cy") for number in range(10)}
    assert added <= set(labels)


def test_labels_that_cannot_be_written_are_a_sentence(
    client: TestClient, library: Library, tmp_path: Path
) -> None:
    one = ids(client, "house-1")["red.png"]
    before = (tmp_path / "secret-place" / "house-1" / "train_labels.json").read_bytes()
    lock = library.state / ".labels-history.jsonl.lock"
    lock.mkdir()  # nothing stops root but that
    for answer in (
        client.put("/labels", json={"photos": {one: ["new"]}}),
        client.patch("/labels", json={"photos": [one], "add": ["new"]}),
        client.post("/labels/undo"),
    ):
        assert_problem(answer, 409, "cannot be written", "nothing was changed")
    assert (tmp_path / "secret-place" / "house-1" / "train_labels.json").read_bytes() == before
