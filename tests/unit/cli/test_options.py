"""Values of `--set` and `--recipes`."""

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from photosieve.cli.options import SettingsOption, read_recipes, read_settings
from photosieve.errors import UsageError

app = typer.Typer()


@app.command()
def echo(
    photos: list[str],
    settings: SettingsOption = None,
    out: Annotated[str, typer.Option()] = "-",
) -> None:
    typer.echo(f"{' '.join(photos)} | {settings} | {out}")


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("photos/ --set lr=1e-5 --set epochs=20", "photos/ | ['lr=1e-5', 'epochs=20'] | -"),
        ("--set lr=1,epochs=20 photos/", "photos/ | ['lr=1,epochs=20'] | -"),
        ("--set lr=1 photos/ a=b", "photos/ a=b | ['lr=1'] | -"),
        ("p --set=lr=1 --out x=y", "p | ['lr=1'] | x=y"),
        ("p", "p | None | -"),
    ],
)
def test_set_is_repeated(typed: str, understood: str) -> None:
    done = CliRunner().invoke(app, typed.split())
    assert done.output.strip() == understood


def test_set_without_a_value_is_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["p", "--set"]).exit_code == 2


def test_settings_have_spaces_or_commas_between_them() -> None:
    assert read_settings(["lr=1e-5", "epochs=20,scale=2", "seed=1 blocks=2"]) == {
        "lr": "1e-5", "epochs": "20", "scale": "2", "seed": "1", "blocks": "2",
    }  # fmt: skip
    assert read_settings(None) == {}


@pytest.mark.parametrize("text", ["lr", "lr=", "=1", "--set"])
def test_other_texts_than_settings_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=f'--set wants KEY=VALUE, not "{text}"'):
        read_settings([text])


def test_recipes_are_names_or_all() -> None:
    assert read_recipes("zero-shot, balanced") == ["zero-shot", "balanced"]
    assert read_recipes("all") is None
    with pytest.raises(UsageError, match="at least one recipe"):
        read_recipes(" , ")
    with pytest.raises(UsageError, match='did you mean "balanced"'):
        read_recipes("zero-shot,balance")
