"""From labeled photos to the right photos, as a user runs it."""

import csv
import json
import math
import re
import shutil
import time
from pathlib import Path
from typing import Any

import openpyxl

from photosieve.data.folders import find
from photosieve.encoders.embedding import photo_features
from photosieve.sieve.sieve import Sieve
from photosieve.sieve.untrained import untrained
from tests.e2e.conftest import SAMPLES, Run

BUILDING = SAMPLES / "test" / "fountain-square-3"


def plain_numbers(value: Any) -> bool:
    """Whether JSON holds numbers as numbers, and no NaN."""
    if isinstance(value, dict):
        return all(plain_numbers(item) for item in value.values())
    if isinstance(value, list):
        return all(plain_numbers(item) for item in value)
    return not isinstance(value, float) or math.isfinite(value)


def test_the_stated_seconds_are_those_that_one_waits(run: Run, tmp_path: Path) -> None:
    """From the start of the process: the libraries that load are a large part of a training."""
    for command in (
        ("train", SAMPLES / "train", "--out", tmp_path / "s", "--recipe", "zero-shot"),
        ("index", BUILDING, "--sieve", tmp_path / "s", "--index", tmp_path / "index"),
    ):
        started = time.monotonic()
        seconds = run(*command, "--json").json["seconds"]
        waited = time.monotonic() - started
        assert 0.8 * waited <= seconds <= waited + 0.02, command


def test_training_says_what_it_learned(run: Run, tmp_path: Path) -> None:
    done = run("train", SAMPLES / "train", "--out", tmp_path / "s", "--recipe", "zero-shot")
    assert done.status == 0
    assert "39 labels learned from 50 photos of 6 buildings" in done.out
    assert "cut: " in done.out
    assert re.fullmatch(r"(50 photos, 39 labels: about \d+ \w+\n)?", done.err)


def test_training_as_json(sieve: Path, run: Run, tmp_path: Path) -> None:
    # The same command again gives the same sieve, number for number.
    found = run("train", SAMPLES / "train", "--out", tmp_path / "again", "--json").json
    first = json.loads((sieve / "sieve.json").read_text())
    assert first["tuning"]["cut"] == found["cut"]
    assert (
        first["fingerprint"]
        == json.loads((tmp_path / "again" / "sieve.json").read_text())["fingerprint"]
    )
    assert found["labels"] == 39
    assert found["photos"] == 50
    assert found["out_of_fold"]["f1"] > 0.7
    assert found["cut"].keys() == {"gate", "floor", "drop"}


def test_evaluation_reaches_what_the_readme_says(sieve: Path, run: Run, tmp_path: Path) -> None:
    buildings = sorted((SAMPLES / "test").iterdir())
    files = {name: tmp_path / f"report.{name}" for name in ("html", "xlsx", "csv")}
    done = run(
        "evaluate", sieve, *buildings, "--json", "--html", files["html"], "--excel", files["xlsx"],
        "--csv", files["csv"],
    )  # fmt: skip
    assert done.status == 0, done.err
    found = done.json
    assert plain_numbers(found)
    assert found["macro"]["f1"] > 0.83
    assert found["mean_average_precision"] > 0.93
    assert found["empty"]["right"] / found["empty"]["asked"] > 0.85
    assert len(found["labels"]) == 39
    assert len(found["buildings"]) == 8
    for counts in found["labels"].values():
        assert counts["tp"] + counts["fp"] + counts["fn"] + counts["tn"] == 63
    with files["csv"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 * 39
    assert sum(int(row["tp"]) for row in rows) == sum(c["tp"] for c in found["labels"].values())
    sheet = openpyxl.load_workbook(files["xlsx"])["Accuracy"]
    assert sheet.max_row >= 9
    assert "<script src" not in files["html"].read_text("utf-8")


def test_evaluation_as_text(sieve: Path, run: Run) -> None:
    done = run("evaluate", sieve, BUILDING)
    assert "9 photos of 1 building, 39 labels asked in each" in done.out
    assert '"none" was right' in done.out


def test_search_gives_only_what_matches(sieve: Path, run: Run) -> None:
    labels = json.loads((BUILDING / "test_labels.json").read_text())
    found = run("search", "kitchen", BUILDING, "--sieve", sieve, "--json").json
    assert found["query"] == "kitchen"
    right = {name for name, words in labels.items() if "kitchen" in words}
    assert {Path(hit["path"]).name for hit in found["hits"]} == right
    assert found["hidden"] == len(labels) - len(right)
    assert found["best_hidden"] < min(hit["score"] for hit in found["hits"])
    assert all(hit["probability"] > 0.5 for hit in found["hits"])


def test_search_for_what_is_not_there_is_empty(sieve: Path, run: Run) -> None:
    done = run("search", "giraffe", BUILDING, "--sieve", sieve)
    assert done.status == 0
    assert done.out.startswith("No matches in 9 photos (closest: ")
    found = run("search", "giraffe", BUILDING, "--sieve", sieve, "--json").json
    assert found["hits"] == []
    assert found["hidden"] == 9


def test_figures_on_training_photos_are_said_to_prove_nothing(sieve: Path, run: Run) -> None:
    done = run("evaluate", sieve, SAMPLES / "train" / "harbour-view", BUILDING)
    assert done.status == 0
    photos = len(list((SAMPLES / "train" / "harbour-view").glob("*.jpg")))
    assert f"{photos} of {photos + 9} photos share names with training photos" in done.err


def test_search_explains_itself(sieve: Path, run: Run) -> None:
    done = run("search", "sofa -window", BUILDING, "--sieve", sieve, "--explain")
    assert "sofa: a label; background score 0." in done.out
    assert "trained on 10 photos" in done.out
    assert "rule: keep a photo when its probability is above" in done.out
    found = run("search", "couch", BUILDING, "--sieve", sieve, "--explain", "--json").json
    assert plain_numbers(found)
    (term,) = found["terms"]
    assert (term["label"], term["nearest"]) == (None, "sofa")
    assert [photo["kept"] for photo in found["photos"]] == [True] + [False] * 8
    assert found["photos"][0]["reason"].startswith("above 0.")
    assert found["hits"][0].keys() == {"path", "score", "probability"}


def test_a_sieve_without_labels_says_that_its_cut_is_a_guess(run: Run, tmp_path: Path) -> None:
    photo = next(Path(BUILDING).glob("*.jpg"))
    untrained([photo]).save(tmp_path / "sieve")
    done = run("search", "sofa", photo.parent, "--sieve", tmp_path / "sieve")
    assert done.status == 0
    assert "note: the sieve has learned from no labels yet, so its cut is a guess" in done.err


def test_words_from_far_away_get_no_answer(sieve: Path) -> None:
    """And words that nobody labeled get one where a label of the same photos says so."""
    loaded, folder = Sieve.load(sieve), SAMPLES / "test"
    paths = find(folder, recursive=True)
    photos = loaded.scorer.embed_photos(photo_features(loaded.encoder, paths).features)
    groups = [path.parent.name for path in paths]

    def answered(word: str) -> set[str]:
        readings = loaded.scorer.read(word)
        kept = loaded.scorer.cut(readings, loaded.cut).keep_by_group(
            loaded.scorer.probabilities(readings, photos), groups
        )
        return {group for group, keep in zip(groups, kept[:, 0], strict=True) if keep}

    far = ["submarine", "giraffe", "violin", "glacier", "octopus", "rocket", "tiger", "volcano"]
    assert sum(len(answered(word)) for word in far) <= 1  # of 64 questions
    for word, label in (("couch", "sofa"), ("fridge", "refrigerator"), ("pool", "swimming pool")):
        assert len(answered(word) & answered(label)) >= 2, word


def test_a_guarantee_that_cannot_be_given_is_refused(sieve: Path, run: Run, tmp_path: Path) -> None:
    shutil.copytree(sieve, tmp_path / "sieve")
    before = (tmp_path / "sieve" / "sieve.json").read_bytes()
    done = run("tune", tmp_path / "sieve", SAMPLES / "train", "--guarantee", "recall>=0.9")
    done.assert_one_sentence(1, "6 buildings", "too few to guarantee", "takes 22")
    assert (tmp_path / "sieve" / "sieve.json").read_bytes() == before
    done = run("tune", tmp_path / "sieve", SAMPLES / "train", "--guarantee", "recall > 0.9")
    done.assert_one_sentence(2, "cannot be guaranteed")


def test_a_guarantee_that_can_be_given_is_kept_with_the_sieve(
    sieve: Path, run: Run, tmp_path: Path
) -> None:
    shutil.copytree(sieve, tmp_path / "sieve")
    done = run(
        "tune", tmp_path / "sieve", SAMPLES / "test", "--guarantee", "recall>=0.6",
        "--confidence", "0.8", "--json",
    )  # fmt: skip
    assert done.status == 0, done.err
    guarantee = done.json["guarantee"]
    assert (guarantee["metric"], guarantee["least"], guarantee["buildings"]) == ("recall", 0.6, 8)
    assert guarantee["observed"] >= 0.6
    assert done.json["cut"]["floor"] == guarantee["threshold"]
    assert Sieve.load(tmp_path / "sieve").guarantee is not None
    assert (tmp_path / "sieve" / "training.json").exists()  # what `train` wrote stays


def test_search_top_and_page(sieve: Path, run: Run, tmp_path: Path) -> None:
    page = tmp_path / "sofa.html"
    done = run("search", "sofa", BUILDING, "--sieve", sieve, "--top", "2", "--html", page)
    assert "2 best of 9; 1 passes the cut." in done.out
    assert "data:image/jpeg;base64," in page.read_text("utf-8")


def test_search_looks_into_every_building(sieve: Path, run: Run) -> None:
    found = run("search", "swimming pool", SAMPLES / "test", "--sieve", sieve, "--json").json
    assert len(found["hits"]) + found["hidden"] == 63
    assert 1 <= len(found["hits"]) <= 4


def test_tuning_again_needs_no_photo(sieve: Path, run: Run, tmp_path: Path) -> None:
    shutil.copytree(sieve, tmp_path / "sieve")
    before = json.loads((tmp_path / "sieve" / "sieve.json").read_text())
    done = run("tune", tmp_path / "sieve", SAMPLES / "train", "--objective", "recall>=0.95")
    assert done.status == 0, done.err
    after = json.loads((tmp_path / "sieve" / "sieve.json").read_text())
    assert after["fingerprint"] == before["fingerprint"]
    assert after["tuning"]["objective"] == "recall>=0.95"
    assert after["tuning"]["cut"]["floor"] < before["tuning"]["cut"]["floor"]
    assert "tuned for recall>=0.95" in done.out


def test_check_finds_nothing_wrong_with_the_samples(run: Run) -> None:
    done = run("check", SAMPLES / "train", SAMPLES / "test", "--json")
    assert done.status == 0, done.err
    assert done.json["fatal"] is False
    assert (done.json["photos"], done.json["labels"], done.json["buildings"]) == (113, 39, 14)


def test_several_numbers_of_a_recipe_can_be_set(run: Run, tmp_path: Path) -> None:
    house = SAMPLES / "train" / "harbour-view"
    done = run("train", house, "--out", tmp_path / "s", "--set", "lr=1e-5", "--set", "epochs=2")
    assert done.status == 0, done.err
    recipe = json.loads((tmp_path / "s" / "sieve.json").read_text())["recipe"]
    assert (recipe["learning_rate"], recipe["epochs"]) == (1e-5, 2)


def test_partial_labels_reach_every_command(run: Run, tmp_path: Path) -> None:
    house = Path(shutil.copytree(SAMPLES / "train" / "harbour-view", tmp_path / "house"))
    file = house / "train_labels.json"
    labels = json.loads(file.read_text()) | {"photo-01.jpg": []}
    file.write_text(json.dumps(labels))
    photos, names = len(labels), {label for own in labels.values() for label in own}
    unknown = (photos - 1) * len(names) - sum(map(len, labels.values()))
    partial = "--partial-labels"

    found = run("check", house, partial, "--json").json["verdicts"]
    assert {counts["no"] for counts in found.values()} == {1}
    assert sum(counts["unknown"] for counts in found.values()) == unknown > 0
    sieve, fast = tmp_path / "s", ("--recipe", "zero-shot", "--json")
    assert run("train", house, "--out", sieve, partial, *fast).json["unknown"] == unknown
    assert f"left out of training and figures: {unknown} of" in (sieve / "README.md").read_text()
    assert run("tune", sieve, house, "--json").json["unknown"] == 0
    done = run("tune", sieve, house, partial)
    assert f"leave out {unknown} of" in done.out
    assert run("evaluate", sieve, house, "--json").json["unknown"] == 0
    assert run("evaluate", sieve, house, partial, "--json").json["unknown"] == unknown
    page = tmp_path / "page.html"
    arguments = (house, house, "--recipes", "zero-shot", "--seeds", 1, "--html", page)
    run("compare", *arguments, partial)
    assert f"{unknown} of {photos * len(names)} pairs" in page.read_text("utf-8")


def test_recipes_are_listed(run: Run) -> None:
    listed = run("recipes")
    assert listed.status == 0
    found = run("recipes", "--json").json
    lines = listed.out.splitlines()
    assert max(len(line) for line in lines) <= 80
    ours = listed.out.partition("From the notebooks, for comparison")[0]
    assert "\nlora " in ours
    assert "\nnotebook " not in ours
    for recipe in found:
        (line,) = [line for line in lines if line.startswith(f"{recipe['name']} ")]
        assert recipe["summary"] in line
    assert plain_numbers(found)
    one = {recipe["name"]: recipe for recipe in found}["clip-freeze-2"]
    assert (one["batch_size"], one["epochs"], one["learning_rate"]) == (8, 100, 5e-6)
    assert one["caveat"].startswith("repeated labels")


def test_compare_prints_a_leaderboard(run: Run, tmp_path: Path) -> None:
    page, book = tmp_path / "c.html", tmp_path / "c.xlsx"
    done = run(
        "compare", SAMPLES / "train", SAMPLES / "test", "--recipes", "zero-shot,balanced",
        "--seeds", "1", "--json", "--html", page, "--excel", book,
    )  # fmt: skip
    assert done.status == 0, done.err
    assert [row["name"] for row in done.json["rows"]] == ["balanced", "zero-shot"]
    balanced, zero_shot = done.json["rows"]
    assert balanced["macro_f1"]["value"] > zero_shot["macro_f1"]["value"] + 0.3
    assert len(balanced["label_f1"]) == 39
    assert plain_numbers(done.json)
    assert zero_shot["caveat"] in page.read_text("utf-8")
    assert openpyxl.load_workbook(book)["F1 by label"].dimensions == "A1:C41"


def test_compare_all_leaves_out_what_the_starter_cannot_run(run: Run, tmp_path: Path) -> None:
    # Each photo is held out in turn, by each of 10 recipes: two are enough.
    for name in ("photo-01.jpg", "photo-08.jpg"):
        shutil.copy(SAMPLES / "train" / "harbour-view" / name, tmp_path)
    labels = json.loads((SAMPLES / "train" / "harbour-view" / "train_labels.json").read_text())
    few = {path.name: labels[path.name] for path in tmp_path.iterdir()}
    (tmp_path / "train_labels.json").write_text(json.dumps(few))
    done = run(
        "compare", tmp_path, BUILDING, "--recipes", "all", "--seeds", "1", "--encoder",
        "starter-small",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert "left out: last-2, lora, clip-32, " in done.err
    assert "of the starter only the head can be trained" in done.err
    header, *rows = done.out.splitlines()
    assert header.split() == [
        "method",
        "macro",
        "F1",
        "[95",
        "%]",
        "mAP",
        "accuracy",
        '"none"',
        "right",
    ]
    assert "notebook, cut by hand" in done.out
    assert len(rows) == 12
    assert max(len(row.rstrip()) for row in rows) <= 80


def test_version_and_help(run: Run) -> None:
    assert run("--version").out.startswith("photosieve 0.")
    for command in (
        "demo", "check", "recipes", "train", "tune", "evaluate", "compare", "search"
    ):  # fmt: skip
        assert run(command, "--help").status == 0
