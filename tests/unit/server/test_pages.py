"""Pages load nothing from elsewhere, and a login cannot be forged."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from photosieve.index.index import Index
from photosieve.server.guard import Rules
from photosieve.server.library import Library
from tests.conftest import write_building
from tests.unit.server.conftest import TOKEN, assert_problem, ids, served

EVIL = "\"'><img src=x onerror=alert(1)>"


def test_pages_have_no_inline_script_or_style_and_ask_nobody_else(reader: TestClient) -> None:
    for path in ("/", "/login"):
        text = reader.get(path).text
        assert "<style" not in text
        assert "style=" not in text
        assert " onclick" not in text
        assert "<script>" not in text
        assert "//" not in text.replace("<!doctype html>", "")


def test_names_are_text_on_every_page(tmp_path: Path, trained: Path) -> None:
    photos = tmp_path / EVIL
    for number, file in enumerate(("train_labels.json", "test_labels.json")):
        building = photos / f"{EVIL}{number}"
        write_building(building, file, seed=number)
        (building / "red.png").rename(building / f"{EVIL}.png")
        labels = json.loads((building / file).read_text())
        labels[f"{EVIL}.png"] = [*labels.pop("red.png"), EVIL]
        (building / file).write_text(json.dumps(labels))
    Index(tmp_path / "index").update(trained, photos)
    for client in served(Library(trained, str(tmp_path / "index"))):
        assert EVIL in client.get("/labels").json()["labels"]
        for path in ("/", "/report", "/login", f"/?q={EVIL}&in={EVIL}"):
            text = client.get(path, headers={"Accept": "text/html"}).text
            assert "<img" not in text, path
            assert "'>" not in text
        assert "&lt;img src=x onerror" in client.get("/").text


def test_a_login_is_remembered_for_a_while_and_cannot_be_forged(shared: Library) -> None:
    for client in served(shared, Rules(token=TOKEN)):
        assert "not the token" in client.post("/login", data={"token": "wrong"}).text
        assert client.get("/photos").status_code == 401
        answer = client.post("/login", data={"token": TOKEN}, follow_redirects=False)
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        assert client.get("/photos").status_code == 200
        ((name, value),) = client.cookies.items()
        assert name == "photosieve-8765"  # browsers send it to other ports of the host, too
        client.cookies.clear()
        client.cookies.set(name, value[:-2] + "xx")
        assert client.get("/photos").status_code == 401
    for client in served(shared, Rules(token=TOKEN, session_seconds=-1)):  # it has expired
        client.post("/login", data={"token": TOKEN}, follow_redirects=False)
        assert client.get("/photos").status_code == 401


def test_a_logout_ends_the_session_on_the_server(shared: Library) -> None:
    for client in served(shared, Rules(token=TOKEN)):
        client.post("/login", data={"token": TOKEN}, follow_redirects=False)
        stolen = dict(client.cookies.items())
        client.post("/logout", follow_redirects=False)
        assert not client.cookies
        client.cookies.update(stolen)
        assert client.get("/photos").status_code == 401


@pytest.mark.parametrize(
    "others",
    [
        "a{b}=1", "x=[1,2]", 'json={"a":"b"}', "=", ";;", "a", "photosieve-8765=x", "photosieve=x",
        "sid=\xe4", 'q="unclosed', "expires=Thu, 01 Jan 2026", "$Version=1", "a b=c", "x@y=1",
    ],
)  # fmt: skip
def test_cookies_of_other_programs_do_not_matter(shared: Library, others: str) -> None:
    for client in served(shared, Rules(token=TOKEN)):
        client.post("/login", data={"token": TOKEN}, follow_redirects=False)
        ((name, value),) = client.cookies.items()
        client.cookies.clear()
        for text in (f"{others}; {name}={value}", f"{name}={value};{others}"):
            headers = {b"Cookie": text.encode("latin-1")}
            assert client.get("/photos", headers=headers).status_code == 200, text


def test_read_only(shared: Library) -> None:
    for client in served(shared, Rules(read_only=True)):
        one = ids(client, "house-1")["red.png"]
        assert_problem(client.put("/labels", json={"photos": {one: []}}), 403, "read-only")
        assert_problem(client.post("/train"), 403, "read-only")
        assert_problem(client.post("/labels/undo"), 403)
        assert client.get("/search?q=red").status_code == 200
        assert client.post("/search/photo", data={"id": one}).status_code == 200
        assert 'id="learn"' not in client.get("/").text
