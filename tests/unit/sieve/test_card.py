"""The card of a sieve: true, safe to show as a page, and of no consequence for the sieve."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from photosieve.data.dataset import Dataset
from photosieve.data.notes import missing_note, unreadable_note
from photosieve.decision.guarantee import Guarantee
from photosieve.decision.tuning import USUAL
from photosieve.encoders.files import ModelFiles
from photosieve.encoders.protocol import Encoder
from photosieve.errors import Skipped
from photosieve.sieve.card import card
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run
from tests.conftest import FakeEncoder

CARD = "README.md"
RECIPE = get_recipe("balanced", {"epochs": "30"})
VERSIONS = {"photosieve": "0.1.0", "torch": "2.13.0+cpu"}


@pytest.fixture(scope="module")
def sieve(prepared: Prepared, encoder: Encoder) -> Sieve:
    return Sieve.fit_prepared(encoder, prepared, Run(RECIPE), words=False)


def written(sieve: Sieve, **changes: Any) -> str:
    return card(replace(sieve, **changes), VERSIONS)


def header(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return found


def rows(text: str) -> list[list[str]]:
    """The cells of all tables as a reader sees them."""
    page = MarkdownIt("commonmark").enable("table").render(text.split("---\n", 2)[2])
    table = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    return [
        [html.unescape(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]
        for row in table
    ]


def test_it_says_what_the_sieve_is(sieve: Sieve) -> None:
    skipped = [Skipped(Path("/home/ann/x.jpg"), "it is empty", "remove it")]
    missing = missing_note(2, 50, "/home/ann/y.jpg")
    text = written(sieve, notes=(unreadable_note(skipped), missing))
    assert "24 photos of 4 buildings, with 3 labels" in text
    assert "\n- 1 photo left out as unreadable\n- 2 of 50 entries have no photo\n" in text
    assert "ann" not in text
    assert sieve.cut.describe() in text
    assert "tuned for f1" in text
    found = rows(text)
    figures = sieve.tuning.figures
    assert ["macro F1", f"{figures['f1']:.3f}"] in found
    assert ["mean average precision", f"{figures['mean_average_precision']:.3f}"] in found
    assert found[-3:] == [["red", "12"], ["blue", "8"], ["garden", "4"]]
    assert ["made with", "photosieve 0.1.0, torch 2.13.0+cpu"] in found
    assert "changed: `epochs = 30`" in text
    assert 'search "red" my-photos' in text
    assert "guarantee" not in text


def test_a_guarantee_and_rough_figures_are_told(sieve: Sieve) -> None:
    guaranteed = Guarantee("recall", 0.9, 0.9, 0.2, 30, 0.95)
    assert f"The guarantee: {guaranteed.describe()}." in written(sieve, guarantee=guaranteed)
    scores = sieve.evidence.scores.copy()
    scores[6:] = float("nan")
    text = written(sieve, evidence=replace(sieve.evidence, scores=scores))
    assert "Rough figures, from 1 of 4 buildings." in text
    figures = dict.fromkeys(sieve.tuning.figures, float("nan"))
    text = written(sieve, tuning=replace(sieve.tuning, figures=figures))
    assert ["macro F1", "n/a"] in rows(text)


def test_a_sieve_without_labels_guarantees_nothing(sieve: Sieve) -> None:
    nothing = replace(sieve.evidence, scores=sieve.evidence.scores[:0], groups=(), names=())
    tuning = replace(sieve.tuning, figures={})
    text = written(sieve, labels={}, evidence=nothing, tuning=tuning)
    assert "Nobody knows" in text
    assert "## Labels" not in text


@dataclass(frozen=True)
class Licensed(FakeEncoder):
    license: str = ""


@pytest.mark.parametrize(
    ("name", "license", "base", "words"),
    [
        ("starter", "apache-2.0", None, "are under Apache-2.0"),
        ("openai/clip", "mit", "openai/clip", "is under mit, as its own card says"),
        ("openai/clip", "", "openai/clip", "is not known here: look at its page"),
        ("/home/ann/secret/clip", "", None, "is not known here: look where it came from"),
        (r"C:\Users\Ann\clip", "", None, "is not known here"),
    ],
)
def test_the_pretrained_model_and_its_license(
    sieve: Sieve, name: str, license: str, base: str | None, words: str
) -> None:
    text = written(sieve, encoder=Licensed(name=name, license=license))
    assert header(text).get("base_model") == base
    assert header(text)["license"] == (license or "unknown")
    assert header(text)["library_name"] == "photosieve"
    assert words in text
    assert not re.search("home|Ann|secret|Users", text)


HOSTILE = [
    "a|b", "`rm -rf`", "</table><script>alert(1)</script>", "<!-- gone", "[x](http://evil.example)",
    "![x](http://evil.example/x.png)", "**bold** _it_ ~~no~~ $x^2$", "&lt;b&gt;", "\\| back", "---",
    "license: mit", "{{ 1 }}", "# heading", "www.evil.example", "a@evil.example", "- list",
    "Küche", "مطبخ", "chef's table, no. 3", '"quoted"', "50 % (half); 0.5", ":smile:", "| a | b |",
]  # fmt: skip


@pytest.mark.parametrize("label", HOSTILE)
def test_a_label_is_text_whatever_it_holds(sieve: Sieve, label: str) -> None:
    text = written(sieve, labels={label: 3, "sofa": 2})
    assert [[label, "3"], ["sofa", "2"]] == rows(text)[-2:]
    assert header(text) == header(written(sieve))
    raw = text.partition("## Labels")[2]
    assert not re.search(r"[<`\[@]|www\.|http:", raw)
    if not re.fullmatch(r"\w+", label):
        assert 'search "sofa" my-photos' in text


# In the folder.


def test_the_card_may_be_edited_or_missing(sieve: Sieve, encoder: Encoder, tmp_path: Path) -> None:
    sieve.save(tmp_path / "sieve")
    page = tmp_path / "sieve" / CARD
    assert "24 photos of 4 buildings" in page.read_text("utf-8")
    page.write_text("my own words")
    assert Sieve.load(tmp_path / "sieve", encoder).tuning == sieve.tuning
    page.unlink()
    assert Sieve.load(tmp_path / "sieve", encoder).tuning == sieve.tuning


def test_a_sieve_that_is_tuned_again_has_a_new_card(
    sieve: Sieve, encoder: Encoder, listings: Path, tmp_path: Path
) -> None:
    sieve.save(tmp_path / "sieve")
    loaded = Sieve.load(tmp_path / "sieve", encoder)
    loaded.retune(Dataset.load(listings / "train"), "recall>=0.9").save(tmp_path / "sieve")
    text = (tmp_path / "sieve" / CARD).read_text("utf-8")
    assert "tuned for recall&#62;=0.9" in text
    assert "24 photos of 4 buildings" in text


def test_no_folder_of_the_maker_is_named(sieve: Sieve, listings: Path, tmp_path: Path) -> None:
    sieve.save(tmp_path / "sieve")
    text = (tmp_path / "sieve" / CARD).read_text("utf-8")
    for name in (str(listings), str(tmp_path), str(Path.home()), "house-0"):
        assert name not in text


# What the card of a pretrained model says.


@pytest.mark.parametrize(
    ("lines", "license"),
    [
        (["license: apache-2.0"], "apache-2.0"),
        (["license: cc-by-nc-4.0", "tags: [x]"], "cc-by-nc-4.0"),
        (["license: unknown"], ""),
        (["license: [mit, apache-2.0]"], ""),
        (["license: 3"], ""),
        (['license: "mit\\nbase_model: x"'], ""),
        (["license: <b>mit</b>"], ""),
        (["tags: [x]"], ""),
        (["- license"], ""),
        (["license: [" * 5000], ""),
    ],
)
def test_a_license_is_read_from_the_header(
    lines: Sequence[str], license: str, tmp_path: Path
) -> None:
    (tmp_path / CARD).write_text("\n".join(["---", *lines, "---", "# A model", "license: other"]))
    assert ModelFiles("model", tmp_path).license == license


def test_a_model_without_a_readable_card(tmp_path: Path) -> None:
    assert ModelFiles("model", tmp_path).license == ""
    (tmp_path / CARD).write_bytes(b"\xff\xfe\x00")
    assert ModelFiles("model", tmp_path).license == ""
    (tmp_path / CARD).write_text("license: mit")
    assert ModelFiles("model", tmp_path).license == ""


def test_notes_are_saved_without_names_of_files(sieve: Sieve, tmp_path: Path) -> None:
    replace(sieve, notes=(missing_note(2, 50, "/home/ann/y.jpg"),)).save(tmp_path / "s")
    assert "ann/y.jpg" not in (tmp_path / "s/sieve.json").read_text("utf-8")
    again = Sieve.load(tmp_path / "s", sieve.encoder)
    assert list(map(str, again.notes)) == ["2 of 50 entries have no photo"]


def test_figures_that_are_chance_are_not_shown(sieve: Sieve) -> None:
    text = written(sieve, tuning=replace(sieve.tuning, member=USUAL))
    assert "Not known: too few photos share their labels" in text
    assert "F1" not in text.partition("## How good it is")[2].partition("## Limits")[0]
