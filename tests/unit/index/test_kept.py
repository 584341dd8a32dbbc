"""Answers that were given a moment ago are kept, as long as they are true."""

import pytest

from photosieve.decision.cut import Cut
from photosieve.index import kept
from photosieve.index.index import Index


def test_the_same_question_is_answered_once(index: Index) -> None:
    first = index.search("red", hidden=5)
    assert index.search("red", hidden=5) is first
    for other in (
        index.search("blue", hidden=5),
        index.search("red", hidden=4),
        index.search("red", hidden=5, top=3),
        index.search("red", hidden=5, within=["house-1"]),
        index.search("red", hidden=5, cut=Cut.threshold(0.1)),
        index.search("red", hidden=5, where="path is not null"),
    ):
        assert other is not first


def test_a_kept_answer_names_no_photo_that_is_gone(index: Index) -> None:
    before = index.search("red", top=5)
    before.hits[0].path.unlink()
    after = index.search("red", top=5)
    assert after.gone == 1
    assert before.hits[0].path not in {hit.path for hit in (*after.hits, *after.hidden)}


def test_a_new_state_of_the_index_has_its_own_answers(index: Index) -> None:
    before = index.search("red")
    before.hits[0].path.unlink()
    index.update(prune=True)
    after = index.search("red")
    assert (after.looked_at, after.gone) == (before.looked_at - 1, 0)


def test_kept_answers_are_bounded(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_PHOTOS", 250)  # an answer with few photos counts 100 and these
    first = index.search("red", hidden=5)
    assert index.search("red", hidden=5) is first
    for word in ("blue", "green", "white"):
        index.search(word, hidden=5)
    assert index.search("red", hidden=5) is not first
