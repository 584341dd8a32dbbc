"""Labels are listed, renamed, merged, split and deleted across files, each as one step."""

import json
from pathlib import Path

from fastapi.testclient import TestClient

from photosieve.server.library import Library
from tests.unit.server.conftest import assert_problem, ids


def files(library: Library) -> list[Path]:
    (root,) = {Path(group.root) for group in library.view().snapshot.groups}
    return [root / "house-1" / "train_labels.json", root / "house-2" / "test_labels.json"]


def labels_of(file: Path) -> list[object]:
    return list(json.loads(file.read_text()).values())


def test_a_rename_goes_through_all_files_and_back(client: TestClient, library: Library) -> None:
    before = [file.read_bytes() for file in files(library)]
    done = client.post("/labels/rename", json={"label": "GARDEN", "to": " lawn "}).json()
    assert done["changed"] == 2
    assert "garden" not in done["labels"]
    assert done["labels"]["lawn"] == 2
    for file, old in zip(files(library), before, strict=True):
        assert file.read_bytes() == old.replace(b'"garden"', b'"lawn"')  # all else keeps its bytes
    undone = client.post("/labels/undo").json()
    assert len(undone["photos"]) == 2
    assert [file.read_bytes() for file in files(library)] == before


def test_a_name_that_is_taken_is_merged_not_renamed(client: TestClient, library: Library) -> None:
    before = [file.read_bytes() for file in files(library)]
    assert_problem(
        client.post("/labels/rename", json={"label": "garden", "to": "Blue"}), 409, "merge the two"
    )
    assert_problem(client.post("/labels/rename", json={"label": "none", "to": "x"}), 404, "none")
    assert_problem(client.post("/labels/rename", json={"label": "garden", "to": " "}), 409)
    assert [file.read_bytes() for file in files(library)] == before
    counts = client.get("/labels").json()["labels"]
    merged = {"labels": ["garden", "blue"], "to": "outside"}
    done = client.post("/labels/merge", json=merged).json()
    assert done["changed"] == done["labels"]["outside"] == counts["garden"] + counts["blue"]
    client.post("/labels/undo")
    assert [file.read_bytes() for file in files(library)] == before
    assert client.post("/labels/rename", json={"label": "garden", "to": "Garden"}).json()["changed"]


def test_some_photos_of_a_label_get_another(client: TestClient, library: Library) -> None:
    photos = ids(client, "house-1")
    green = photos["green.png"]
    change = {"label": "garden", "into": "lawn", "photos": [green, photos["blue.png"]]}
    assert client.post("/labels/split", json=change).json()["labels"]["lawn"] == 1
    assert "lawn" in json.loads(files(library)[0].read_text())["green.png"]
    assert not any("lawn" in str(own) for own in labels_of(files(library)[1]))
    wrong = {"label": "garden", "into": "lawn", "photos": [green]}
    assert_problem(client.post("/labels/split", json=wrong), 409, "already")
    wrong = {"label": "garden", "into": "new", "photos": [photos["blue.png"]]}
    assert_problem(client.post("/labels/split", json=wrong), 404, "none of these photos")


def test_a_label_split_off_an_exact_photo_is_a_no_on_lists(client: TestClient) -> None:
    green = ids(client, "house-3")["green.png"]
    client.put("/labels", json={"photos": {green: {"yes": ["garden"], "no": []}}})
    change = {"label": "garden", "into": "lawn", "photos": [green]}
    assert client.post("/labels/split", json=change).json()["labels"]["lawn"] == 1
    facts = {one["label"]: one for one in client.get("/labels/vocabulary").json()}
    listed = client.get("/labels").json()["listed"]
    assert facts["lawn"]["no"] == listed - 1
    assert facts["garden"]["no"] == listed - facts["garden"]["yes"]


def test_a_deleted_label_is_gone_and_comes_back(client: TestClient, library: Library) -> None:
    done = client.post("/labels/delete", json={"label": "garden"}).json()
    assert "garden" not in done["labels"]
    assert not any("garden" in str(own) for file in files(library) for own in labels_of(file))
    facts = {one["label"]: one for one in client.get("/labels/vocabulary").json()}
    assert facts["garden"]["yes"] == 0
    assert facts["garden"]["no"] == 0
    assert facts["garden"]["learned"] > 0  # the sieve knows it until it learns again
    client.post("/labels/undo")
    assert client.get("/labels").json()["labels"]["garden"] == 2


def test_what_is_known_of_a_label(client: TestClient) -> None:
    photos = ids(client, "house-3")
    exact = {"yes": ["garden"], "no": ["pool"]}
    client.put("/labels", json={"photos": {photos["green.png"]: exact}})
    facts = {one["label"]: one for one in client.get("/labels/vocabulary").json()}
    garden = facts["garden"]
    assert (garden["yes"], garden["test"], garden["buildings"]) == (3, 1, 2)
    assert garden["wanted"] == 3
    assert facts["pool"]["yes"] == 0
    assert facts["pool"]["no"] == 1  # lists say nothing of a label that came later
    assert facts["pool"]["wanted"] == 5


def test_photos_that_are_gone_keep_up(client: TestClient, library: Library) -> None:
    (files(library)[0].parent / "green.png").unlink()
    client.post("/labels/rename", json={"label": "garden", "to": "lawn"})
    assert "garden" not in client.get("/labels").json()["labels"]
