"""Labels files and their photos are found, or one clear sentence says what is wrong."""

import os
import sys
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from photosieve.data.dataset import Dataset
from photosieve.errors import LabelsError, UsageError
from tests.unit.data.buildings import building, kinds


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
def test_two_labels_files_of_one_rank(tmp_path: Path, files: tuple[str, str]) -> None:
    for file in files:
        building(tmp_path, {"a.jpg": ["sofa"]}, file=file)
    with pytest.raises(LabelsError, match="pass the one you want") as caught:
        Dataset.load(tmp_path)
    assert all(file in str(caught.value) for file in files)


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


OUTSIDE = "leads outside its folder; take it out"
ELSEWHERE = "is a path of another computer; write its path below home, such as house/photo.jpg"
LINK = "is a link that leads outside its folder; copy the photo there"
NO_NAME = "cannot be the name of a file; take it out"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../etc/passwd", OUTSIDE),
        ("../secret.jpg", OUTSIDE),
        ("sub/../../secret.jpg", OUTSIDE),
        ("..", OUTSIDE),
        ("/etc/passwd", OUTSIDE),
        ("\\etc\\passwd", OUTSIDE),
        ("..\\secret.jpg", OUTSIDE),
        ("//server/share/x.jpg", ELSEWHERE),
        ("\\\\server\\share\\x.jpg", ELSEWHERE),
        ("C:\\photos\\x.jpg", ELSEWHERE),
        ("C:/photos/x.jpg", ELSEWHERE),
        ("C:x.jpg", ELSEWHERE),
        ("out.jpg", LINK),
        ("away/secret.jpg", LINK),
        ("away\\secret.jpg", LINK),
        ("a\0b.jpg", NO_NAME),
        ("a\ud800b.jpg", NO_NAME),
    ],
)
def test_names_that_leave_the_folder_are_never_opened(
    tmp_path: Path, name: str, reason: str
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.jpg")
    home = building(tmp_path / "home", {"good.jpg": ["sofa"], name: ["bed"]}, "good.jpg")
    (home / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (home / "away").symlink_to(tmp_path)
    with pytest.raises(LabelsError) as caught:
        Dataset.load(home)
    assert str(caught.value) == f"{home / 'labels.json'}: the entry {name!r} {reason}."
    str(caught.value).encode()


def test_names_that_windows_writes_and_absolute_names_load(tmp_path: Path) -> None:
    home = tmp_path / "home"
    names = ["house\\a.jpg", ".\\b.jpg", str(home / "c.jpg"), "house\\..\\d.jpg", "./house//e.jpg"]
    photos = ["house/a.jpg", "b.jpg", "c.jpg", "d.jpg", "house/e.jpg"]
    (tmp_path / "link").symlink_to("home")
    building(home, {name: [f"label {n}"] for n, name in enumerate(names)}, *photos)
    for folder in (home, tmp_path / "link"):
        data = Dataset.load(folder)
        assert data.photos == tuple(folder / photo for photo in photos)
        assert not [note for note in data.notes if note.kind != "rare label"]


def test_a_backslash_in_the_name_of_a_file_is_one(tmp_path: Path) -> None:
    """As tools leave them that unpack an archive of Windows on another system."""
    data = Dataset.load(building(tmp_path, {"house\\a.jpg": ["sofa"]}))
    assert data.photos == (tmp_path / "house\\a.jpg",)


def test_a_loop_of_links_is_no_photo(tmp_path: Path) -> None:
    building(tmp_path, {"good.jpg": ["sofa"], "self.jpg/x.jpg": ["bed"]}, "good.jpg")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    assert "missing photo" in kinds(Dataset.load(tmp_path))


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


def test_where_no_photo_exists_the_closest_name_is_told(tmp_path: Path) -> None:
    building(tmp_path, {"IMG_1.JPEG": ["sofa"]}, "IMG_1.jpg")
    with pytest.raises(LabelsError, match=r"that is listed exists; did you mean IMG_1\.jpg\?"):
        Dataset.load(tmp_path)


def test_folders_without_labels_and_system_folders(tmp_path: Path) -> None:
    building(tmp_path / "one", {"a.jpg": ["sofa"]}, "a.jpg", "more/b.jpg")
    building(tmp_path / "__MACOSX/one", {"a.jpg": ["bed"]})
    building(tmp_path / "@eaDir", {"a.jpg": ["bed"]})
    building(tmp_path / "two", {}, "c.jpg", file="notes.txt")
    (tmp_path / "three").mkdir()
    data = Dataset.load(tmp_path)
    assert data.photos == (tmp_path / "one/a.jpg",)
    assert data.unlisted == (tmp_path / "one/more/b.jpg", tmp_path / "two/c.jpg")
    assert [note.kind for note in data.notes] == ["unlisted photo", "no labels", "rare label"]
    assert "two has photos but no labels file" in data.problems[-1].message
    assert Dataset.load(tmp_path / "one", tmp_path / "two").unlisted == data.unlisted


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


def test_keys_of_a_mac_and_keys_in_another_case_find_their_photos(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Küche.jpg")
    labels = {"Küche.jpg": ["kitchen"], "img_1.JPG": ["sofa"], "A.JPG": ["bed"]}
    root = building(tmp_path / "a", labels, decomposed, "IMG_1.jpg", "a.jpg", "A.jpg")
    data = Dataset.load(root)
    assert data.photos == (root / decomposed, root / "IMG_1.jpg")  # A.JPG could be two photos
    assert sorted(kinds(data)) == ["missing photo", "other case", *["unlisted photo"] * 2]
    (note,) = (problem for problem in data.problems if problem.kind == "other case")
    assert "lists 'img_1.JPG', and the file is 'IMG_1.jpg'" in note.message
    told = "1 entry names its photo in another case, such as img_1.JPG for IMG_1.jpg"
    assert told in map(str, data.notes)


def test_two_spellings_of_one_photo_are_one_photo(tmp_path: Path) -> None:
    labels = {"p.jpg": ["sofa"], "P.jpg": ["bed"]}
    data = Dataset.load(building(tmp_path / "a", labels, "p.jpg"))
    assert data.labels == (("sofa", "bed"),)
    assert kinds(data) == ["duplicate key", "other case"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text_are_skipped_with_a_sentence(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    building(tmp_path / "a", {"x.jpg": ["sofa"], f"{odd}.jpg": ["bed"]}, "x.jpg", f"{odd}.jpg")
    building(tmp_path / odd, {"y.jpg": ["lamp"]})
    data = Dataset.load(tmp_path)
    assert data.photos == (tmp_path / "a" / "x.jpg",)
    assert kinds(data) == ["unusable name"] * 2
    for problem in data.problems:
        assert "caf\ufffd" in problem.message
        assert "not valid UTF-8; give it another name" in problem.message
    with pytest.raises(UsageError, match="caf\ufffd: its name is not valid UTF-8"):
        Dataset.load(tmp_path / odd)


def test_labels_that_look_alike_are_one_label_and_misspelled_ones_are_reported(
    tmp_path: Path,
) -> None:
    labels = {
        "a.jpg": ["kitchen", "mirror"],
        "b.jpg": ["kitchen\u200b", "miror"],
        "c.jpg": ["\ufeff\uff2bitchen"],  # full-width K
    }
    data = Dataset.load(building(tmp_path / "a", labels))
    assert data.vocabulary == ("kitchen", "mirror", "miror")
    assert [p.message for p in data.problems if p.kind == "similar labels"] == [
        "'kitchen' is also written '\uff2bitchen'; they count as one label.",
        "'mirror' and 'miror' are two labels; if one is misspelled, correct it.",
    ]
