"""Text that commands print."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer

from photosieve.cli.output import (
    print_cut,
    print_explanation,
    print_recipes,
    print_search,
    resumable,
)
from photosieve.data.dataset import Dataset
from photosieve.decision.cut import Cut
from photosieve.decision.tuning import USUAL
from photosieve.encoders.protocol import Encoder
from photosieve.sieve.answer import Hit, SearchResult
from photosieve.sieve.sieve import Sieve
from photosieve.training.notebooks import NOTEBOOKS
from photosieve.training.recipes import OURS, RECIPES
from tests.conftest import QUICK


@pytest.fixture(scope="module")
def sieve(listings: Path, encoder: Encoder) -> Sieve:
    return Sieve.fit(Dataset.load(listings / "train"), encoder, recipe=QUICK)


def result(kept: int, hidden: int) -> SearchResult:
    """An answer with photos at 0.90, 0.80 and so on."""
    hits = tuple(
        Hit(Path(f"{number}.jpg"), 0.0, 0.9 - number / 10) for number in range(kept + hidden)
    )
    return SearchResult("sofa", (), hits[:kept], hits[kept:], Cut.threshold(0.5), kept + hidden)


@pytest.mark.parametrize(
    ("kept", "hidden", "last"),
    [
        (1, 2, "1 of 3 photos match; 2 left out (closest: 0.800)."),
        (2, 0, "2 of 2 photos match; 0 left out."),
        (0, 3, "No matches in 3 photos (closest: 0.900)."),
        (0, 0, "No matches in 0 photos."),
    ],
)
def test_a_search_ends_with_the_number_of_matches(
    kept: int, hidden: int, last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_search(result(kept, hidden))
    assert repr(result(kept, hidden)) == f"<SearchResult 'sofa': {last}>"
    *photos, summary = capsys.readouterr().out.splitlines()
    assert len(photos) == kept
    assert summary == last


def test_the_best_photos_are_not_called_matches(capsys: pytest.CaptureFixture[str]) -> None:
    best = replace(result(3, 4), top=3)
    none = replace(best, hits=tuple(replace(hit, kept=False) for hit in best.hits), hidden=())
    one = replace(none, hits=(replace(none.hits[0], kept=True), *none.hits[1:]))
    for answer, last in ((none, "0 pass"), (one, "1 passes")):
        print_search(answer)
        assert capsys.readouterr().out.splitlines()[-1] == f"3 best of 7; {last} the cut."


def test_notes_follow_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    print_search(replace(result(1, 2), suggestions=("kitchen",), gone=2))
    assert capsys.readouterr().out.splitlines()[2:] == [
        "2 photos of the index are not on the disk any more: run photosieve index again, with "
        "--prune if a folder was renamed or deleted.",
        "Some words of the query are no labels: did you mean kitchen?",
    ]


def test_our_recipes_come_before_those_of_the_notebooks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert {recipe.name for recipe in (*OURS, *NOTEBOOKS)} == RECIPES.keys()
    print_recipes(OURS, NOTEBOOKS)
    ours, _, notebooks = capsys.readouterr().out.partition("From the notebooks, for comparison")
    assert all(f"\n{recipe.name} " in ours for recipe in OURS)
    assert all(f"\n{recipe.name} " in notebooks for recipe in NOTEBOOKS)


def test_an_interruption_says_how_to_resume(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stop, resumable("the same command with --resume"):
        raise KeyboardInterrupt
    assert stop.value.exit_code == 130
    assert "to resume, run the same command with --resume" in capsys.readouterr().err


def test_an_explanation_tells_photos_of_several_buildings_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = result(1, 1)
    first, second = (
        replace(hit, path=Path(f"/homes/{name}/photo-01.jpg"))
        for hit, name in zip((*answer.hits, *answer.hidden), ("mill", "oak"), strict=True)
    )
    print_explanation(replace(answer, hits=(first,), hidden=(second,)), {})
    printed = capsys.readouterr().out
    assert "mill/photo-01.jpg" in printed
    assert "oak/photo-01.jpg" in printed
    print_explanation(replace(answer, hits=(first,), hidden=()), {})
    assert "mill" not in capsys.readouterr().out  # of one building the name suffices


def test_labels_on_too_few_photos_are_one_note(
    sieve: Sieve, capsys: pytest.CaptureFixture[str]
) -> None:
    """`doubtful` has a sentence for each."""
    print_cut(sieve)
    assert "note" not in capsys.readouterr().out
    few = np.zeros_like(sieve.evidence.relevant)
    print_cut(replace(sieve, evidence=replace(sieve.evidence, relevant=few)))
    assert capsys.readouterr().out.splitlines()[-1] == (
        "note: 3 labels are on too few photos to trust the answers: red, blue, garden. "
        "Label each on 3 or more, in 2 or more buildings."
    )


def test_figures_that_are_chance_are_not_printed(
    sieve: Sieve, capsys: pytest.CaptureFixture[str]
) -> None:
    print_cut(replace(sieve, tuning=replace(sieve.tuning, member=USUAL)))
    printed = capsys.readouterr().out
    assert "this is the usual cut: too few photos share their labels with other buil" in printed
    assert "macro F1" not in printed
