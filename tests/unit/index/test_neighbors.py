"""More photos than are compared one by one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from photosieve.encoders.embedding import embed_texts
from photosieve.encoders.protocol import Float32Array
from photosieve.encoders.words import general_words
from photosieve.index import neighbors as neighbors_module
from photosieve.index.index import Index
from photosieve.index.neighbors import LEAST_RECALL
from photosieve.sieve.sieve import Sieve
from photosieve.sieve.untrained import untrained
from photosieve.training.features import Prepared
from photosieve.training.run import Run
from tests.conftest import QUICK, FakeEncoder
from tests.library import QUERIES, CountingEncoder, photo


def test_neighbors_are_measured_without_labels_too(
    index: Index, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photosieve.sieve.untrained.load_encoder", lambda _: CountingEncoder())
    sieve = untrained(sorted(folder.rglob("*.png")))
    sieve.save(tmp_path / "untrained")
    queries: list[Float32Array] = []
    monkeypatch.setattr(neighbors_module, "LEAST_PHOTOS", 20)
    monkeypatch.setattr(neighbors_module, "make", lambda _, __, asked, ___: queries.append(asked))
    index.update(tmp_path / "untrained", folder)
    words = general_words()[::20]
    assert np.array_equal(queries[0], embed_texts(sieve.encoder, words))


@pytest.mark.long
def test_neighbors_give_the_exact_answer(
    index: Index,
    folder: Path,
    prepared: Prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of words: scores of labels are looked up. Without links, all that are no labels are words."""
    loose = replace(QUICK, anchor_weight=0.16)  # vectors in clusters, so that lists pay
    sieve = Sieve.fit_prepared(FakeEncoder(), prepared, Run(loose))
    replace(sieve, verdicts=None).save(tmp_path / "unlinked")
    monkeypatch.setattr(neighbors_module, "LEAST_PHOTOS", 500)
    monkeypatch.setattr(neighbors_module, "FIRST_FETCH", 20)
    for number in range(1000, 3000):
        photo(folder / "many" / f"{number}.png", number)
    index.update(tmp_path / "unlinked")
    neighbors = index.snapshot.neighbors
    assert neighbors is not None
    assert neighbors.recall >= LEAST_RECALL
    assert index.status()["recall"] == neighbors.recall

    def answers(index: Index = index) -> dict[tuple[str, int | None], list[Path]]:
        return {
            (query, top): [hit.path for hit in index.search(query, top=top)]
            for query in QUERIES
            for top in (None, 5)
        }

    before = answers()
    for name in ("neighbours.faiss", "neighbours.json"):
        content = (index.snapshot.folder / name).read_bytes()
        for broken in (b"", content[:50], content[:-9] + b"x" + content[-8:], bytes(len(content))):
            (index.snapshot.folder / name).unlink()
            (index.snapshot.folder / name).write_bytes(broken)
            reader = Index(index.address)
            assert reader.snapshot.neighbors is None  # all photos are compared instead
            assert answers(reader)["red", None] == before["red", None]
        (index.snapshot.folder / name).write_bytes(content)
    (folder / "many" / "1000.png").unlink()
    photo(folder / "many" / "0.png", 5000)  # red: in no list
    index.update()
    carried = index.snapshot.neighbors
    assert carried is not None
    assert carried.loose.tolist() != []
    after = answers()
    for file in index.snapshot.folder.glob("neighbours*"):
        file.unlink()
    exact = Index(index.address)
    assert exact.snapshot.neighbors is None
    complete = answers(exact)
    # The lists are measured with labels; for another word they may miss some of its photos.
    assert set(after["word 3", None]) <= set(complete["word 3", None])
    for approximate in (after, complete):
        del approximate["word 3", None], approximate["word 3", 5]
    assert after == complete
    assert before != after
    for query in ("red", "red|red"):
        assert folder / "many" / "0.png" in after[query, None]
