"""No answer names a folder of this machine."""

from pathlib import Path

from fastapi.testclient import TestClient

from photosieve.server.library import Library
from tests.unit.server.conftest import ids


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
