"""The whole application: figures, health and the headers of every answer."""

from fastapi.testclient import TestClient


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


def test_headers_of_every_answer(reader: TestClient) -> None:
    for path in ("/", "/search?q=red", "/nope", "/static/css/base.css", "/health"):
        headers = reader.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
