"""Arguments and options that several commands have, described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
MaxMegapixels = Annotated[
    float, typer.Option(min=0.01, metavar="N", help="Skip photos of more megapixels than this.")
]
Buildings = Annotated[
    list[str],
    typer.Argument(
        metavar="BUILDING...", help="Labelled folders that the sieve was not trained on."
    ),
]
Train = Annotated[
    list[str],
    typer.Argument(metavar="TRAIN...", help="Folders with photos and a train_labels.json."),
]
Encoder = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="starter, or a CLIP, ALIGN or SigLIP model: a folder, or an id on the hub.",
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
