"""The command line: parse, call the library, show. Exit statuses are decided here alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from photosieve.cli.options import (
    Buildings,
    Confidence,
    Encoder,
    Folds,
    Json,
    MaxMegapixels,
    Objective,
    Promise,
    Push,
    Recipe,
    Resume,
    Seed,
    Settable,
    Settings,
    SieveFolder,
    Train,
    pixels,
    read_recipes,
    read_settings,
)
from photosieve.cli.output import (
    print_comparison,
    print_cut,
    print_json,
    print_kept_for_testing,
    print_left_out,
    print_recipes,
    print_search,
    print_skipped,
    print_training,
    progress_bars,
    resumable,
    training_dict,
)
from photosieve.cli.search import index, search
from photosieve.cli.serve import serve
from photosieve.errors import PhotosieveError, UsageError

# Whatever needs torch, numpy or Pillow is imported inside the commands: `--help` answers at once.


class Commands(TyperGroup):
    """The commands, with every error we know turned into one sentence and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except PhotosieveError as error:
            typer.echo(f"photosieve: {error}", err=True)
            raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None
        except KeyboardInterrupt:
            typer.echo("photosieve: interrupted; what was being made is discarded", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Ask for photos in words; get the photos that match, all of them and no others.",
    epilog="Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
)

main = app


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Handle options that stand before the command."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"photosieve {installed('photosieve')}")
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the sieve and the report go.")
    ] = Path("photosieve-demo"),
    seeds: Annotated[
        int, typer.Option(min=1, metavar="N", help="Trainings behind each row of the table.")
    ] = 2,
    as_json: Json = False,
) -> None:
    """Run the whole job on the sample listings.

    Trains on 6 buildings, tests on 8 others, compares with zero-shot and with the notebooks'
    method, searches, and writes a report.
    """
    from photosieve.cli.demo import run

    with progress_bars() as progress:
        found = run(out, seeds=seeds, progress=progress)
    if as_json:
        print_json(found.to_dict())
        return
    print_training(found.sieve, out / "sieve")
    typer.echo(f"\nTested on {found.evaluation.summary()}\n")
    print_comparison(found.comparison)
    for result in found.results:
        typer.echo(f'\nSearch for "{result.query}" in {found.building.name}:')
        print_search(result, relative_to=found.building)
    typer.echo(f"\nReport: {(out / 'report.html').resolve()}")
    typer.echo(f"Excel:  {(out / 'report.xlsx').resolve()}")


@app.command()
def check(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Folders of photos with labels files.")
    ],
    max_megapixels: MaxMegapixels = 64.0,
    as_json: Json = False,
) -> None:
    """Look for what is wrong with labels and photos.

    Exit status 1 when something must be repaired before the data can be used.
    """
    from photosieve.data.check import check as run_check

    found = run_check(paths, max_pixels=pixels(max_megapixels))
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(found.summary())
    if found.fatal:
        raise typer.Exit(1)


@app.command()
def recipes(as_json: Json = False) -> None:
    """List the recipes, and what is known to be wrong with each."""
    from photosieve.training.recipes import RECIPES

    if as_json:
        print_json([recipe.to_dict() for recipe in RECIPES.values()])
    else:
        print_recipes(RECIPES.values())


@app.command(cls=Settable)
def train(
    train: Train,
    out: Annotated[Path, typer.Option(metavar="SIEVE", help="Folder to save the sieve in.")],
    encoder: Encoder = "starter",
    recipe: Recipe = "balanced",
    objective: Objective = "f1",
    promise: Promise = None,
    confidence: Confidence = 0.9,
    seed: Seed = 0,
    settings: Settings = None,
    folds: Folds = None,
    resume: Resume = False,
    push_to_hub: Push = None,
    max_megapixels: MaxMegapixels = 64.0,
    as_json: Json = False,
) -> None:
    """Adapt a model to labeled photos.

    Learns the cut on held-out buildings too, and saves both as a sieve. A training of more than
    the projections is kept in SIEVE.training while it goes on, for --resume.
    """
    from photosieve.data.dataset import Dataset
    from photosieve.decision.objective import Objective as Goal
    from photosieve.report.history import write_training
    from photosieve.sieve.folder import check_target
    from photosieve.sieve.sieve import Sieve
    from photosieve.training.recipes import get_recipe

    chosen = get_recipe(recipe, read_settings(settings))
    Goal(objective)
    check_target(out)
    dataset = Dataset.load(*train, training=True)
    print_kept_for_testing(dataset)
    kept = None
    if chosen.trains_blocks or resume:
        from photosieve.training.checkpoints import Checkpoints  # brings torch

        kept = Checkpoints(Path(f"{out}.training"), resume=resume)
    with progress_bars() as progress, resumable(kept is not None, "the same command with --resume"):
        sieve = Sieve.fit(
            dataset,
            encoder,
            recipe=chosen,
            objective=objective,
            seed=seed,
            folds=folds,
            checkpoints=kept,
            max_pixels=pixels(max_megapixels),
            progress=progress,
        )
        sieve.save(out)
    write_training(sieve.history, out)
    if kept is not None:
        kept.remove()
    print_skipped(sieve.skipped)
    if promise is not None:  # if it cannot be made, the sieve without it is there
        sieve = sieve.with_guarantee(dataset, promise, confidence)
        sieve.save(out)
    address = sieve.push_to_hub(push_to_hub) if push_to_hub else None
    if as_json:
        print_json({**training_dict(sieve, out), "address": address})
    else:
        print_training(sieve, out, address)


@app.command()
def tune(
    sieve: SieveFolder,
    train: Train,
    objective: Objective = "f1",
    promise: Promise = None,
    confidence: Confidence = 0.9,
    max_megapixels: MaxMegapixels = 64.0,
    as_json: Json = False,
) -> None:
    """Learn the cut anew, for another objective or with a promise.

    The model stays as it is: this takes a second. For a promise, TRAIN is best a set of buildings
    that the sieve was not trained on.
    """
    from photosieve.data.dataset import Dataset
    from photosieve.sieve.sieve import Sieve

    loaded, cap = Sieve.load(sieve), pixels(max_megapixels)
    dataset = Dataset.load(*train, training=True)
    print_kept_for_testing(dataset)
    with progress_bars() as progress:
        if promise is not None:
            tuned = loaded.with_guarantee(
                dataset, promise, confidence, max_pixels=cap, progress=progress
            )
        else:
            tuned = loaded.retune(dataset, objective, max_pixels=cap, progress=progress)
        tuned.save(sieve)
    if as_json:
        print_json(training_dict(tuned, sieve))
    else:
        typer.echo(f"{sieve}: the cut was learned anew, the model is as it was")
        print_cut(tuned)


@app.command()
def evaluate(
    sieve: SieveFolder,
    buildings: Buildings,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page to read in a browser.")
    ] = None,
    excel: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a workbook.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a table.")] = None,
    max_megapixels: MaxMegapixels = 64.0,
    as_json: Json = False,
) -> None:
    """Ask every label in every building.

    Counts what comes back, right and wrong, and writes it as text, page or workbook.
    """
    from photosieve.data.dataset import Dataset
    from photosieve.report.page import write_html
    from photosieve.report.table import write_csv, write_excel
    from photosieve.sieve.sieve import Sieve

    loaded = Sieve.load(sieve)
    dataset = Dataset.load(*buildings)
    with progress_bars() as progress:
        evaluation = loaded.evaluate(dataset, max_pixels=pixels(max_megapixels), progress=progress)
        for write, path in (
            (write_html, html),
            (write_excel, excel),
            (write_csv, csv),
        ):
            if path is not None:
                write(evaluation, path)
    print_skipped(evaluation.skipped)
    if seen := loaded.evidence.seen(evaluation.photos):
        typer.echo(
            f"{seen} of these {len(evaluation.photos)} photos are called as photos are that the "
            "sieve was trained on: figures on these prove nothing; name other buildings",
            err=True,
        )
    if unknown := dataset.beyond(loaded.labels):
        typer.echo(f"not asked, as the sieve never saw them: {', '.join(unknown)}", err=True)
    if as_json:
        print_json(evaluation.to_dict())
        return
    typer.echo(evaluation.summary())
    for path in (html, excel, csv):
        if path is not None:
            typer.echo(f"wrote {path}")


@app.command()
def compare(
    train: Annotated[str, typer.Argument(metavar="TRAIN", help="Labeled photos to train on.")],
    buildings: Buildings,
    encoder: Encoder = "starter",
    recipes: Annotated[
        str, typer.Option(metavar="NAMES", help="Recipes, separated by commas, or all.")
    ] = "zero-shot,notebook,balanced",
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Trainings of each recipe.")] = 5,
    objective: Objective = "f1",
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with the last recipe in detail."),
    ] = None,
    excel: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a workbook, with F1 by label.")
    ] = None,
    max_megapixels: MaxMegapixels = 64.0,
    as_json: Json = False,
) -> None:
    """Train and test several recipes alike: a leaderboard, best first.

    Each recipe is trained on TRAIN, gets a cut of its own, and answers every label in every
    BUILDING. With `--recipes all`, those that the encoder cannot run are left out, and the page
    has the default recipe in detail.
    """
    from photosieve.data.dataset import Dataset
    from photosieve.encoders import load_encoder
    from photosieve.report.page import write_html
    from photosieve.report.table import write_leaderboard
    from photosieve.sieve.compare import compare as run_comparison
    from photosieve.training.recipes import DEFAULT

    names = read_recipes(recipes)
    train_set, test_set = Dataset.load(train, training=True), Dataset.load(*buildings)
    print_kept_for_testing(train_set)
    with progress_bars() as progress:
        found = run_comparison(
            load_encoder(encoder),
            train_set,
            test_set,
            names,
            seeds=seeds,
            objective=objective,
            max_pixels=pixels(max_megapixels),
            progress=progress,
        )
        if html is not None:
            shown = names[-1] if names else DEFAULT
            detail = found.evaluations[shown][0]
            write_html(detail, html, comparison=found.rows, shown=shown)
        if excel is not None:
            write_leaderboard(found.rows, excel)
    print_skipped(found.skipped)
    print_left_out(found)
    if as_json:
        print_json({"seeds": seeds, **found.to_dict()})
        return
    print_comparison(found)
    for path in (html, excel):
        if path is not None:
            typer.echo(f"wrote {path}")


app.command()(index)
app.command()(search)
app.command()(serve)
