"""Indexes of earlier versions still load, and answer as they did."""

import shutil
from pathlib import Path

import pytest

from photosieve.index.index import Index
from tests.unit.sieve.test_old_sieves import FOLDER as SIEVE

ARCHIVE = Path(__file__).with_name("index-0.1.zip")
"""Made of twelve photos with the sieve of version 0.1, before modules and fields were renamed."""


@pytest.mark.parametrize("without_snapshot", [False, True])
def test_an_index_of_version_0_1_answers_as_it_did(without_snapshot: bool, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    shutil.unpack_archive(ARCHIVE, folder)
    if without_snapshot:
        for snapshot in folder.glob("snapshot-*"):
            shutil.rmtree(snapshot)
    index = Index(folder, SIEVE)
    listings = (
        tmp_path / "listings"
    )  # its photos were elsewhere, and answers name none that is gone
    for path in index.store.rows()["path"].to_pylist():
        (listings / path).parent.mkdir(parents=True, exist_ok=True)
        (listings / path).touch()
    index.store.photos.update(values={"root": str(listings)})
    expected = {
        "red": {"photo-0000.png": 0.999853, "photo-0004.png": 0.99985, "photo-0008.png": 0.999839},
        "garden": {
            "photo-0007.png": 0.992073,
            "photo-0009.png": 0.984891,
            "photo-0005.png": 0.983961,
            "photo-0001.png": 0.982311,
        },
        "word 3": {},
    }
    for query, hits in expected.items():
        found = {hit.path.name: hit.probability for hit in index.search(query)}
        assert found == pytest.approx(hits, abs=1e-5), query
    assert index.status()["photos"] == 12
