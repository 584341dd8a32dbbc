"""Arguments and options that several commands share, and functions that read their values."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from photosieve.cli.failures import check_memory_limit
from photosieve.errors import UsageError


def _finite(value: float) -> float:
    """Refuse what is no number: "nan" passes every comparison with a smallest value."""
    if not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a number of megapixels; give one such as 100")
    return value


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
MaxMegapixelsOption = Annotated[
    float,
    typer.Option(
        min=0.01,
        metavar="N",
        callback=_finite,
        help="Skip photos of more megapixels than this.",
    ),
]
AllowDownloadOption = Annotated[
    bool,
    typer.Option(
        "--allow-download", help="Download the model that the sieve names, if it is missing."
    ),
]
PartialLabelsOption = Annotated[
    bool,
    typer.Option(
        "--partial-labels",
        help="Treat labels that a listed photo lacks as unknown, not as absent.",
    ),
]
LabelsFromOption = Annotated[
    str | None,
    typer.Option(
        "--labels-from",
        metavar="FORM",
        help="Read labels from folders (one for each label), txt (files beside the photos) or "
        "keywords (in the photos) instead of labels files.",
    ),
]
BuildingsArgument = Annotated[
    list[str],
    typer.Argument(metavar="BUILDING", help="Labeled folders that the sieve was not trained on."),
]
TrainArgument = Annotated[
    list[str],
    typer.Argument(metavar="TRAIN", help="Folders with photos and a train_labels.json."),
]
EncoderOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="starter, starter-small, or a CLIP, ALIGN or SigLIP model: a folder or a hub id.",
    ),
]
NumberFormat = Literal["float32", "int8"]

PrecisionOption = Annotated[
    NumberFormat | None,
    typer.Option(
        help="Number format of the image tower; by default int8 for the starters and float32 for "
        "other models. `photosieve models measure` says what int8 gains and costs.",
    ),
]


def _recipe_names(incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a recipe; shells show each summary."""
    from photosieve.training.recipes import RECIPES

    return [(r.name, r.summary) for r in RECIPES.values() if r.name.startswith(incomplete)]


RecipeOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="How to train; `photosieve recipes` lists them.",
        autocompletion=_recipe_names,
    ),
]
ObjectiveOption = Annotated[
    str,
    typer.Option(
        metavar="OBJECTIVE",
        help="f1, f2, f0.5, accuracy, recall>=0.9 or precision>=0.9 (any number).",
    ),
]
GuaranteeOption = Annotated[
    str | None,
    typer.Option(
        metavar="TARGET",
        help="Choose a cut that guarantees recall>=0.9 or precision>=0.8 (any number).",
    ),
]
ConfidenceOption = Annotated[
    float, typer.Option(metavar="P", help="Confidence of the guarantee, between 0 and 1.")
]
SeedOption = Annotated[
    int, typer.Option(min=0, max=2**63 - 1, metavar="N", help="Seed of the random numbers.")
]
SieveArgument = Annotated[Path, typer.Argument(metavar="SIEVE", help="A folder that train made.")]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a number of the recipe: --set lr=1e-5 --set epochs=20.",
    ),
]
FoldsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Number of held-out parts of the buildings; 1 is fastest, with rougher figures.",
    ),
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Resume an interrupted training from OUT.training.")
]
PushOption = Annotated[
    str | None,
    typer.Option(
        metavar="ID", help="Also save the sieve on the Hugging Face hub, as a private model."
    ),
]


def pixels(megapixels: float) -> int:
    """Convert megapixels to pixels."""
    return int(megapixels * 1_000_000)


def read_settings(texts: Sequence[str] | None) -> dict[str, str]:
    """Read `--set`: KEY=VALUE, or several of them with spaces or commas between them.

    Raises
    ------
    UsageError
        If a text has another form.
    """
    settings = {}
    for text in " ".join(texts or ()).replace(",", " ").split():
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise UsageError(f'--set wants KEY=VALUE, not "{text}"; for example --set epochs=50')
        settings[key] = value
    return settings


def read_recipes(text: str) -> list[str] | None:
    """Read `--recipes`: names with commas between them; None if one of them is "all".

    Raises
    ------
    UsageError
        If a name is unknown, or there is no name.
    """
    from photosieve.training.recipes import get_recipe

    names = [name for name in re.split(r"[,\s]+", text) if name]
    if "all" in names:
        return None
    if not names:
        raise UsageError("name at least one recipe, such as: --recipes probe")
    return [get_recipe(name).name for name in names]


def permit_downloads(allowed: bool) -> None:
    """Tell this process, and those that it starts, whether sieves may download their models."""
    if allowed:
        os.environ["PHOTOSIEVE_ALLOW_DOWNLOAD"] = "1"


class Large(TyperCommand):
    """A command whose libraries crash where the address space is limited too much."""

    def invoke(self, ctx: Any) -> Any:
        """Run it, if there is room."""
        needed = {"check": 0.5, "search": 1 if ctx.params.get("address") else 3}
        check_memory_limit(needed.get(str(ctx.info_name), 3))
        return super().invoke(ctx)


def encoder_name(encoder: str, precision: NumberFormat | None) -> str:
    """Return the name of an encoder in the number format of `PrecisionOption`."""
    from photosieve.encoders import in_precision

    return in_precision(encoder, precision) if precision else encoder
