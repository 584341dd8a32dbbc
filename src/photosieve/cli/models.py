"""The commands that work on models: `models measure`."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photosieve.cli.options import JsonOption
from photosieve.cli.output import print_json, print_skipped

if TYPE_CHECKING:
    from photosieve.encoders.precision import Precision

PHOTOS = 32

WORTH = 1.2
"""A format is worth its errors if it is so many times as fast as float32."""

models = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look at models.")


@models.callback()
def group() -> None:
    """Look at models."""


@models.command()
def measure(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="As for --encoder: a name, a folder or a hub id."),
    ],
    photos: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Photos to measure on, instead of the samples."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the speed, memory and error of a model's number formats on this machine.

    The error is the lowest cosine between photo embeddings in a format and in float32. About a
    minute.
    """
    from photosieve.data.folders import find_all
    from photosieve.data.photos import decode
    from photosieve.data.samples import samples_folder
    from photosieve.encoders import FLOAT32, base_name, is_starter, load_encoder
    from photosieve.encoders.precision import measure as run
    from photosieve.errors import PhotoError, Skipped, UsageError

    # The other samples decide how a model is rounded to int8.
    paths, skipped = find_all([photos or samples_folder() / "test"])
    decoded = []
    for path in paths[:: max(1, len(paths) // PHOTOS)][:PHOTOS]:
        try:
            decoded.append(decode(path))
        except PhotoError as error:
            skipped += (Skipped.from_error(error),)
    print_skipped(skipped)
    if len(decoded) < 2:
        raise UsageError(f"{photos} has fewer than two photos to measure on; give more")
    encoder = load_encoder(model)
    found = run(encoder, decoded)
    if as_json:
        print_json({"model": encoder.name, "precisions": [asdict(each) for each in found]})
        return
    typer.echo(f"{'':10}{'CPU ms a photo':>16}{'memory, MB':>12}{'cosine':>10}{'centered':>10}")
    for each in found:
        typer.echo(
            f"{each.name:10}{each.milliseconds:16.1f}{each.megabytes:12.0f}"
            f"{each.cosine:10.4f}{each.centered_cosine:10.4f}"
        )
    typer.echo(f"\n{advice(found)}")
    if is_starter(encoder.name):
        own = "float32" if encoder.name.endswith(FLOAT32) else "int8"
        typer.echo(f"{encoder.name} runs in {own}, and its cuts are learned in it.")
    else:
        typer.echo(next_step(base_name(encoder.name), found), nl=False)


def next_step(model: str, found: list[Precision]) -> str:
    """Return the command to try or use int8 with a hub model, as a line; empty if it gains little.

    A sieve that is trained in int8 learns its cut in it, so that it may be good where embeddings
    have moved: labeled photos tell.
    """
    by_name = {each.name: each for each in found}
    int8 = by_name.get("int8")
    if int8 is None or by_name["float32"].milliseconds < WORTH * int8.milliseconds:
        return ""
    options = f"--encoder {shlex.quote(model)} --precision int8"
    if int8.near:
        return f"To use int8: photosieve train PHOTOS --out SIEVE {options}\n"
    return f"To test a sieve in int8: photosieve compare PHOTOS OTHER-PHOTOS {options}\n"


def advice(found: list[Precision]) -> str:
    """Say which number format is worth its errors."""
    exact, *others = found
    if not others:
        return "This model has no other format on this processor."
    best = min(others, key=lambda each: each.milliseconds)
    faster = exact.milliseconds / best.milliseconds
    if faster < WORTH:
        return "No format is much faster than float32 on this processor."
    near = [each for each in others if each.near]
    if not near:
        return (
            f"{best.name} is {faster:.1f} times as fast as float32, but moves photos too far for a "
            "cut that was learned in float32."
        )
    best = min(near, key=lambda each: each.milliseconds)
    return (
        f"{best.name} is {exact.milliseconds / best.milliseconds:.1f} times as fast as float32, "
        "and its errors are too small to affect a cut."
    )
