"""An index answers as a search in its folders would, with the sieve that it is asked with."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photosieve.decision.cut import Cut
from photosieve.encoders.embedding import photo_features
from photosieve.errors import PhotoIndexError, UsageError
from photosieve.index.index import Index
from photosieve.sieve import saved
from photosieve.sieve.answer import Hit, Ranked
from photosieve.sieve.scorer import Scorer
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run
from tests.conftest import FakeEncoder
from tests.library import QUERIES, CountingEncoder, counts


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("top", [None, 3])
def test_it_answers_as_the_folders_do(
    index: Index, folder: Path, sieve: Path, query: str, top: int | None
) -> None:
    loaded = Sieve.load(sieve)
    for found, expected in (
        (index.search(query, top=top), loaded.search(query, folder, top=top)),
        (
            index.search(query, top=top, within=["house-1", "house-3"]),
            loaded.search(query, folder / "house-1", folder / "house-3", top=top),
        ),
    ):
        assert [hit.path for hit in found] == [hit.path for hit in expected]
        assert [hit.reason for hit in found] == [hit.reason for hit in expected]
        np.testing.assert_allclose(
            [hit.probability for hit in found], [hit.probability for hit in expected], atol=1e-5
        )
        assert found.left_out == len(expected.hidden)
        assert found.looked_at == expected.looked_at
        assert found.best_hidden == pytest.approx(expected.best_hidden, abs=1e-5)


def test_scores_of_labels_are_those_of_the_sieve(index: Index, sieve: Path) -> None:
    loaded, snapshot = Sieve.load(sieve), index.snapshot
    paths = [Path(group.root, path) for group in snapshot.groups for path in snapshot.paths(group)]
    expected = loaded.scorer.embed_photos(photo_features(loaded.encoder, paths).features)
    np.testing.assert_allclose(snapshot.photos.labels, expected.labels, atol=1e-5)
    np.testing.assert_allclose(snapshot.photos.vectors, expected.vectors, atol=1e-6)
    assert snapshot.label_scores.shape == (3, 40)
    assert not np.allclose(
        expected.labels, expected.vectors @ loaded.scorer.embed(tuple(loaded.labels)).T, atol=0.1
    )


def test_a_word_linked_to_a_label_is_found_as_in_the_folders(
    index: Index, folder: Path, sieve: Path
) -> None:
    loaded = Sieve.load(sieve)
    (reading,) = loaded.scorer.read("red|red")
    assert reading.label is None
    assert reading.links[list(loaded.labels).index("red")] > 0.5
    found, expected = index.search("red|red", hidden=40), loaded.search("red|red", folder)
    for part, other in ((found.hits, expected.hits), (found.hidden, expected.hidden)):
        assert [hit.path for hit in part] == [hit.path for hit in other]
        np.testing.assert_allclose(
            [hit.probability for hit in part], [hit.probability for hit in other], atol=1e-5
        )
    assert {hit.path for hit in found} == {hit.path for hit in index.search("red")}
    unlinked = Scorer(replace(loaded, verdicts=None))
    by_word = unlinked.probability(unlinked.read("red|red")[0], index.snapshot.photos)
    by_label = loaded.scorer.probability(reading, index.snapshot.photos)
    assert np.abs(by_word - by_label).max() > 0.01


def test_something_is_found(index: Index) -> None:
    found = index.search("red")
    assert 8 <= len(found) <= 12
    assert all(int(hit.path.stem[-4:]) % 4 == 0 for hit in found)
    assert not index.search("word 3").hits
    assert len(index.search("red", top=3)) == 3
    assert found.explain()["photos"]


def test_wrong_questions(index: Index, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="top must be 1 or more"):
        index.search("red", top=0)
    with pytest.raises(UsageError, match="the query is empty"):
        index.search(" ")
    with pytest.raises(UsageError, match='no column "price"; the columns are path, group'):
        index.search("red", where="price < 3")
    with pytest.raises(UsageError, match='cannot be understood at "<<'):
        index.search("red", where="width <<< 3")
    with pytest.raises(PhotoIndexError, match="there is no index here; make one with"):
        Index(tmp_path / "none").search("red")
    assert not (tmp_path / "none").exists()
    with pytest.raises(PhotoIndexError, match="there is no index here"):
        Index(tmp_path / "none").update(None)


def test_photos_that_a_minus_takes_out_are_counted(index: Index, folder: Path, sieve: Path) -> None:
    both = [path for path in sorted(folder.rglob("*.png"))[:8]]
    for path in both:  # red on the left, blue on the right
        pixels = np.repeat(np.array([[(230, 30, 30), (30, 30, 230)]], np.uint8), 8, axis=1)
        Image.fromarray(pixels.repeat(12, axis=0)).save(path)
    index.update()
    red, pure = index.search("red"), index.search("red -blue")
    assert pure.taken_out == len({hit.path for hit in red} - {hit.path for hit in pure}) > 0
    assert (
        pure.taken_out == Sieve.load(sieve, CountingEncoder()).search("red -blue", folder).taken_out
    )
    assert red.taken_out == 0
    assert f"-blue took out {pure.taken_out} photo" in pure.notes()[0]


def test_another_cut_than_the_learned_one(index: Index) -> None:
    every = {hit.path: hit.probability for hit in index.search("red", top=40)}
    for threshold in (0.0, 0.3, 0.9, 1.0):
        found = index.search("red", cut=Cut.threshold(threshold))
        kept = {path for path, probability in every.items() if probability >= threshold}
        assert {hit.path for hit in found} == kept
        assert found.cut == Cut.threshold(threshold)


def test_as_many_of_the_others_as_asked_for(index: Index) -> None:
    found = index.search("red", hidden=40)
    assert len(found) + len(found.hidden) == 40
    for count in (1, 5):
        few = index.search("red", hidden=count)
        assert [hit.path for hit in few.hidden] == [hit.path for hit in found.hidden[:count]]
        assert few.left_out == found.left_out


def test_matches_are_counted_without_making_a_hit_of_each(index: Index) -> None:
    found = index.search("red", top=3, hidden=40)
    assert isinstance(found.hits, Ranked)
    assert isinstance(found.hidden, Ranked)
    kept = [hit for hit in (*found.hits, *found.hidden) if hit.kept]

    def make(rows: NDArray[np.intp]) -> tuple[Hit, ...]:
        raise AssertionError(rows)

    unmade = replace(
        found, hits=replace(found.hits, make=make), hidden=replace(found.hidden, make=make)
    )
    assert unmade.passing == len(kept) > 3
    assert unmade.summary() == found.summary()


@pytest.mark.long
def test_a_retrained_sieve_costs_no_embedding(
    index: Index, prepared: Prepared, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    Sieve.fit_prepared(FakeEncoder(), prepared, Run(get_recipe("notebook"))).save(other)
    before = np.array(index.snapshot.vectors)
    shared = Index(index.address, other)
    assert [h.path for h in shared.search("red", top=40)]
    assert counts(shared) == {}
    assert not CountingEncoder.embedded
    assert not np.allclose(before, shared.snapshot.vectors, atol=1e-3)
    loaded = Sieve.load(other)
    paths = [Path(g.root, p) for g in shared.snapshot.groups for p in shared.snapshot.paths(g)]
    features = photo_features(loaded.encoder, paths).features
    assert np.array_equal(shared.snapshot.vectors, loaded.encoder.head.project_photos(features))
    assert Index(index.address).status()["sieve"] == str(other)


def test_another_model_is_refused(
    index: Index, folder: Path, sieve: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Another(CountingEncoder):
        trunk_fingerprint = fingerprint = "another"

    monkeypatch.setattr(saved, "load_encoder", lambda *_: Another())
    description = sieve / "sieve.json"
    text = description.read_text()
    changed = json.loads(text) | {"fingerprint": "another"}
    try:
        description.write_text(json.dumps(changed))
        foreign = Index(index.address, sieve)
        with pytest.raises(PhotoIndexError, match=r"made with another model .* --reencode"):
            foreign.search("red")
        with pytest.raises(PhotoIndexError, match=r"made with another model .* --reencode"):
            foreign.update(sieve, folder)
        assert foreign.update(sieve, folder, reencode=True).added == 40
        assert len(foreign.search("red", top=40)) == 40
    finally:
        description.write_text(text)


def test_a_sieve_that_is_gone(index: Index, folder: Path, sieve: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(sieve, tmp_path / "moved")
    index.update(moved, folder)
    shutil.rmtree(moved)
    with pytest.raises(PhotoIndexError, match=r"moved, which is gone; name another .* --sieve"):
        Index(index.address).search("red")
    assert Index(index.address, sieve).search("red").hits
