"""Arguments and options that several commands have, described once, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from photosieve.errors import UsageError

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
MaxMegapixels = Annotated[
    float, typer.Option(min=0.01, metavar="N", help="Skip photos of more megapixels than this.")
]
Buildings = Annotated[
    list[str],
    typer.Argument(metavar="BUILDING", help="Labeled folders that the sieve was not trained on."),
]
Train = Annotated[
    list[str],
    typer.Argument(metavar="TRAIN", help="Folders with photos and a train_labels.json."),
]
Encoder = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="starter, or a CLIP, ALIGN or SigLIP model: a folder, or an id on the hub.",
    ),
]


def _recipe_names(incomplete: str) -> list[tuple[str, str]]:
    """What the tab key offers for a recipe: names, each with what it does."""
    from photosieve.training.recipes import RECIPES

    return [(r.name, r.summary) for r in RECIPES.values() if r.name.startswith(incomplete)]


Recipe = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="How to train; `photosieve recipes` lists them.",
        autocompletion=_recipe_names,
    ),
]
Objective = Annotated[
    str,
    typer.Option(
        metavar="GOAL", help="f1, f2, f0.5, accuracy, recall>=0.9 or precision>=0.9 (any number)."
    ),
]
Promise = Annotated[
    str | None,
    typer.Option(
        "--guarantee",
        metavar="PROMISE",
        help="Choose the cut so that recall>=0.9 or precision>=0.8 (any number) can be promised.",
    ),
]
Confidence = Annotated[
    float, typer.Option(metavar="P", help="How sure the promise has to be, between 0 and 1.")
]
Seed = Annotated[int, typer.Option(metavar="N", help="Start of the random numbers.")]
SieveFolder = Annotated[Path, typer.Argument(metavar="SIEVE", help="A folder that train made.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE...",
        help="Change numbers of the recipe, such as lr=1e-5 epochs=20.",
    ),
]


Folds = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Hold a part of the buildings out so many times; 1 is fastest, with rougher figures.",
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with an interrupted training, kept in OUT.training.")
]
Push = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Save it on the Hugging Face hub too, as a private model."),
]


class Settable(TyperCommand):
    """A command whose `--set` takes all the KEY=VALUE words that follow it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, once each of these words has a `--set` of its own."""
        return super().parse_args(ctx, list(_one_set_each(args)))


def _one_set_each(words: Sequence[str]) -> Iterator[str]:
    value_next = setting = False  # whether the last word was --set, or belongs to one
    for word in words:
        if setting and not value_next and re.match(r"\w+=", word):
            yield "--set"
        else:
            setting = value_next or word == "--set" or word.startswith("--set=")
        value_next = word == "--set"
        yield word


def pixels(megapixels: float) -> int:
    """Read `--max-megapixels`."""
    return int(megapixels * 1_000_000)


def read_settings(texts: Sequence[str] | None) -> dict[str, str]:
    """Read `--set`: KEY=VALUE, several in one text where spaces or commas part them.

    Raises
    ------
    UsageError
        If a text is not of that form.
    """
    settings = {}
    for text in " ".join(texts or ()).replace(",", " ").split():
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise UsageError(f'--set wants KEY=VALUE, not "{text}"; for instance epochs=50')
        settings[key] = value
    return settings


def read_recipes(text: str) -> list[str] | None:
    """Read `--recipes`: names that commas part; None if one of them is "all".

    Raises
    ------
    UsageError
        If there is no such recipe, or no name.
    """
    from photosieve.training.recipes import get_recipe

    names = [name for name in re.split(r"[,\s]+", text) if name]
    if "all" in names:
        return None
    if not names:
        raise UsageError("name at least one recipe, such as: --recipes balanced")
    return [get_recipe(name).name for name in names]
