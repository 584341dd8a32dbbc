"""Who may ask: names of the server, other sites, tokens, and how much."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from photosieve.server.credentials import Credentials, Limiter, peer
from photosieve.server.guard import LIMITS, Rules
from photosieve.server.library import Library
from photosieve.server.problems import ApiError
from tests.unit.server.conftest import TOKEN, assert_problem, ids, served


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


def test_addresses_in_numbers_are_fine_with_a_token(shared: Library) -> None:
    rules = Rules(token=TOKEN, hosts=frozenset({"photos.example"}))
    for client in served(shared, rules):
        for host, status in (
            ("10.0.0.7:8765", 200),
            ("photos.example", 200),
            ("evil.example", 421),
        ):
            assert client.get("/health", headers={"Host": host}).status_code == status


def test_tries_of_a_token_are_limited_however_they_come(shared: Library) -> None:
    right = {"Authorization": f"Bearer {TOKEN}"}
    for client in served(shared, Rules(token=TOKEN)):
        session = client.post("/login", data={"token": TOKEN}, follow_redirects=False).cookies
        client.cookies.clear()
        for number in range(10):
            spoofed = {"X-Forwarded-For": f"10.0.0.{number}", "Forwarded": f"for=10.0.0.{number}"}
            if number % 2:
                wrong = {"Authorization": f"Bearer {number}", **spoofed}
                assert client.get("/photos", headers=wrong).status_code == 401
            else:
                answer = client.post("/login", data={"token": str(number)}, headers=spoofed)
                assert answer.status_code == 401
        for answer in (
            client.get("/photos", headers=right),
            client.post("/login", data={"token": TOKEN}),
        ):
            assert_problem(answer, 429, "too many wrong tokens")
            assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/health", headers={"Authorization": "Bearer x"}).status_code == 200
        client.cookies.update(session)  # those who are in stay in
        assert client.get("/photos").status_code == 200


def test_tries_of_a_cookie_are_limited(shared: Library) -> None:
    for client in served(shared, Rules(token=TOKEN)):
        codes = set()
        for number in range(120):
            headers = {"Cookie": f"photosieve-8765={number}"}
            codes.add(client.get("/photos", headers=headers).status_code)
        assert codes == {401, 429}
        assert client.post("/login", data={"token": TOKEN}).status_code == 200


def test_tries_at_the_same_time_are_counted_one_by_one() -> None:
    credentials = Credentials(TOKEN, 60, Limiter(LIMITS))
    answers: list[bool | None] = []

    def guess(number: int) -> None:
        try:
            answers.append(credentials.accept(b"%d" % number, "10.0.0.1"))
        except ApiError:
            answers.append(None)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(guess, range(200)))
    assert sorted(answers, key=str) == [False] * 10 + [None] * 190
    assert credentials.accept(TOKEN.encode(), "10.0.0.2")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("testclient", "testclient", True),
    ],
)
def test_one_client_has_one_address(one: str, other: str, same: bool) -> None:
    assert (peer({"client": (one, 1)}) == peer({"client": (other, 2)})) == same


def test_uploads_and_bodies_are_capped(shared: Library) -> None:
    for client in served(shared, Rules(max_upload=10_000)):
        assert_problem(client.post("/search/photo", files={"photo": b"x" * 30_000}), 413)

        def endless() -> Iterator[bytes]:  # without a length that could be looked at
            for _ in range(300):
                yield b" " * 10_000

        assert_problem(client.put("/labels", content=endless()), 413)
