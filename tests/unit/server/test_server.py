"""The API: what it answers, what it refuses, and that it tells nobody where photos are."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from photosieve.data.dataset import Dataset
from photosieve.decision.cut import Cut
from photosieve.index.index import Index
from photosieve.server import guard, worker
from photosieve.server import photos as api
from photosieve.server.app import create_app
from photosieve.server.guard import Rules
from photosieve.server.jobs import Job, Jobs
from photosieve.server.library import Library
from photosieve.server.service import Service
from photosieve.server.thumbnails import SIDE
from photosieve.sieve import saved as storage
from photosieve.sieve.answer import Hit, SearchResult
from photosieve.sieve.sieve import Sieve
from tests.conftest import QUICK, FakeEncoder, write_building
from tests.library import CountingEncoder, fake_by_name

TOKEN = "correct horse battery"


@pytest.fixture(scope="module", autouse=True)
def _by_name() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "load_encoder", fake_by_name)
        patch.setattr(worker, "load_encoder", fake_by_name)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, listings: Path) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "sieve"
    Sieve.fit(Dataset.load(listings / "train"), FakeEncoder(), recipe=QUICK).save(folder)
    return folder


def collection(folder: Path, trained: Path) -> Library:
    """Two labeled buildings, one of them for testing, and one without labels."""
    photos = folder / "secret-place"
    write_building(photos / "house-1", "train_labels.json", seed=1)
    write_building(photos / "house-2", "test_labels.json", seed=2)
    write_building(photos / "house-3", "labels.json", seed=3)
    (photos / "house-3" / "labels.json").unlink()
    sieve = folder / "sieve"
    Sieve.load(trained).save(sieve)
    Index(folder / "index").update(sieve, photos)
    return Library(sieve, str(folder / "index"))


@pytest.fixture
def library(tmp_path: Path, trained: Path) -> Library:
    """A collection of the test's own, to be changed."""
    return collection(tmp_path, trained)


@pytest.fixture
def client(library: Library) -> Iterator[TestClient]:
    yield from served(library)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Library:
    """A collection that no test changes."""
    return collection(tmp_path_factory.mktemp("shared"), trained)


@pytest.fixture(scope="module")
def reader(shared: Library) -> Iterator[TestClient]:
    """For questions that change nothing."""
    yield from served(shared)


def served(library: Library, rules: Rules | None = None) -> Iterator[TestClient]:
    app = create_app(library, rules)
    with TestClient(app, base_url="http://127.0.0.1:8765", raise_server_exceptions=False) as client:
        yield client


def ids(client: TestClient, group: str) -> dict[str, str]:
    """Ids of a group's photos by their names."""
    found = client.get("/photos", params={"group": group}).json()["photos"]
    return {photo["name"]: photo["id"] for photo in found}


def assert_problem(answer: httpx.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status
    assert found["title"]
    for word in words:
        assert word in found["detail"], found["detail"]


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
    in_one = reader.get("/search", params={"q": "garden", "group": "house-3"}).json()
    assert [p["group"] for p in in_one["photos"]] == ["house-3"]


def test_the_cut_can_be_moved(reader: TestClient) -> None:
    learned = reader.get("/search", params={"q": "red"}).json()
    assert learned["learned"]
    everything = reader.get("/search", params={"q": "red", "threshold": 0}).json()
    assert everything["matches"] == 18
    nothing = reader.get("/search", params={"q": "red", "threshold": 1}).json()
    assert nothing["matches"] == 0
    assert nothing["nearest"]
    at = reader.get("/search", params={"q": "red", "threshold": learned["threshold"]}).json()
    assert [p["id"] for p in at["photos"]] == [p["id"] for p in learned["photos"]]
    assert not at["learned"]


def test_pages_of_an_answer(reader: TestClient) -> None:
    address = "/search?q=red&threshold=0&limit=7"
    seen: list[str] = []
    while address:
        found = reader.get(address).json()
        seen += [photo["id"] for photo in found["photos"]]
        address = found["next"]
    assert len(seen) == len(set(seen)) == 18
    first = reader.get("/photos?limit=10").json()
    rest = reader.get(first["next"]).json()
    assert (first["total"], len(rest["photos"]), rest["next"]) == (18, 8, None)


def test_photos_and_thumbnails(client: TestClient, library: Library) -> None:
    one = ids(client, "house-1")["red.png"]
    whole = client.get(f"/photos/{one}")
    assert whole.headers["content-type"] == "image/png"
    again = client.get(f"/photos/{one}", headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    address = client.get(f"/labels?id={one}").json()["photos"][0]["thumbnail"]
    small = client.get(address)
    assert small.headers["content-type"] == "image/jpeg"
    assert "immutable" in small.headers["cache-control"]
    assert "no-cache" in client.get(f"/thumbnails/{one}").headers["cache-control"]
    assert client.get(address, headers={"If-None-Match": small.headers["etag"]}).status_code == 304
    (file,) = (library.state / "thumbnails").rglob("*.jpg")
    before = file.stat().st_mtime_ns
    client.get(address)
    assert file.stat().st_mtime_ns == before  # made once
    with Image.open(file) as image:
        assert max(image.size) <= SIDE


def test_formats_that_browsers_do_not_show_are_converted(tmp_path: Path, trained: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (40, 30), "red").save(photos / "scan.tif")
    Index(tmp_path / "index").update(trained, photos)
    for client in served(Library(trained, str(tmp_path / "index"))):
        (one,) = ids(client, "photos").values()
        answer = client.get(f"/photos/{one}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content[:2] == b"\xff\xd8"


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


def test_labels_are_written_where_they_belong_and_taken_back(
    client: TestClient, tmp_path: Path
) -> None:
    one, two = (ids(client, "house-3")[name] for name in ("red.png", "gray.png"))
    changed = client.put("/labels", json={"photos": {one: ["red", "new word"], two: []}}).json()
    assert changed["labels"]["new word"] == 1
    assert [photo["labels"] for photo in changed["photos"]] == [["red", "new word"], []]
    file = tmp_path / "secret-place" / "house-3" / "labels.json"
    assert json.loads(file.read_text()) == {"red.png": ["red", "new word"], "gray.png": []}
    assert len(client.get("/photos?label=new word").json()["photos"]) == 1
    assert client.get("/photos?labeled=false").json()["total"] == 4
    undone = client.post("/labels/undo").json()
    assert [photo["labels"] for photo in undone["photos"]] == [None, None]
    assert_problem(client.post("/labels/undo"), 409, "nothing to take back")
    assert_problem(client.put("/labels", json={"photos": {one: ["a\0b"]}}), 409, "unprintable")
    assert_problem(client.put("/labels", json={"photos": {"f" * 16: ["a"]}}), 404)
    assert_problem(client.put("/labels", json={"photos": {"../etc": ["a"]}}), 422)


def test_a_tick_on_a_photo_without_labels_starts_from_what_the_sieve_finds(
    client: TestClient,
) -> None:
    both = ids(client, "house-3")["both.png"]
    listed = ids(client, "house-1")["gray.png"]
    wish = {"photos": [both, listed], "add": ["sofa"], "remove": ["Blue"]}
    changed = client.patch("/labels", json=wish).json()
    assert [photo["labels"] for photo in changed["photos"]] == [["red", "sofa"], ["sofa"]]


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


def test_doubt_is_greatest_at_the_cut(shared: Library) -> None:
    view = shared.view()
    vectors = np.asarray(view.snapshot.vectors)
    found = Service(shared).doubt(view, vectors)
    assert found is not None
    labels, cut = tuple(view.sieve.labels), view.sieve.cut.floor
    scores = vectors @ view.sieve.scorer.embed(labels).T
    away = np.abs(view.sieve.tuning.calibration.labels(scores, labels) - cut).min(1)
    assert found.argmax() == away.argmin()
    assert found.argmin() == away.argmax()


def test_the_threshold_that_is_shown_parts_what_is_kept() -> None:
    def shown(gate: float, floor: float, *kept: float) -> float:
        hits = tuple(Hit(Path("a.jpg"), 0.0, probability) for probability in kept)
        return api._threshold(SearchResult("q", (), hits, (), Cut(gate, floor), 9))

    assert shown(0.6, 0.3) == 0.6  # nothing gets in below the gate
    assert shown(0.6, 0.3, 0.9, 0.5) == 0.5  # but behind a photo that passed it
    assert shown(0.6, 0.3, 0.9) == 0.6
    assert shown(0.3, 0.6, 0.4) == 0.6
    assert shown(-1.0, -1.0, 0.4) == 0.0
    assert shown(2.0, 2.0) == 1.0


def test_learning_before_and_after(client: TestClient, library: Library, tmp_path: Path) -> None:
    for name, one in ids(client, "house-3").items():
        color = name.partition(".")[0].partition("-")[0]
        client.put("/labels", json={"photos": {one: [] if color == "gray" else [f"my {color}"]}})
    before = library.view().sieve
    told: list[str] = []
    result = worker.learn(library, tmp_path / "new", lambda stage, *_: told.append(stage))
    assert told
    assert set(result["new_labels"]) == {"my red", "my green", "my blue", "my both"}
    assert result["lost_labels"] == []
    assert result["photos"] == 12  # none of those for testing
    assert result["review"]["tested"]
    assert result["review"]["photos"] == 6
    made = Sieve.load(tmp_path / "new")
    assert set(made.labels) == set(result["labels"])
    assert library.view().sieve.encoder.fingerprint == before.encoder.fingerprint

    CountingEncoder.embedded.clear()
    jobs = Jobs(library)
    (library.state / "new-sieve").parent.mkdir(parents=True, exist_ok=True)
    made.save(library.state / "new-sieve")
    job = Job("x", state="done", result=result)
    jobs.keep(job)
    assert job.state == "kept"
    assert library.view().sieve.encoder.fingerprint == made.encoder.fingerprint
    assert Sieve.load(library.sieve_folder).encoder.fingerprint == made.encoder.fingerprint
    assert CountingEncoder.embedded == []  # no photo was embedded for the new sieve
    assert client.get("/search", params={"q": "my green"}).json()["terms"][0]["label"] == "my green"


def test_a_review_without_test_photos_is_by_held_out_buildings(
    library: Library, tmp_path: Path
) -> None:
    (tmp_path / "secret-place" / "house-2" / "test_labels.json").rename(
        tmp_path / "secret-place" / "house-2" / "labels.json"
    )
    fresh = Library(library.sieve_folder, library.address)
    result = worker.learn(fresh, tmp_path / "new", lambda *_: None)
    assert not result["review"]["tested"]
    assert result["review"]["photos"] == 12
    assert result["review"]["buildings"] == 2


def test_nothing_to_learn_from(tmp_path: Path, trained: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "photo.png")
    Index(tmp_path / "index").update(trained, tmp_path)
    library = Library(trained, str(tmp_path / "index"))
    with pytest.raises(Exception, match="no photo has a label yet"):
        worker.learn(library, tmp_path / "new", lambda *_: None)


def test_evaluation_health_and_metrics(client: TestClient) -> None:
    found = client.get("/evaluation").json()
    assert found["test"]["photos"] == 6
    assert found["held_out"]["figures"]["f1"] > 0.5
    assert client.get("/health").json() == {"status": "ok", "photos": 18, "labels": 3}
    client.get("/photos/ffffffffffffffff")
    text = client.get("/metrics").text
    assert 'photosieve_requests_total{endpoint="/photos/{photo_id}",status="404"} 1.0' in text
    assert "photosieve_photos 18.0" in text
    page = client.get("/report")
    assert "sandbox" in page.headers["content-security-policy"]


def test_an_index_that_grows_is_seen(client: TestClient, library: Library, tmp_path: Path) -> None:
    before = ids(client, "house-1")
    assert (library.state / "ids.key").stat().st_mode & 0o777 == 0o600  # who has it can tell ids
    Image.new("RGB", (9, 9), "red").save(tmp_path / "secret-place" / "house-1" / "new.png")
    Index(library.address).update()
    after = ids(client, "house-1")
    assert after.keys() - before.keys() == {"new.png"}
    assert before.items() <= after.items()  # ids stay


# --- what is refused


def test_no_answer_tells_where_photos_are(
    client: TestClient, library: Library, tmp_path: Path
) -> None:
    one = ids(client, "house-1")["red.png"]
    (tmp_path / "secret-place" / "house-1" / "red.png").unlink()
    texts = [
        client.get(path).text
        for path in (
            "/", "/groups", "/photos", "/search?q=red", "/labels", "/health", "/metrics",
            "/evaluation", "/openapi.json", f"/photos/{one}", "/search?q=red&group=nope",
            "/search?q=red&where=nope", "/search?q=", "/nope", f"/labels?id={one}", "/proposals",
        )
    ]  # fmt: skip
    (tmp_path / "secret-place" / "house-1" / "train_labels.json").write_bytes(b"\xff{")
    texts.append(client.get("/labels").text)
    (Path(library.address) / "photos.lance").rename(tmp_path / "gone")
    texts.append(client.get("/search?q=red").text)
    assert client.get("/search?q=red").status_code == 503
    for text in texts:
        assert "secret-place" not in text
        assert str(tmp_path) not in text
        assert "Traceback" not in text
        assert ".py" not in text


@pytest.mark.parametrize(
    "condition", ["root LIKE '/%'", "width > 0 AND `Root` != ''", "\"root\" = 'a'", "\tROOT > 'a'"]
)
def test_where_folders_are_cannot_be_guessed(reader: TestClient, condition: str) -> None:
    answer = reader.get("/search", params={"q": "red", "where": condition})
    assert_problem(answer, 400, "where folders are")
    said = reader.get("/search", params={"q": "red", "where": "\"group\" = 'root'"})
    assert said.json()["looked_at"] == 0


def test_a_photo_that_becomes_a_link_is_not_followed(client: TestClient, tmp_path: Path) -> None:
    one = ids(client, "house-1")["red.png"]
    outside = tmp_path / "outside.png"
    Image.new("RGB", (9, 9)).save(outside)
    photo = tmp_path / "secret-place" / "house-1" / "red.png"
    photo.unlink()
    photo.symlink_to(outside)
    assert_problem(client.get(f"/photos/{one}"), 410, "a link to another place")
    assert_problem(client.get(f"/thumbnails/{one}"), 410)


@pytest.mark.parametrize("path", ["..%2f..%2fetc%2fpasswd", "%00", "0" * 15, "G" * 16, "0" * 400])
def test_ids_that_cannot_be(reader: TestClient, path: str) -> None:
    for kind in ("photos", "thumbnails"):
        assert reader.get(f"/{kind}/{path}").status_code in (404, 422)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8765", "8.8.8.8", ""])
def test_other_names_are_refused(reader: TestClient, host: str) -> None:
    assert_problem(reader.get("/search?q=red", headers={"Host": host}), 421)


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:1", "[::1]:8765", "LOCALHOST"])
def test_names_of_this_machine_are_fine(reader: TestClient, host: str) -> None:
    assert reader.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://evil-127.0.0.1:8765"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_are_refused(reader: TestClient, headers: dict[str, str]) -> None:
    for method, path in (("POST", "/train"), ("PUT", "/labels"), ("GET", "/search?q=red")):
        assert_problem(reader.request(method, path, headers=headers), 403, "another site")


def test_the_page_of_this_site_may_do_everything(client: TestClient) -> None:
    headers = {"Origin": "http://127.0.0.1:8765", "Sec-Fetch-Site": "same-origin"}
    one = ids(client, "house-1")["red.png"]
    answer = client.put("/labels", json={"photos": {one: ["red"]}}, headers=headers)
    assert answer.status_code == 200
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200  # somebody follows a link
    assert_problem(client.post("/train", headers=link), 403, "another site")  # or sends a form


def test_a_form_of_another_site_is_no_json(reader: TestClient) -> None:
    answer = reader.put("/labels", content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422


def test_headers_of_every_answer(reader: TestClient) -> None:
    for path in ("/", "/search?q=red", "/nope", "/static/page.css", "/health"):
        headers = reader.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers


def test_pages_have_no_inline_script_or_style_and_ask_nobody_else(reader: TestClient) -> None:
    for path in ("/", "/login"):
        text = reader.get(path).text
        assert "<style" not in text
        assert "style=" not in text
        assert " onclick" not in text
        assert "<script>" not in text
        assert "//" not in text.replace("<!doctype html>", "")


def test_a_token_is_asked_for(shared: Library) -> None:
    for client in served(shared, Rules(token=TOKEN)):
        for path in ("/search?q=red", "/photos", "/labels", "/metrics", "/openapi.json", "/"):
            assert_problem(client.get(path), 401, "Bearer")
        assert client.get("/health").status_code == 200
        wrong = {"Authorization": "Bearer nope"}
        assert_problem(client.get("/photos", headers=wrong), 401)
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get("/photos", headers=right).status_code == 200
        page = client.get("/", headers={"Accept": "text/html"}, follow_redirects=False)
        assert (page.status_code, page.headers["location"]) == (303, "/login")


def test_a_login_is_remembered_for_a_while_and_cannot_be_forged(
    shared: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for client in served(shared, Rules(token=TOKEN)):
        assert "not the token" in client.post("/login", data={"token": "wrong"}).text
        assert client.get("/photos").status_code == 401
        answer = client.post("/login", data={"token": TOKEN}, follow_redirects=False)
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        assert client.get("/photos").status_code == 200
        value = client.cookies[guard.COOKIE]
        client.cookies.set(guard.COOKIE, value[:-2] + "xx")
        assert client.get("/photos").status_code == 401
        client.cookies.set(guard.COOKIE, value)
        monkeypatch.setattr(guard, "SESSION_SECONDS", -1)  # as if it were so long ago
        assert client.get("/photos").status_code == 401
        monkeypatch.undo()
        client.cookies.clear()
        forged = Rules(token="another token").signer().sign("logged in").decode()
        client.cookies.set(guard.COOKIE, forged)
        assert client.get("/photos").status_code == 401


def test_addresses_in_numbers_are_fine_with_a_token(shared: Library) -> None:
    rules = Rules(token=TOKEN, hosts=frozenset({"photos.example"}))
    for client in served(shared, rules):
        for host, status in (
            ("10.0.0.7:8765", 200),
            ("photos.example", 200),
            ("evil.example", 421),
        ):
            assert client.get("/health", headers={"Host": host}).status_code == status


def test_tries_of_a_token_are_limited(shared: Library) -> None:
    for client in served(shared, Rules(token=TOKEN)):
        tries = [client.post("/login", data={"token": str(n)}).status_code for n in range(12)]
        assert tries[:10] == [401] * 10
        answer = client.post("/login", data={"token": TOKEN})
        assert_problem(answer, 429)
        assert int(answer.headers["retry-after"]) >= 1


def test_read_only(shared: Library) -> None:
    for client in served(shared, Rules(read_only=True)):
        one = ids(client, "house-1")["red.png"]
        assert_problem(client.put("/labels", json={"photos": {one: []}}), 403, "read-only")
        assert_problem(client.post("/train"), 403, "read-only")
        assert_problem(client.post("/labels/undo"), 403)
        assert client.get("/search?q=red").status_code == 200
        assert client.post("/search/photo", data={"id": one}).status_code == 200
        assert 'id="learn"' not in client.get("/").text


def test_uploads_and_bodies_are_capped(shared: Library) -> None:
    for client in served(shared, Rules(max_upload=10_000)):
        assert_problem(client.post("/search/photo", files={"photo": b"x" * 30_000}), 413)

        def endless() -> Iterator[bytes]:  # without a length that could be looked at
            for _ in range(300):
                yield b" " * 10_000

        assert_problem(client.put("/labels", content=endless()), 413)


def test_a_huge_picture_is_refused_before_it_is_decoded(reader: TestClient, tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "big.png")
    started = time.monotonic()
    with (tmp_path / "big.png").open("rb") as stream:
        answer = reader.post("/search/photo", files={"photo": stream})
    assert_problem(answer, 400, "400,000,000 pixels")
    assert time.monotonic() - started < 5


def test_two_trainings_do_not_run_at_once(client: TestClient, monkeypatch: Any) -> None:
    class Idle:
        def __init__(self, *_: Any, **__: Any) -> None:
            read, self._write = os.pipe()
            self.stdin = Path(os.devnull).open("w")  # noqa: SIM115
            self.stdout = os.fdopen(read)
            self.stderr = None

        def wait(self) -> int:
            return 1

        def kill(self) -> None:
            os.close(self._write)

    monkeypatch.setattr(subprocess, "Popen", Idle)
    started = client.post("/train")
    assert started.status_code == 202
    assert_problem(client.post("/train"), 409, "running already")
    job = started.json()
    assert client.get(started.headers["location"]).json()["state"] == "running"
    assert_problem(client.post(f"/jobs/{job['id']}/keep"), 409, "nothing to keep")
    assert client.delete(f"/jobs/{job['id']}").json()["state"] == "cancelled"
    assert "cancelled" in client.get(f"/jobs/{job['id']}/events").text
    assert_problem(client.get("/jobs/none"), 404)
    jobs: Jobs = client.app.state.service.jobs  # type: ignore[attr-defined]
    assert jobs.newest is not None
    jobs.newest.state = "done"
    client.post("/train")  # without a word about the last one
    assert client.get(f"/jobs/{job['id']}").json()["state"] == "dropped"
