"""A Dataset as a matrix, in parts and in folds."""

from pathlib import Path

import numpy as np
import pytest

from photosieve.data.dataset import Dataset
from tests.unit.data.buildings import building


def dataset(labels: list[list[str]], groups: list[str]) -> Dataset:
    photos = tuple(Path(f"{i}.jpg") for i in range(len(labels)))
    return Dataset(Path(), photos, tuple(map(tuple, labels)), tuple(groups))


def test_matrix_and_counts() -> None:
    data = dataset([["Sofa", "lamp"], [], ["sofa"]], ["a", "a", "b"])
    expected = np.array([[1, 1], [0, 0], [1, 0]], dtype=bool)
    assert data.vocabulary == ("Sofa", "lamp")
    assert np.array_equal(data.matrix(), expected)
    assert data.matrix().dtype == np.bool_
    wider = data.matrix(["LAMP", "unicorn", "sofa", "Sofa"])
    assert np.array_equal(wider, expected[:, [1, 1, 0, 0]] & [True, False, True, True])
    assert data.matrix([]).shape == (3, 0)
    assert data.counts() == {"Sofa": 2, "lamp": 1}
    assert dataset([], []).matrix().shape == (0, 0)
    assert dataset([[]], ["a"]).counts() == {}


EXACT = {
    "a.jpg": ["sofa", "Lamp"],
    "b.jpg": {"yes": ["sofa"], "no": ["lamp", "window"], "by": "Ann"},
    "c.jpg": {"no": "sofa"},
    "d.jpg": [],
}


def test_yes_no_and_unknown(tmp_path: Path) -> None:
    data = Dataset.load(building(tmp_path, EXACT))
    assert data.vocabulary == ("sofa", "Lamp")  # a window is on no photo
    assert data.counts() == {"sofa": 2, "Lamp": 1}
    assert data.matrix().tolist() == [[True, True], [True, False], [False] * 2, [False] * 2]
    assert data.known().tolist() == [[True] * 2, [True] * 2, [True, False], [True] * 2]
    # Only exact entries name a window: whoever wrote the lists did not look for one.
    assert data.known(["WINDOW", "bed"]).tolist() == [[0, 1], [1, 0], [0, 0], [0, 1]]
    words = data.vocabulary
    assert np.array_equal(data.select([2, 1]).known(words), data.known(words)[[2, 1]])


def test_partial_labels_say_nothing_about_others_but_no_labels_are_none(tmp_path: Path) -> None:
    building(tmp_path, EXACT)
    data = Dataset.load(tmp_path, partial_labels=True)
    assert np.array_equal(data.matrix(), Dataset.load(tmp_path).matrix())
    assert data.known(["sofa", "lamp", "window"]).tolist() == [
        [True, True, False],
        [True, True, True],
        [True, False, False],
        [True, True, False],  # no list names a window
    ]
    assert data.silent(["sofa", "lamp", "window"]).tolist() == [[False] * 3] * 4
    building(tmp_path, {**EXACT, "e.jpg": ["window"]})
    more = Dataset.load(tmp_path, partial_labels=True)
    assert more.silent(["sofa", "window"]).tolist()[0] == [False, True]
    assert more.silent(["sofa", "window"]).sum() == 2
    assert not Dataset.load(tmp_path).silent().any()
    assert np.array_equal(data.select([2, 0]).known(["window"]), data.known(["window"])[[2, 0]])


def test_every_pair_is_known_where_all_lists_are_plain() -> None:
    data = dataset([["sofa"], []], ["a", "b"])
    assert data.known().all()
    assert data.known(["sofa", "bed", "tub"]).all()
    assert data.known([]).shape == (2, 0)


def test_of_two_entries_a_yes_counts_more_than_a_no(tmp_path: Path) -> None:
    text = """{"a.jpg": {"yes": ["sofa"], "no": ["bed"]}, "a.jpg": {"yes": ["bed"], "no": ["tub"]},
               "b.jpg": {"yes": ["tub"]}, "b.jpg": ["bed"]}"""
    data = Dataset.load(building(tmp_path, text, "a.jpg", "b.jpg"))
    assert data.vocabulary == ("sofa", "bed", "tub")
    assert data.matrix().tolist() == [[True, True, False], [False, True, True]]
    assert data.known().tolist() == [[True] * 3, [False, True, True]]  # no list names a sofa
    assert data.known(["lamp"]).tolist() == [[False], [True]]


def test_a_notebook_shows_one_line() -> None:
    data = dataset([["sofa", "lamp"], ["sofa"], []], ["a", "a", "b"])
    assert repr(data) == f"<Dataset {data.root}: 3 photos, 2 labels, 2 buildings>"


def test_labels_beyond_those_that_are_known() -> None:
    data = dataset([["Sofa", "lamp"], ["K\u00fcche"]], ["a", "b"])
    assert data.beyond(["SOFA", "ku\u0308che".upper()]) == ["lamp"]
    assert data.beyond(data.vocabulary) == []


def test_a_selection_leaves_out_what_was_not_listed(tmp_path: Path) -> None:
    data = Dataset.load(building(tmp_path, {"a.jpg": ["sofa"]}, "a.jpg", "b.jpg"))
    assert len(data.unlisted) == len(data.problems) == 1
    chosen = data.select([0])
    assert (chosen.photos, chosen.unlisted, chosen.problems) == (data.photos, (), ())


def test_select_by_mask_and_by_index() -> None:
    data = dataset([["sofa"], ["bed"], []], ["a", "b", "b"])
    by_mask = data.select(np.array(data.groups) == "b")
    assert by_mask == data.select([1, 2]) == data.select(np.array([1, 2]))
    assert by_mask.photos == (Path("1.jpg"), Path("2.jpg"))
    assert by_mask.vocabulary == ("bed",)
    assert by_mask.groups == ("b", "b")
    assert len(data.select([])) == 0
    with pytest.raises(IndexError):
        data.select(np.array([True, False]))


def assert_partition(data: Dataset, folds: list[np.ndarray]) -> None:
    assert np.array_equal(np.sort(np.concatenate(folds)), np.arange(len(data)))
    assert all(len(fold) and np.array_equal(fold, np.sort(fold)) for fold in folds)


def test_up_to_ten_buildings_are_left_out_one_by_one() -> None:
    groups = ["b", "a", "b", "c", "c", "c"]
    data = dataset([["x"]] * 6, groups)
    folds = data.folds()
    assert [fold.tolist() for fold in folds] == [[0, 2], [1], [3, 4, 5]]
    assert [fold.tolist() for fold in data.folds(seed=5)] == [[0, 2], [1], [3, 4, 5]]


@pytest.mark.parametrize(("k", "expected"), [(None, 10), (3, 3), (1, 2), (99, 25)])
def test_more_buildings_share_folds_of_like_size(k: int | None, expected: int) -> None:
    rng = np.random.default_rng(0)
    groups = [str(name) for name in rng.permutation(np.repeat(np.arange(25), 4))]
    data = dataset([["x"]] * 100, groups)
    folds = data.folds(k)
    assert len(folds) == expected
    assert_partition(data, folds)
    homes = [{groups[i] for i in fold} for fold in folds]
    assert sum(map(len, homes)) == 25  # no building is split
    assert max(map(len, folds)) - min(map(len, folds)) <= 4
    if expected < 25:
        assert [f.tolist() for f in folds] == [f.tolist() for f in data.folds(k)]
        assert [f.tolist() for f in folds] != [f.tolist() for f in data.folds(k, seed=1)]


def test_one_building_deals_out_rare_labels() -> None:
    rng = np.random.default_rng(1)
    labels = [["common"] + (["rare"] if i < 5 else []) for i in rng.permutation(50)]
    data = dataset(labels, ["a"] * 50)
    folds = data.folds(5)
    assert_partition(data, folds)
    assert {len(fold) for fold in folds} == {10}
    assert [int(data.matrix(["rare"])[fold].sum()) for fold in folds] == [1] * 5
    assert len(data.folds()) == 10


def test_folds_of_next_to_nothing() -> None:
    assert dataset([], []).folds() == []
    assert dataset([["x"]], ["a"]).folds() == []
    two = dataset([[], []], ["a", "a"])
    assert [fold.tolist() for fold in two.folds()] == [[0], [1]]


def test_buildings_for_testing_are_left_out_of_training(tmp_path: Path) -> None:
    for name, file in (("a", "train_labels.json"), ("b", "labels.json"), ("c", "test_labels.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.jpg").touch()
        (tmp_path / name / file).write_text('{"p.jpg": ["sofa"]}')
    assert Dataset.load(tmp_path).group_names == ("a", "b", "c")
    training = Dataset.load(tmp_path, training=True)
    assert training.group_names == ("a", "b")
    assert [p.message for p in training.problems if p.kind == "kept for testing"] == [
        "left out of training, as for testing (test_labels.json): 1 building"
    ]
    only = Dataset.load(tmp_path / "c", training=True)  # who names just these wants them
    assert len(only) == 1
    assert not only.problems
