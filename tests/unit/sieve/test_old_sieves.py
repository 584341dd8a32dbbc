"""Sieves of earlier versions still load, and answer as they did."""

import json
from pathlib import Path

import pytest

from photosieve.encoders.protocol import Encoder
from photosieve.encoders.starter import Starter
from photosieve.sieve.folder import MANIFEST
from photosieve.sieve.sieve import Sieve
from photosieve.sieve.untrained import untrained

FOLDER = Path(__file__).with_name("sieve-0.1")
"""Made of the four buildings of the fixture `listings`, before fields and packages were renamed."""


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("red", {"red.png": 0.999856, "red-too.png": 0.999855, "both.png": 0.801759}),
        ("garden", {"green.png": 0.983099}),
        ("blue", {"blue.png": 0.999894, "both.png": 0.926}),
    ],
)
def test_a_sieve_of_version_0_1_answers_as_it_did(
    query: str, expected: dict[str, float], encoder: Encoder, listings: Path
) -> None:
    sieve = Sieve.load(FOLDER, encoder)
    hits = sieve.search(query, listings / "test" / "house-8")
    assert {hit.path.name: hit.probability for hit in hits} == pytest.approx(expected, abs=1e-5)
    assert sieve.recipe.normalizes
    assert sieve.history.epochs == 30


def test_it_can_be_saved_in_the_form_of_today(encoder: Encoder, tmp_path: Path) -> None:
    sieve = Sieve.load(FOLDER, encoder)
    sieve.save(tmp_path / "sieve")
    again = Sieve.load(tmp_path / "sieve", encoder)
    assert (again.recipe, again.tuning, again.history) == (
        sieve.recipe,
        sieve.tuning,
        sieve.history,
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("called", "made_with"),
    [
        ("starter", "starter"),
        ("starter", "starter-float32"),  # before there were integers
        ("starter", "starter-small-float32"),  # in 0.1
        ("starter-small", "starter-small-float32"),
    ],
)
def test_a_starter_in_float32_is_found_by_its_old_name(
    called: str, made_with: str, listings: Path, tmp_path: Path
) -> None:
    sieve = untrained([listings / "test" / "house-8" / "red.png"], Starter(made_with))
    sieve.save(tmp_path / "sieve")
    manifest = json.loads((tmp_path / "sieve" / MANIFEST).read_text("utf-8"))
    manifest["encoder"] = called
    (tmp_path / "sieve" / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    found = Sieve.load(tmp_path / "sieve").encoder
    assert found.name == made_with
    assert found.fingerprint == sieve.encoder.fingerprint
