"""What goes wrong in practice: one clear sentence, the right exit status, nothing lost."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.conftest import SAMPLES, Run

TRAIN = SAMPLES / "train"


def make_photo(path: Path, color: str = "red") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), color).save(path)


def make_labels(folder: Path, labels: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train_labels.json").write_text(json.dumps(labels), "utf-8")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """One building of three sample photos, with labels."""
    folder = tmp_path / "house"
    folder.mkdir()
    for name in ("photo-01.jpg", "photo-02.jpg", "photo-03.jpg"):
        shutil.copy(TRAIN / "harbour-view" / name, folder)
    make_labels(folder, {"photo-01.jpg": ["kitchen"], "photo-02.jpg": ["sofa"], "photo-03.jpg": []})
    return folder


def test_empty_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run("train", tmp_path / "empty", "--out", tmp_path / "s").assert_one_sentence(1, "empty")
    assert not (tmp_path / "s").exists()


def test_missing_folder(run: Run, tmp_path: Path) -> None:
    done = run("train", tmp_path / "nowhere", "--out", tmp_path / "s")
    done.assert_one_sentence(2, "nowhere")


def test_photos_without_labels(run: Run, tmp_path: Path) -> None:
    make_photo(tmp_path / "photos" / "a.jpg")
    done = run("train", tmp_path / "photos", "--out", tmp_path / "s")
    done.assert_one_sentence(1, "labels")


def test_labels_without_photos(run: Run, tmp_path: Path) -> None:
    make_labels(tmp_path / "photos", {"a.jpg": ["kitchen"]})
    done = run("train", tmp_path / "photos", "--out", tmp_path / "s")
    done.assert_one_sentence(1, "photos")


def test_malformed_json_names_line_and_column(run: Run, tmp_path: Path) -> None:
    make_photo(tmp_path / "photos" / "a.jpg")
    (tmp_path / "photos" / "train_labels.json").write_text('{"a.jpg": ["x"],\n  oops}')
    done = run("train", tmp_path / "photos", "--out", tmp_path / "s")
    done.assert_one_sentence(1, "train_labels.json", "line 2", "column 3")


def test_a_name_that_leaves_the_folder(run: Run, tmp_path: Path) -> None:
    make_photo(tmp_path / "photos" / "a.jpg")
    make_labels(tmp_path / "photos", {"a.jpg": ["x"], "../../etc/passwd": ["y"]})
    done = run("train", tmp_path / "photos", "--out", tmp_path / "s")
    done.assert_one_sentence(1, "../../etc/passwd")
    checked = run("check", tmp_path / "photos", "--json")
    assert checked.status == 1
    assert checked.json["counts"]["unsafe name"] == 1


def test_bad_photos_are_skipped_and_the_rest_is_used(run: Run, house: Path, tmp_path: Path) -> None:
    (house / "empty.jpg").touch()
    (house / "text.jpg").write_text("I am not a photo")
    (house / "cut.jpg").write_bytes((house / "photo-01.jpg").read_bytes()[:5000])
    Image.new("1", (30_000, 30_000)).save(house / "huge.png")
    labels = json.loads((house / "train_labels.json").read_text())
    bad = ("empty.jpg", "text.jpg", "cut.jpg", "huge.png")
    make_labels(house, labels | {name: ["kitchen"] for name in bad})
    done = run("train", house, "--out", tmp_path / "s")
    assert done.status == 0, done.err
    assert "skipped 4 photos" in done.err
    for name in bad:
        assert name in done.err
    assert "--max-megapixels" in done.err
    assert "2 labels learned from 3 photos of 1 building," in done.out
    found = run("search", "kitchen", house, "--sieve", tmp_path / "s", "--json").json
    assert len(found["hits"]) + found["hidden"] == 3
    assert len(found["skipped"]) == 4


def test_no_photo_can_be_read(run: Run, tmp_path: Path) -> None:
    make_labels(tmp_path / "photos", {"a.jpg": ["kitchen"]})
    (tmp_path / "photos" / "a.jpg").write_text("no")
    done = run("train", tmp_path / "photos", "--out", tmp_path / "s")
    done.assert_one_sentence(1, "none of the 1 photos can be read", "a.jpg")


@pytest.mark.parametrize(
    "labels",
    [
        {"photo-01.jpg": ["kitchen"], "photo-02.jpg": []},
        {"photo-01.jpg": ["kitchen"]},
        {"photo-01.jpg": ["kitchen", "stove"], "photo-02.jpg": ["kitchen", "stove"]},
    ],
    ids=["a label on one photo", "one photo only", "two photos with equal labels"],
)
def test_very_few_photos_still_work(
    run: Run, house: Path, tmp_path: Path, labels: dict[str, list[str]]
) -> None:
    make_labels(house, labels)
    done = run("train", house, "--out", tmp_path / "s", "--json")
    assert done.status == 0, done.err
    assert done.json["photos"] == len(labels)
    searched = run("search", "kitchen", house, "--sieve", tmp_path / "s", "--json")
    assert searched.status == 0
    evaluated = run("evaluate", tmp_path / "s", house, "--json")
    assert evaluated.status == 0, evaluated.err


def test_all_photos_without_any_label(run: Run, house: Path, tmp_path: Path) -> None:
    make_labels(house, {"photo-01.jpg": []})
    run("train", house, "--out", tmp_path / "s").assert_one_sentence(1, "no photo has a label")


@pytest.mark.parametrize("damage", ["remove head", "alter head", "cut manifest", "newer", "alter"])
def test_damaged_sieve(run: Run, sieve: Path, tmp_path: Path, damage: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(sieve, copy)
    head, manifest = copy / "head.safetensors", copy / "sieve.json"
    if damage == "remove head":
        head.unlink()
    elif damage == "alter head":
        content = bytearray(head.read_bytes())
        content[-1] ^= 1
        head.write_bytes(content)
    elif damage == "cut manifest":
        manifest.write_text(manifest.read_text()[:200])
    else:
        saved = json.loads(manifest.read_text())
        saved["format" if damage == "newer" else "fingerprint"] = 99 if damage == "newer" else "0"
        manifest.write_text(json.dumps(saved))
    done = run("search", "sofa", SAMPLES / "test" / "mill-lane-6", "--sieve", copy)
    done.assert_one_sentence(1, "copy", "photosieve" if damage == "newer" else "train again")


def test_no_sieve(run: Run, tmp_path: Path) -> None:
    done = run("search", "sofa", SAMPLES / "test" / "mill-lane-6", "--sieve", tmp_path / "none")
    done.assert_one_sentence(1, "there is no sieve here", "photosieve train")


def test_wrong_usage(run: Run, house: Path, sieve: Path, tmp_path: Path) -> None:
    out = tmp_path / "s"
    train = ("train", house, "--out", out)
    run(*train, "--recipe", "magic").assert_one_sentence(2, "magic", "photosieve recipes")
    run(*train, "--recipe", "clip_8").assert_one_sentence(2, "clip_8", 'did you mean "clip-8"?')
    run(*train, "--set", "lr=1e-3", "--set", "epoch=3").assert_one_sentence(2, '"epoch"', "epochs")
    run(*train, "--set", "lr=1e-3", "--set", "epochs=").assert_one_sentence(
        2, '"epochs="', "KEY=VALUE"
    )
    run(*train, "lr=1e-3").assert_one_sentence(2, "lr=1e-3")
    run(*train, "--set", "epochs=many").assert_one_sentence(2, "epochs", "many")
    run(*train, "--objective", "f7").assert_one_sentence(2, "f7", "recall>=0.9")
    run(*train, "--encoder", "magic").assert_one_sentence(1, "magic")
    run("search", "  ", house, "--sieve", sieve).assert_one_sentence(2, "query is empty")
    run("compare", house, house, "--recipes", ",").assert_one_sentence(2, "recipe")
    assert run("search").status == 2
    assert run("fly").status == 2
    assert not out.exists()


def test_something_else_stands_where_the_sieve_should_go(run: Run, house: Path) -> None:
    done = run("train", house, "--out", house)
    done.assert_one_sentence(2, "something else than a sieve")
    assert (house / "photo-01.jpg").exists()


def test_output_that_cannot_be_written(run: Run, sieve: Path, house: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file, not a folder")
    blocked = tmp_path / "file" / "below"
    run("train", house, "--out", blocked).assert_one_sentence(2, "below")
    done = run("evaluate", sieve, house, "--html", blocked / "report.html")
    done.assert_one_sentence(2, "report.html")


def test_interrupted_training_leaves_nothing_half_done(house: Path, tmp_path: Path) -> None:
    """On a terminal, where a bar shows that training has begun."""
    out = tmp_path / "out" / "s"
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "photosieve", "train", str(house), "--out", str(out)),
            *("--set", "epochs=1000000"),
        ],
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        # Whoever runs this in the background of a shell hands on that interrupts are ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    os.close(theirs)
    shown = ""
    while "scoring held-out buildings" not in shown:
        assert process.poll() is None, shown
        shown += os.read(ours, 4096).decode()
    process.send_signal(signal.SIGINT)
    after = ""
    while "--resume" not in after:
        after += os.read(ours, 4096).decode()
    assert process.wait(timeout=60) == 130
    os.close(ours)
    assert "photosieve: interrupted; to resume, run the same command with --resume" in after
    assert "Traceback" not in after
    assert [path.name for path in out.parent.iterdir()] == ["s.training"]


def test_hostile_label_text_is_only_text(run: Run, house: Path, tmp_path: Path) -> None:
    label = "<script>alert(1)</script>"
    make_labels(house, {"photo-01.jpg": [label, "=HYPERLINK(1)"], "photo-02.jpg": ["sofa"]})
    sieve, page = tmp_path / "s", tmp_path / "r.html"
    assert run("train", house, "--out", sieve).status == 0
    assert run("evaluate", sieve, house, "--html", page).status == 0
    assert label not in page.read_text("utf-8")


def test_names_that_are_no_text(run: Run, house: Path, sieve: Path, tmp_path: Path) -> None:
    """A folder of such a name is refused in a sentence, and so is a query; photos are skipped."""
    odd = house.rename(tmp_path / os.fsdecode(b"h\xe4user"))
    for command in (
        ("check", odd),
        ("train", odd, "--out", tmp_path / "s"),
        ("search", "kitchen", odd, "--sieve", sieve),
        ("index", odd, "--sieve", sieve, "--index", tmp_path / "index"),
        ("search", os.fsdecode(b"caf\xe9"), tmp_path, "--sieve", sieve),
    ):
        run(*command).assert_one_sentence(2, "not valid UTF-8")
    house = odd.rename(tmp_path / "house")
    (house / "photo-01.jpg").rename(house / os.fsdecode(b"caf\xe9.jpg"))
    found = run("search", "kitchen", house, "--sieve", sieve, "--top", 3, "--json")
    assert len(found.json["hits"]) == 2  # of three photos
    assert "caf\ufffd.jpg" in json.dumps(found.json["skipped"], ensure_ascii=False) + found.err


def test_a_server_that_should_not_start(run: Run, sieve: Path, tmp_path: Path) -> None:
    where = ("serve", "--sieve", sieve, "--index", tmp_path / "index")
    run(*where, "--host", "0.0.0.0").assert_one_sentence(2, "others could reach 0.0.0.0", "--token")
    run(*where, "--token", "short").assert_one_sentence(2, "8 characters")
    run(*where).assert_one_sentence(1, "there is no index here", "photosieve index")
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    run(*where, nothing).assert_one_sentence(2, "no photo")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(*where, SAMPLES / "test" / "willow-cottage", "--port", port)
        done.assert_one_sentence(2, f"127.0.0.1:{port}", "choose another --port")


@pytest.fixture
def careless(house: Path) -> Path:
    """A building with an entry without a photo, a photo without an entry, and a raw photo."""
    labels = json.loads((house / "train_labels.json").read_text("utf-8"))
    make_labels(house, {**labels, "photo-04.JPEG": ["sofa"], "gone.jpg": []})
    make_photo(house / "photo-04.jpg")
    (house / "photo-05.CR2").write_bytes(b"II*\0")
    return house


NOTES = (
    "2 of 5 entries have no photo, such as photo-04.JPEG; did you mean photo-04.jpg?",
    "1 photo is in no labels file and counts as unlabeled, such as photo-04.jpg",
    "1 CR2 file left out: save as JPEG",
)


def test_every_command_says_what_it_does_not_use(run: Run, careless: Path, tmp_path: Path) -> None:
    made = tmp_path / "s"
    commands = {
        "train": ("train", careless, "--out", made),
        "tune": ("tune", made, careless),
        "evaluate": ("evaluate", made, careless),
        "compare": ("compare", careless, careless, "--recipes", "zero-shot", "--seeds", "1"),
    }
    for name, command in commands.items():
        done = run(*command, "--json")
        assert done.status == 0, done
        notes = done.json["notes"]
        for found in notes.values() if name == "compare" else (notes,):
            assert {note["message"] for note in found} >= set(NOTES), name
            assert "rare label" in {note["kind"] for note in found}
        for sentence in NOTES:
            assert sentence in done.err, name
    card = (made / "README.md").read_text("utf-8")
    assert "- 2 of 5 entries have no photo\n" in card
    assert "- 1 CR2 file left out\n" in card
    assert "labels are on fewer than 3 photos" in card


def test_search_and_index_name_formats(
    run: Run, careless: Path, sieve: Path, tmp_path: Path
) -> None:
    asked = run("search", "sofa", careless, "--sieve", sieve)
    assert asked.err == "1 CR2 file left out: save as JPEG\n"
    assert "of 4 photos match" in asked.out
    made = run("index", careless, "--sieve", sieve, "--index", tmp_path / "i")
    assert made.err == asked.err
    assert "4 photos, 4 added; 1 skipped" in made.out
    only = tmp_path / "only"
    only.mkdir()
    (only / "a.CR2").write_bytes(b"II*\0")
    run("search", "sofa", only, "--sieve", sieve).assert_one_sentence(2, "no photo", "1 CR2 file")


def test_a_query_that_looks_like_an_option_is_explained(run: Run, sieve: Path) -> None:
    photos = SAMPLES / "test" / "mill-lane-6"
    done = run("search", "-window", photos, "--sieve", sieve)
    done.assert_one_sentence(2, '"-window" is read as an option', "put -- before", "sofa -window")
    advised = run("search", "--sieve", sieve, "--", "-window + sofa", photos)
    assert advised.status == 0, advised.err
    assert "-window took out" in advised.out
    run("search", "--sieve", sieve, "--", "-window", photos).assert_one_sentence(
        2, "only words with a minus"
    )


def test_the_best_photos_are_not_called_matches(run: Run, sieve: Path) -> None:
    photos = SAMPLES / "test" / "mill-lane-6"
    done = run("search", "giraffe", photos, "--sieve", sieve, "--top", "3")
    assert done.out.splitlines()[-1] == "3 best of 7; 0 pass the cut."
    answer = run("search", "giraffe", photos, "--sieve", sieve, "--top", "3", "--json").json
    assert (len(answer["hits"]), answer["top"], answer["passing"]) == (3, 3, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text_do_not_stop_a_training(
    run: Run, house: Path, tmp_path: Path
) -> None:
    odd = os.fsdecode(b"caf\xe9.jpg")
    (house / "photo-03.jpg").rename(house / odd)
    make_labels(house, {"photo-01.jpg": ["kitchen"], "photo-02.jpg": ["sofa"], odd: []})
    done = run("train", house, "--out", tmp_path / "s", "--json")
    assert (done.status, done.json["photos"]) == (0, 2)
    assert "1 name is not valid UTF-8 and left out, such as " in done.err
    assert "caf\ufffd.jpg; give it another name" in done.err
    found = run("search", "kitchen", house, "--sieve", tmp_path / "s")
    assert found.status == 0
    assert "caf\ufffd.jpg: its name is not valid UTF-8" in found.err
