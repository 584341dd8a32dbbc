"""The commands that train and test: `train`, `tune`, `evaluate` and `compare`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photosieve.cli.options import (
    AllowDownloadOption,
    BuildingsArgument,
    ConfidenceOption,
    EncoderOption,
    FoldsOption,
    GuaranteeOption,
    JsonOption,
    LabelsFromOption,
    MaxMegapixelsOption,
    ObjectiveOption,
    PartialLabelsOption,
    PrecisionOption,
    PushOption,
    RecipeOption,
    ResumeOption,
    SeedOption,
    SettingsOption,
    SieveArgument,
    TrainArgument,
    encoder_name,
    permit_downloads,
    pixels,
    read_recipes,
    read_settings,
)
from photosieve.cli.output import (
    notes_list,
    print_comparison,
    print_cut,
    print_json,
    print_left_out,
    print_notes,
    print_skipped,
    print_training,
    resumable,
    training_dict,
)
from photosieve.cli.waiting import progress_bar
from photosieve.data import DEFAULT_MEGAPIXELS
from photosieve.progress import seconds_of_process
from photosieve.training.recipes import DEFAULT

if TYPE_CHECKING:
    from photosieve.sieve.sieve import Sieve


def train(
    train: TrainArgument,
    out: Annotated[Path, typer.Option(metavar="SIEVE", help="Folder for the sieve.")],
    encoder: EncoderOption = "starter",
    precision: PrecisionOption = None,
    recipe: RecipeOption = DEFAULT,
    objective: ObjectiveOption = "f1",
    guarantee: GuaranteeOption = None,
    confidence: ConfidenceOption = 0.9,
    seed: SeedOption = 0,
    settings: SettingsOption = None,
    folds: FoldsOption = None,
    resume: ResumeOption = False,
    push_to_hub: PushOption = None,
    partial_labels: PartialLabelsOption = False,
    labels_from: LabelsFromOption = None,
    max_megapixels: MaxMegapixelsOption = DEFAULT_MEGAPIXELS,
    as_json: JsonOption = False,
) -> None:
    """Adapt a model to labeled photos.

    Learns the cut on held-out buildings, and saves model and cut as a sieve. Until it is done, its
    progress is in SIEVE.training, for --resume.
    """
    from photosieve.data.dataset import Dataset
    from photosieve.decision.objective import Objective
    from photosieve.errors import counted
    from photosieve.sieve.folder import check_target
    from photosieve.sieve.sieve import Sieve
    from photosieve.training.checkpoints import Checkpoints
    from photosieve.training.recipes import get_recipe
    from photosieve.training.run import Run
    from photosieve.training.stages import training_stages

    chosen = get_recipe(recipe, read_settings(settings))
    Objective(objective)  # a wrong one is refused before the training
    check_target(out)
    dataset = Dataset.load(
        *train, training=True, partial_labels=partial_labels, labels_from=labels_from
    )
    print_notes(dataset, but="rare label")
    encoder = encoder_name(encoder, precision)
    stages = training_stages(encoder, Run(chosen, seed, folds), dataset)
    work = f"{counted(len(dataset), 'photo')}, {counted(len(dataset.vocabulary), 'label')}"
    checkpoints = Checkpoints(Path(f"{out}.training"), resume=resume)
    with (
        checkpoints,
        progress_bar(stages, work) as progress,
        resumable("the same command with --resume"),
    ):
        sieve = Sieve.fit(
            dataset,
            encoder,
            recipe=chosen,
            objective=objective,
            seed=seed,
            folds=folds,
            checkpoints=checkpoints,
            max_pixels=pixels(max_megapixels),
            progress=progress,
        )
        sieve = replace(sieve, seconds=seconds_of_process())
        _save(sieve, out)
        checkpoints.remove()
    print_skipped(sieve.skipped)
    if guarantee is not None:  # if it is refused, the sieve without it is saved already
        sieve = sieve.with_guarantee(dataset, guarantee, confidence)
        _save(sieve, out)
    address = sieve.push_to_hub(push_to_hub) if push_to_hub else None
    sieve = replace(sieve, seconds=seconds_of_process())
    if as_json:
        print_json({**training_dict(sieve, out, sieve.notes), "address": address})
    else:
        print_training(sieve, out, address)


def _save(sieve: Sieve, folder: Path) -> None:
    """Save a sieve, and how its training went as figures and a picture beside it."""
    from photosieve.report.history import write_training

    sieve.save(folder)
    write_training(sieve.history, folder)


def tune(
    sieve: SieveArgument,
    train: TrainArgument,
    objective: ObjectiveOption = "f1",
    guarantee: GuaranteeOption = None,
    confidence: ConfidenceOption = 0.9,
    partial_labels: PartialLabelsOption = False,
    labels_from: LabelsFromOption = None,
    max_megapixels: MaxMegapixelsOption = DEFAULT_MEGAPIXELS,
    as_json: JsonOption = False,
    allow_download: AllowDownloadOption = False,
) -> None:
    """Learn the cut again, for another objective or with a guarantee.

    The model stays the same, so this takes a second. For a guarantee, give buildings as TRAIN that
    the sieve was not trained on.
    """
    permit_downloads(allow_download)
    from photosieve.data.dataset import Dataset
    from photosieve.encoders.embedding import STAGES
    from photosieve.sieve.sieve import Sieve

    loaded, cap = Sieve.load(sieve), pixels(max_megapixels)
    dataset = Dataset.load(
        *train, training=True, partial_labels=partial_labels, labels_from=labels_from
    )
    print_notes(dataset, but="rare label")
    with progress_bar(STAGES) as progress:
        if guarantee is not None:
            tuned = loaded.with_guarantee(
                dataset, guarantee, confidence, max_pixels=cap, progress=progress
            )
        else:
            tuned = loaded.retune(dataset, objective, max_pixels=cap, progress=progress)
        _save(tuned, sieve)
    if as_json:
        print_json(training_dict(tuned, sieve, dataset.notes))
    else:
        typer.echo(f"{sieve}: new cut, same model")
        print_cut(tuned)


def evaluate(
    sieve: SieveArgument,
    buildings: BuildingsArgument,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page to read in a browser.")
    ] = None,
    excel: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a workbook.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a table.")] = None,
    partial_labels: PartialLabelsOption = False,
    labels_from: LabelsFromOption = None,
    max_megapixels: MaxMegapixelsOption = DEFAULT_MEGAPIXELS,
    as_json: JsonOption = False,
    allow_download: AllowDownloadOption = False,
) -> None:
    """Ask for every label in every building, and score the answers.

    Counts right and wrong answers, and writes the figures as text, page, workbook or table.
    """
    permit_downloads(allow_download)
    from photosieve.data.dataset import Dataset
    from photosieve.encoders.embedding import STAGES
    from photosieve.report import check_report
    from photosieve.report.page import write_html
    from photosieve.report.table import write_csv, write_excel
    from photosieve.sieve.sieve import Sieve

    check_report(html, excel, csv)
    loaded = Sieve.load(sieve)
    dataset = Dataset.load(*buildings, partial_labels=partial_labels, labels_from=labels_from)
    print_notes(dataset)
    with progress_bar(STAGES) as progress:
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
        photos = len(evaluation.photos)
        share = f"All {photos}" if seen == photos else f"{seen} of {photos}"
        typer.echo(
            f"{share} photos share names with training photos, so their figures prove nothing. "
            "Evaluate on other buildings.",
            err=True,
        )
    if unknown := dataset.beyond(loaded.labels):
        typer.echo(f"labels that the sieve does not know, left out: {', '.join(unknown)}", err=True)
    if as_json:
        print_json({**evaluation.to_dict(), "notes": notes_list(dataset.notes)})
        return
    typer.echo(evaluation.summary())
    for path in (html, excel, csv):
        if path is not None:
            typer.echo(f"wrote {path}")


def compare(
    train: Annotated[str, typer.Argument(metavar="TRAIN", help="Labeled photos to train on.")],
    buildings: BuildingsArgument,
    encoder: EncoderOption = "starter",
    precision: PrecisionOption = None,
    recipes: Annotated[
        str, typer.Option(metavar="NAMES", help="Recipes, separated by commas, or all.")
    ] = f"zero-shot,notebook,{DEFAULT}",
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Trainings of each recipe.")] = 5,
    objective: ObjectiveOption = "f1",
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page that shows the last recipe in detail."),
    ] = None,
    excel: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a workbook, with F1 by label.")
    ] = None,
    partial_labels: PartialLabelsOption = False,
    labels_from: LabelsFromOption = None,
    max_megapixels: MaxMegapixelsOption = DEFAULT_MEGAPIXELS,
    as_json: JsonOption = False,
) -> None:
    """Train and test several recipes, and print a leaderboard.

    Each recipe is trained on TRAIN, gets its own cut, and answers every label in every BUILDING.
    With `--recipes all`, recipes that the encoder cannot run are left out, and the page shows the
    default recipe in detail.
    """
    from photosieve.data.dataset import Dataset
    from photosieve.encoders import load_encoder
    from photosieve.report import check_report
    from photosieve.report.page import write_html
    from photosieve.report.table import write_leaderboard
    from photosieve.sieve.compare import compare as run_comparison
    from photosieve.sieve.compare import comparison_stages

    names = read_recipes(recipes)
    check_report(html, excel)
    train_set = Dataset.load(
        train, training=True, partial_labels=partial_labels, labels_from=labels_from
    )
    test_set = Dataset.load(*buildings, partial_labels=partial_labels, labels_from=labels_from)
    print_notes(train_set, "training: ")
    print_notes(test_set, "test: ")
    with progress_bar(comparison_stages(train_set, test_set, names, seeds=seeds)) as progress:
        comparison = run_comparison(
            load_encoder(encoder_name(encoder, precision)),
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
            detail = comparison.evaluations[shown][0]
            write_html(detail, html, comparison=comparison.rows, shown=shown)
        if excel is not None:
            write_leaderboard(comparison.rows, excel)
    print_skipped(comparison.skipped)
    print_left_out(comparison)
    if as_json:
        notes = {"train": notes_list(train_set.notes), "test": notes_list(test_set.notes)}
        print_json({"seeds": seeds, **comparison.to_dict(), "notes": notes})
        return
    print_comparison(comparison)
    for path in (html, excel):
        if path is not None:
            typer.echo(f"wrote {path}")
