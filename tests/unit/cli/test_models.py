"""`photosieve models measure`, on a small model with random weights."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from photosieve.cli.commands import app
from photosieve.cli.models import advice, next_step
from photosieve.encoders.precision import Precision
from tests.zoo import Zoo

EXACT = Precision("float32", 40, 500, 1, 1)


@pytest.mark.long
def test_each_format_is_measured(zoo: Zoo) -> None:
    folder = str(zoo.photos[0].parent)
    done = CliRunner().invoke(
        app, ["models", "measure", str(zoo.path("clip")), "--photos", folder, "--json"]
    )
    assert done.exit_code == 0, done.output
    found = {each["name"]: each for each in json.loads(done.stdout)["precisions"]}
    assert {"float32", "int8"} <= found.keys()
    assert found["float32"]["cosine"] == pytest.approx(1, abs=1e-5)
    assert 0.9 < found["int8"]["cosine"] < 0.999999
    assert all(each["milliseconds"] > 0 and each["megabytes"] > 50 for each in found.values())


def test_a_folder_without_photos_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["models", "measure", "starter", "--photos", str(tmp_path)])
    assert done.exit_code != 0
    assert str(tmp_path) in str(done.exception)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([Precision("int8", 38, 300, 1, 1)], "No format is much faster"),
        ([Precision("int8", 20, 300, 0.9, 0.8)], "2.0 times as fast as float32, but moves"),
        ([Precision("int8", 20, 300, 0.9995, 0.99)], "int8 is 2.0 times as fast"),
        (
            [Precision("bfloat16", 25, 400, 0.9995, 0.99), Precision("int8", 20, 300, 0.9, 0.8)],
            "bfloat16 is 1.6 times as fast",
        ),
    ],
)
def test_the_advice_is_the_fastest_that_a_cut_can_live_with(
    others: list[Precision], expected: str
) -> None:
    assert expected in advice([EXACT, *others])


@pytest.mark.parametrize(
    ("int8", "expected"),
    [
        (Precision("int8", 10, 300, 0.9995, 0.99), "To use int8: photosieve train"),
        (Precision("int8", 10, 300, 0.99, 0.9), "To test a sieve in int8: photosieve compare"),
        (Precision("int8", 39, 300, 0.9995, 0.99), ""),
    ],
)
def test_int8_is_offered_where_it_is_faster(int8: Precision, expected: str) -> None:
    line = next_step("my models/clip", [EXACT, int8])
    assert line.startswith(expected)
    assert not expected or line.endswith("--encoder 'my models/clip' --precision int8\n")


def test_a_model_without_int8_is_offered_none() -> None:
    assert next_step("align", [EXACT]) == ""
    assert "no other format" in advice([EXACT])
