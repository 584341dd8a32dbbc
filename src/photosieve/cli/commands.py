"""The commands of the program `photosieve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photosieve.cli.labels import labels
from photosieve.cli.options import (
    JsonOption,
    LabelsFromOption,
    Large,
    MaxMegapixelsOption,
    PartialLabelsOption,
    pixels,
)
from photosieve.cli.output import (
    print_comparison,
    print_json,
    print_recipes,
    print_search,
    print_training,
)
from photosieve.cli.search import SearchCommand, index, search
from photosieve.cli.serve import serve
from photosieve.cli.training import compare, evaluate, train, tune
from photosieve.cli.waiting import progress_bar
from photosieve.data import DEFAULT_MEGAPIXELS

# Commands import torch, numpy and Pillow inside their functions, so that `--help` is fast.


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Ask for photos in words; get the photos that match, all of them and no others.",
    epilog="Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[  # noqa: ARG001  # `photosieve.cli.main` reads it
        bool, typer.Option("--debug", help="Print the traceback of an error, for a bug report.")
    ] = False,
) -> None:
    """Handle options before the command."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"photosieve {installed('photosieve')}")
        raise typer.Exit


@app.command(cls=Large)
def demo(
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for the sieve and the report.")
    ] = Path("photosieve-demo"),
    seeds: Annotated[
        int, typer.Option(min=1, metavar="N", help="Trainings behind each row of the table.")
    ] = 2,
    as_json: JsonOption = False,
) -> None:
    """Run the whole job on the sample listings.

    Trains on 6 buildings, tests on 8 others, compares with zero-shot and with the notebooks'
    method, searches, and writes a report.
    """
    from photosieve.cli.demo import run, stages

    with progress_bar(stages(seeds)) as progress:
        demo = run(out, seeds=seeds, progress=progress)
    if as_json:
        print_json(demo.to_dict())
        return
    print_training(demo.sieve, out / "sieve")
    typer.echo(f"\nTested on {demo.evaluation.summary()}\n")
    print_comparison(demo.comparison)
    for result in demo.results:
        typer.echo(f'\nSearch for "{result.query}" in {demo.building.name}:')
        print_search(result, relative_to=demo.building)
    typer.echo(f"\nReport: {(out / 'report.html').resolve()}")
    typer.echo(f"Excel:  {(out / 'report.xlsx').resolve()}")


@app.command(cls=Large)
def check(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Folders of photos with labels files.")
    ],
    partial_labels: PartialLabelsOption = False,
    labels_from: LabelsFromOption = None,
    max_megapixels: MaxMegapixelsOption = DEFAULT_MEGAPIXELS,
    as_json: JsonOption = False,
) -> None:
    """Find problems in labels and photos.

    Exit status 1 if a problem prevents the use of the data.
    """
    from photosieve.data.check import check as run_check

    report = run_check(
        paths,
        partial_labels=partial_labels,
        labels_from=labels_from,
        max_pixels=pixels(max_megapixels),
    )
    if as_json:
        print_json(report.to_dict())
    else:
        typer.echo(report.summary())
    if report.fatal:
        raise typer.Exit(1)


@app.command()
def recipes(as_json: JsonOption = False) -> None:
    """List the recipes with their known problems."""
    from photosieve.training.notebooks import NOTEBOOKS
    from photosieve.training.recipes import OURS

    if as_json:
        print_json([recipe.to_dict() for recipe in (*OURS, *NOTEBOOKS)])
    else:
        print_recipes(OURS, NOTEBOOKS)


for command in (train, tune, evaluate, compare, index):
    app.command(cls=Large)(command)
app.command(cls=SearchCommand)(search)
app.command(cls=Large)(serve)
app.add_typer(labels, name="labels")
