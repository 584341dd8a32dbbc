"""Labels files become a Dataset, or one clear sentence."""

import json
import os
import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photosieve.data.dataset import Dataset
from photosieve.errors import LabelsError, UsageError


def building(
    folder: Path,
    labels: Mapping[str, object] | str | bytes,
    *photos: str,
    file: str = "labels.json",
) -> Path:
    """A folder with a labels file and small photos: those named, or those that are listed."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(labels, bytes):
        (folder / file).write_bytes(labels)
    else:
        text = labels if isinstance(labels, str) else json.dumps(labels)
        (folder / file).write_text(text, encoding="utf-8")
    for name in photos or (labels if isinstance(labels, Mapping) else ()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(folder / name)
    return folder


def kinds(dataset: Dataset) -> list[str]:
    return [problem.kind for problem in dataset.problems]


# --- what a path may be ---------------------------------------------------------------------------


def test_a_training_folder(tmp_path: Path) -> None:
    root = building(tmp_path / "train", {"b.jpg": ["sofa", "lamp"], "a.jpg": [], "c.jpg": "lamp"})
    data = Dataset.load(root)
    assert data.root == root
    assert data.photos == (root / "b.jpg", root / "a.jpg", root / "c.jpg")
    assert data.labels == (("sofa", "lamp"), (), ("lamp",))
    assert data.groups == ("train",) * 3
    assert data.group_names == ("train",)
    assert data.vocabulary == ("sofa", "lamp")
    assert len(data) == 3
    assert data.unlisted == ()
    assert data.problems == ()


def test_unlisted_photos_are_unknown_not_negative(tmp_path: Path) -> None:
    root = building(tmp_path / "t", {"a.jpg": ["sofa"]}, "a.jpg", "b.jpg", ".hidden.jpg")
    data = Dataset.load(root)
    assert data.photos == (root / "a.jpg",)
    assert data.unlisted == (root / "b.jpg",)
    assert kinds(data) == ["unlisted photo"]


def test_a_folder_of_buildings_at_any_depth(tmp_path: Path) -> None:
    building(tmp_path / "north/one", {"a.jpg": ["sofa"]})
    building(tmp_path / "two", {"a.jpg": ["bed"]})
    building(tmp_path / ".trash", {"a.jpg": ["bed"]})
    (tmp_path / "empty").mkdir()
    data = Dataset.load(tmp_path)
    assert data.root == tmp_path
    assert data.group_names == ("north/one", "two")
    assert data.photos == (tmp_path / "north/one/a.jpg", tmp_path / "two/a.jpg")


def test_a_folder_with_labels_is_not_searched_for_more(tmp_path: Path) -> None:
    """Test buildings below a training folder must not slip into the training."""
    building(tmp_path, {"a.jpg": ["sofa"]}, file="train_labels.json")
    building(tmp_path / "test/one", {"b.jpg": ["bed"]}, file="test_labels.json")
    data = Dataset.load(tmp_path)
    assert data.photos == (tmp_path / "a.jpg",)
    assert data.unlisted == ()


def test_keys_with_folders_make_buildings(tmp_path: Path) -> None:
    labels = {"view/a.jpg": ["sofa"], "mill/x/b.jpg": ["bed"], "c.jpg": ["bed"]}
    root = building(tmp_path / "all", labels, *labels, "view/unlisted.jpg")
    data = Dataset.load(root)
    assert data.groups == ("view", "mill/x", "all")
    assert data.unlisted == (root / "view/unlisted.jpg",)


def test_a_labels_file_itself(tmp_path: Path) -> None:
    building(tmp_path, {"a.jpg": ["sofa"]}, file="train_labels.json")
    building(tmp_path, {"b.jpg": ["bed"]}, file="test_labels.json")
    data = Dataset.load(tmp_path / "test_labels.json")
    assert data.root == tmp_path
    assert data.photos == (tmp_path / "b.jpg",)
    assert data.unlisted == (tmp_path / "a.jpg",)


def test_a_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    building(tmp_path / "test/one", {"a.jpg": ["sofa"]})
    building(tmp_path / "test/two", {"a.jpg": ["bed"]})
    (tmp_path / "test/notes").mkdir()
    (tmp_path / "test/README.md").write_text("words")
    monkeypatch.chdir(tmp_path)
    data = Dataset.load("test/*")
    assert data.root == Path("test")
    assert data.photos == (Path("test/one/a.jpg"), Path("test/two/a.jpg"))
    assert data.group_names == ("one", "two")
    assert kinds(data) == ["no labels"]
    expanded_by_a_shell = sorted(Path("test").iterdir())
    assert Dataset.load(*expanded_by_a_shell).photos == data.photos


def test_what_exists_is_no_pattern(tmp_path: Path) -> None:
    building(tmp_path / "flat [2]", {"a.jpg": ["sofa"]})
    assert Dataset.load(tmp_path / "flat [2]").group_names == ("flat [2]",)


def test_the_current_folder_has_its_real_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    building(tmp_path / "harbour-view", {"a.jpg": ["sofa"]})
    monkeypatch.chdir(tmp_path / "harbour-view")
    data = Dataset.load(".")
    assert data.groups == ("harbour-view",)
    assert data.photos == (Path("a.jpg"),)


@pytest.mark.parametrize("way", ["absolute", "relative", "mixed"])
def test_buildings_of_one_name_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    for folder in ("train/a", "test/a", "test/b"):
        building(tmp_path / folder, {"x.jpg": ["sofa"]})
    monkeypatch.chdir(tmp_path)
    first = Path("train") if way == "relative" else tmp_path / "train"
    second = tmp_path / "test" if way == "absolute" else Path("test")
    data = Dataset.load(first, second)
    assert data.groups == ("train/a", "test/a", "b")
    assert data.root == (Path() if way == "relative" else tmp_path)
    assert all(photo.is_relative_to(data.root) for photo in data.photos)


def test_what_is_given_twice_counts_once(tmp_path: Path) -> None:
    building(tmp_path / "test/a", {"x.jpg": ["sofa"]})
    once = Dataset.load(tmp_path / "test")
    again = Dataset.load(tmp_path / "test", tmp_path / "test/a", str(tmp_path / "test/*"))
    assert again.photos == once.photos
    assert again.groups == ("a",)
    assert again.problems == ()


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["train_labels.json", "my_labels.json", "labels.csv"], "train_labels.json"),
        (["test_labels.json", "labels.json"], "test_labels.json"),
        (["my_labels.json", "labels.csv", "._my_labels.json"], "my_labels.json"),
        (["labels.csv", "other.json"], "labels.csv"),
    ],
)
def test_which_labels_file_counts(tmp_path: Path, files: list[str], chosen: str) -> None:
    for file in files:
        content = "photo,labels\na.jpg,{}\n" if file.endswith(".csv") else '{{"a.jpg": ["{}"]}}'
        building(tmp_path, content.format(file), "a.jpg", file=file)
    assert Dataset.load(tmp_path).labels == ((chosen,),)


@pytest.mark.parametrize(
    "files", [("train_labels.json", "test_labels.json"), ("one_labels.json", "two_labels.json")]
)
def test_two_labels_files_of_one_standing(tmp_path: Path, files: tuple[str, str]) -> None:
    for file in files:
        building(tmp_path, {"a.jpg": ["sofa"]}, file=file)
    with pytest.raises(LabelsError, match="pass the one you want") as caught:
        Dataset.load(tmp_path)
    assert all(file in str(caught.value) for file in files)


# --- formats --------------------------------------------------------------------------------------


def test_csv_means_the_same_as_json(tmp_path: Path) -> None:
    text = 'Photo, Labels\r\na.jpg,"kitchen, stove"\r\nb.jpg,sofa;lamp\r\n\r\nc.jpg,\r\n'
    data = Dataset.load(building(tmp_path, text, "a.jpg", "b.jpg", "c.jpg", file="labels.csv"))
    assert data.labels == (("kitchen", "stove"), ("sofa", "lamp"), ())


@pytest.mark.parametrize("file", ["labels.json", "labels.csv"])
def test_a_byte_order_mark_is_no_content(tmp_path: Path, file: str) -> None:
    text = '{"a.jpg": "Küche"}' if file.endswith("json") else "photo,labels\na.jpg,Küche\n"
    building(tmp_path, text.encode("utf-8-sig"), "a.jpg", file=file)
    assert Dataset.load(tmp_path).labels == (("Küche",),)


def test_labels_are_normalized(tmp_path: Path) -> None:
    labels = {
        "a.jpg": ["  living\t room ", "Living Room", "Cafe\u0301", "Straße"],
        "b.jpg": "LIVING ROOM,, café ,STRASSE,",
    }
    data = Dataset.load(building(tmp_path, labels))
    assert data.labels == (("living room", "Café", "Straße"),) * 2
    assert data.vocabulary == ("living room", "Café", "Straße")
    assert kinds(data) == ["similar labels"] * 3


def test_repeated_keys_are_united_and_reported(tmp_path: Path) -> None:
    text = '{"a.jpg": ["sofa"], "b.jpg": ["bed"], "./a.jpg": ["lamp", "sofa"], "a.jpg": []}'
    data = Dataset.load(building(tmp_path, text, "a.jpg", "b.jpg"))
    assert data.photos == (tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert data.labels == (("sofa", "lamp"), ("bed",))
    assert kinds(data) == ["duplicate key"] * 2


def test_a_photo_in_two_labels_files_is_reported(tmp_path: Path) -> None:
    files = ("train_labels.json", "test_labels.json")
    for file in files:
        building(tmp_path, {"a.jpg": [file]}, file=file)
    data = Dataset.load(*(tmp_path / file for file in files))
    assert data.labels == (files,)
    assert kinds(data) == ["duplicate key"]
    assert all(file in data.problems[0].message for file in files)


def test_missing_photos_are_ignored_and_remembered(tmp_path: Path) -> None:
    labels = {"a.jpg": ["sofa"], "gone.jpg": ["bed"], "x" * 5000: ["bed"], "": ["bed"]}
    data = Dataset.load(building(tmp_path, labels, "a.jpg"))
    assert data.vocabulary == ("sofa",)
    assert kinds(data) == ["missing photo"] * 3
    assert "'gone.jpg'" in data.problems[0].message
    assert data.problems[0].paths == (str(tmp_path / "gone.jpg"),)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n  "a.jpg": ["sofa"],\n  "b.jpg": [sofa]\n}', "line 3, column 13"),
        ("", "line 1, column 1"),
        ('{"a.jpg": ["sofa"]', "line 1, column 19"),
        ('{"a.jpg": ["sofa"]} extra', "line 1, column 21"),
    ],
)
def test_malformed_json_names_the_place(tmp_path: Path, text: str, place: str) -> None:
    building(tmp_path, text, "a.jpg")
    with pytest.raises(LabelsError, match=f"labels.json, {place}: not valid JSON"):
        Dataset.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('["a.jpg"]', "holds a list"),
        ("[]", "holds a list"),
        ("null", "holds nothing"),
        ("9" * 10_000, "holds a number"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a.jpg": ' * 100_000, "nested too deeply"),
        ('{"a.jpg": 7}', "'a.jpg' has a number for its labels"),
        ('{"a.jpg": ' + "9" * 10_000 + "}", "'a.jpg' has a number for its labels"),
        ('{"a.jpg": NaN}', "'a.jpg' has a number for its labels"),
        ('{"a.jpg": null}', r"'a.jpg' has nothing \(null\) for its labels"),
        ('{"a.jpg": {"sofa": 1}}', "'a.jpg' has an object for its labels"),
        ('{"a.jpg": true}', "'a.jpg' has true or false for its labels"),
        ('{"a.jpg": ["sofa", 3]}', "'a.jpg' has a number among its labels"),
        ('{"a.jpg": [["sofa"]]}', "'a.jpg' has a list among its labels"),
        ('{"a.jpg": ["sofa", "  "]}', "'a.jpg' has an empty label"),
        ('{"a.jpg": ["so\\u001bfa"]}', "'a.jpg' has a label with an unprintable character"),
        ('{"a.jpg": ["so\\ud800fa"]}', "'a.jpg' has a label with an unprintable character"),
    ],
)
def test_wrong_shapes_name_the_entry(tmp_path: Path, text: str, sentence: str) -> None:
    building(tmp_path, text, "a.jpg")
    with pytest.raises(LabelsError, match=sentence) as caught:
        Dataset.load(tmp_path)
    str(caught.value).encode()  # it can be printed
    assert "labels.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: the first line must be photo,labels"),
        ("a.jpg,sofa\n", "line 1: the first line must be photo,labels"),
        ("photo,labels\nb.jpg,sofa\na.jpg,sofa,lamp\n", "line 3: 3 cells"),
        ("photo,labels\na.jpg\n", "line 2: 1 cells"),
        ('photo,labels\na.jpg,"sofa\n', "line 2: not valid CSV"),
        ("photo,labels\na.jpg," + "x" * 200_000 + "\n", "line 2: not valid CSV"),
    ],
)
def test_malformed_csv_names_the_line(tmp_path: Path, text: str, sentence: str) -> None:
    building(tmp_path, text, "a.jpg", file="labels.csv")
    with pytest.raises(LabelsError, match=sentence):
        Dataset.load(tmp_path)


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    building(tmp_path, '{"a.jpg": ["Küche"]}'.encode("latin-1"), "a.jpg")
    with pytest.raises(LabelsError, match=r"not UTF-8 text \(byte 14\): save it as UTF-8"):
        Dataset.load(tmp_path)


@pytest.mark.parametrize("file", ["labels.json", "labels.csv"])
def test_any_bytes_give_a_dataset_or_a_labels_error(tmp_path: Path, file: str) -> None:
    good = b'{"a.jpg": ["sofa", "lamp"], "b.jpg": "bed, bath"}'
    if file == "labels.csv":
        good = b'photo,labels\na.jpg,"sofa, lamp"\nb.jpg,bed;bath\n'
    rng = random.Random(f"damage {file}")
    outcomes = set()
    building(tmp_path, good, "a.jpg", "b.jpg", file=file)
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(rng.choice((1, 2, 6))):
            bad[rng.randrange(len(bad))] = rng.choice((rng.randrange(256), *b'",:;[]{}\\\n/.0'))
        if rng.random() < 0.2:
            del bad[rng.randrange(len(bad)) :]
        (tmp_path / file).write_bytes(bad)
        try:
            Dataset.load(tmp_path).matrix()
            outcomes.add("loaded")
        except LabelsError:
            outcomes.add("refused")
    assert outcomes == {"loaded", "refused"}


# --- hostile names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "../secret.jpg",
        "sub/../../secret.jpg",
        "..",
        "/etc/passwd",
        "//server/share/x.jpg",
        "C:\\photos\\x.jpg",
        "C:x.jpg",
        "\\\\server\\share\\x.jpg",
        "..\\secret.jpg",
        "sub\\x.jpg",
        "out.jpg",
        "away/secret.jpg",
        "self.jpg/x.jpg",
        "a\0b.jpg",
        "a\ud800b.jpg",
    ],
)
def test_names_that_leave_the_folder_are_never_opened(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.jpg")
    home = building(tmp_path / "home", {"good.jpg": ["sofa"], name: ["bed"]}, "good.jpg")
    (home / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (home / "away").symlink_to(tmp_path)
    (home / "self.jpg").symlink_to("self.jpg")
    with pytest.raises(LabelsError, match="leads outside its folder") as caught:
        Dataset.load(home)
    assert repr(name) in str(caught.value)
    str(caught.value).encode()


def test_a_link_that_stays_inside_is_a_photo(tmp_path: Path) -> None:
    building(tmp_path, {"a.jpg": ["sofa"], "alias.jpg": ["bed"]}, "a.jpg")
    (tmp_path / "alias.jpg").symlink_to("a.jpg")
    assert Dataset.load(tmp_path).labels == (("sofa",), ("bed",))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_named_pipes_do_not_hang(tmp_path: Path) -> None:
    building(tmp_path / "a", {"pipe.jpg": ["sofa"], "x.jpg": ["sofa"]}, "x.jpg")
    os.mkfifo(tmp_path / "a/pipe.jpg")
    assert kinds(Dataset.load(tmp_path / "a")) == ["missing photo"]
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "b/labels.json")
    with pytest.raises(LabelsError, match="not a regular file"):
        Dataset.load(tmp_path / "b")


# --- nothing to load ------------------------------------------------------------------------------


def test_nothing_to_load_says_which_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabelsError, match="empty holds no photos"):
        Dataset.load(tmp_path / "empty")
    building(tmp_path / "plain", {}, "a.jpg", file="notes.txt")
    with pytest.raises(LabelsError, match="plain has photos but no labels file"):
        Dataset.load(tmp_path / "plain")
    building(tmp_path / "apart", {"a.jpg": ["sofa"]}, "b.jpg")
    with pytest.raises(LabelsError, match=r"labels\.json: no photo that is listed exists"):
        Dataset.load(tmp_path / "apart")
    with pytest.raises(LabelsError, match=r"notes\.txt is not a labels file"):
        Dataset.load(tmp_path / "plain/notes.txt")
    building(tmp_path / "void", {}, "b.jpg")
    with pytest.raises(LabelsError, match=r"labels\.json: no photo that is listed exists"):
        Dataset.load(tmp_path / "void")


def test_wrong_paths(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No path given"):
        Dataset.load()
    for path in (tmp_path / "gone", tmp_path / ("x" * 5000), tmp_path / "a\0b"):
        with pytest.raises(UsageError, match="does not exist"):
            Dataset.load(path)
    (tmp_path / "README.md").write_text("words")
    for pattern in ("gone/*", "*.md", "[z]"):
        with pytest.raises(UsageError, match="matches no folder and no labels file"):
            Dataset.load(tmp_path / pattern)


def test_more_than_one_fatal_problem_is_counted(tmp_path: Path) -> None:
    building(tmp_path, {"a.jpg": 3, "b.jpg": 4, "../c.jpg": []}, "a.jpg")
    with pytest.raises(LabelsError, match=r"'a\.jpg' has a number .* shows 2 more"):
        Dataset.load(tmp_path)


# --- matrix, counts, select -----------------------------------------------------------------------


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


# --- folds ----------------------------------------------------------------------------------------


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


def test_a_comma_too_many_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text('{\n  "p.jpg": ["sofa"],\n}')
    with pytest.raises(LabelsError, match="take away the comma before it"):
        Dataset.load(tmp_path)
