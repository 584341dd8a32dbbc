"""Below a path, where a proxy serves it: addresses of pages, scripts and answers are below it."""

import re
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient

from photosieve.server.app import STATIC, create_app
from photosieve.server.guard import Rules
from photosieve.server.library import Library
from photosieve.server.pages import templates
from tests.unit.server.conftest import TOKEN, assert_problem

BELOW = "/photos"
"""As unkind as a path can be: the API has one of that name."""


@pytest.fixture
def client(shared: Library) -> Iterator[TestClient]:
    app, base = create_app(shared, Rules(token=TOKEN)), f"http://127.0.0.1:8765{BELOW}"
    with TestClient(app, base_url=base, root_path=BELOW, follow_redirects=False) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield client


@pytest.mark.parametrize("path", ["/", "/login"])
def test_links_of_pages_lead_below_the_path(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"Accept": "text/html"})
    links = re.findall(r'\b(?:href|src|action)="(?!#)([^"]*)"', answer.text)
    assert links
    for link in links:
        address = urljoin(str(answer.url), link)
        assert address.startswith(f"http://127.0.0.1:8765{BELOW}/"), link
        assert client.get(address).status_code in (200, 405), link  # 405: forms are posted


def test_pages_and_scripts_have_no_address_with_a_slash_in_front() -> None:
    files = [*STATIC.glob("*.js"), *STATIC.glob("*.css")]
    sources = {file.name: file.read_text("utf-8") for file in files}
    assert templates.env.loader is not None
    for name in templates.env.list_templates():
        sources[name] = templates.env.loader.get_source(templates.env, name)[0]
    for name, text in sources.items():
        quoted = re.findall(r"""(?:["'`]|url\()/[\w?$]\S*""", text)
        assert quoted == [], f"{name}: write these addresses without the first slash"


def test_addresses_in_answers_are_below_the_path(client: TestClient) -> None:
    listed = client.get("/photos", params={"limit": 1}).json()
    found = client.get("/search", params={"q": "red", "threshold": 0, "limit": 1}).json()
    for answer in (listed, found):
        (photo,) = answer["photos"]
        for address in (photo["photo"], photo["thumbnail"], answer["next"]):
            assert address.startswith(f"{BELOW}/")
            assert client.get(f"http://127.0.0.1:8765{address}").status_code == 200
    assert client.get("/openapi.json").json()["servers"] == [{"url": BELOW}]


def test_a_login_below_the_path(client: TestClient) -> None:
    del client.headers["Authorization"]
    answer = client.get("/", headers={"Accept": "text/html"})
    assert answer.headers["location"] == f"{BELOW}/login"
    assert client.get("/health").status_code == 200
    answer = client.post("/login", data={"token": TOKEN})
    assert answer.headers["location"] == f"{BELOW}/"
    assert f"path={BELOW};" in answer.headers["set-cookie"].lower()
    assert client.get("/photos").status_code == 200
    assert client.post("/logout").headers["location"] == f"{BELOW}/login"
    assert not client.cookies
    assert client.get("/photos").status_code == 401


def test_a_request_that_has_a_limit_of_its_own_has_it_below_the_path(client: TestClient) -> None:
    upload = {"photo": ("large.jpg", bytes(1_500_000), "image/jpeg")}  # no JSON may be as large
    assert_problem(client.post("/search/photo", files=upload), 400, "upload")
    assert_problem(client.post("/labels/undo", files=upload), 413, "are allowed")
