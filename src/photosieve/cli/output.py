"""Output of the commands: results on stdout, progress and skipped photos on stderr."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from photosieve.data.dataset import Dataset
    from photosieve.data.notes import Note
    from photosieve.errors import Skipped
    from photosieve.index.columns import Matched
    from photosieve.index.update import Update
    from photosieve.sieve.answer import SearchResult
    from photosieve.sieve.compare import Comparison
    from photosieve.sieve.sieve import Sieve
    from photosieve.training.recipe import Recipe


@contextmanager
def resumable(command: str) -> Iterator[None]:
    """Print after Ctrl-C which command resumes the work, whose progress is saved."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"photosieve: interrupted; to resume, run {command}", err=True)
        raise typer.Exit(130) from None


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))


def print_skipped(
    skipped: Sequence[Skipped], rest: str = "`photosieve check` lists them all"
) -> None:
    """Print skipped photos, with reason and remedy, on stderr; those of a format as one line.

    Parameters
    ----------
    skipped : sequence of Skipped
    rest : str
        Where to see the photos after the tenth.
    """
    from photosieve.errors import counted, unread_formats

    for sentence in unread_formats(skipped):
        typer.echo(sentence, err=True)
    others = [skip for skip in skipped if not skip.form]
    if not others:
        return
    typer.echo(f"skipped {counted(len(others), 'photo')} that cannot be used:", err=True)
    for skip in others[:10]:
        typer.echo(f"  {skip}", err=True)
    if len(others) > 10:
        typer.echo(f"  and {len(others) - 10} more; {rest}", err=True)


def training_dict(sieve: Sieve, folder: Path, notes: Sequence[Note]) -> dict[str, Any]:
    """Describe a fitted sieve for JSON, with the notes on its photos and labels."""
    from photosieve.encoders.prompts import prompts_of

    tuning = sieve.tuning.to_dict()
    return {
        "sieve": str(folder),
        "labels": len(sieve.labels),
        "photos": len(sieve.evidence.names),
        "skipped": len(sieve.skipped),
        "notes": notes_list(notes),
        "unknown": sieve.evidence.unknown,
        "seconds": round(sieve.seconds, 3),
        "objective": tuning["objective"],
        "rule": tuning["member"],
        "out_of_fold": tuning["figures"],
        "cut": tuning["cut"],
        "calibration": tuning["calibration"],
        "guarantee": sieve.guarantee.to_dict() if sieve.guarantee else None,
        "epochs": sieve.history.epochs,
        "mix": sieve.history.mix,
        "probe": asdict(sieve.history.probe) if sieve.history.probe else None,
        "prompts": list(prompts_of(sieve.encoder)),
        "doubtful": sieve.evidence.doubtful(tuple(sieve.labels)),
    }


def print_training(sieve: Sieve, folder: Path, address: str | None = None) -> None:
    """Print the labels, the cut, and figures on held-out photos."""
    from photosieve.errors import counted

    buildings, _ = sieve.evidence.buildings
    typer.echo(
        f"{folder}: {counted(len(sieve.labels), 'label')} learned from "
        f"{counted(len(sieve.evidence.names), 'photo')} of {counted(buildings, 'building')}, "
        f"in {sieve.seconds:.1f} s"
    )
    print_cut(sieve)
    if sieve.history.held_out_f1:
        typer.echo(
            f"best on held-out photos: epoch {sieve.history.epochs}, "
            f"{sieve.history.mix:.0%} of the way from the pretrained weights"
        )
    if address is not None:
        typer.echo(f"saved at {address}")


def print_cut(sieve: Sieve) -> None:
    """Print the cut, and its figures on held-out photos."""
    from photosieve.data.notes import LEAST_BUILDINGS, LEAST_PHOTOS, listed
    from photosieve.decision.metrics import shown_number
    from photosieve.decision.objective import Objective

    figures, objective = sieve.tuning.figures, sieve.tuning.objective
    buildings, held_out = sieve.evidence.buildings
    typer.echo(
        f"cut: {sieve.cut.describe()}; "
        f"for other words: above {sieve.tuning.calibration.word_threshold:.3f}"
    )
    if sieve.tuning.is_usual:
        others = "buildings" if buildings > 1 else "photos"
        typer.echo(
            f"this is the usual cut: too few photos share their labels with other {others} to "
            "learn one, or to tell how good it is"
        )
    else:
        typer.echo(
            f"held-out photos: macro F1 {shown_number(figures['f1'])}, "
            f"precision {shown_number(figures['precision'])}, "
            f"recall {shown_number(figures['recall'])}, tuned for {objective}"
        )
        if unknown := sieve.evidence.unknown:
            typer.echo(
                f"these figures leave out {unknown} of {sieve.evidence.known.size} pairs of photo "
                "and label, which are unknown"
            )
    if not sieve.guarantee and (missed := Objective(objective).missed(figures)):
        typer.echo(missed)
    if buildings == 1:
        typer.echo("only one building: cut and figures are a guess for other buildings")
    if held_out < buildings:
        typer.echo(f"rough figures: only {held_out} of {buildings} buildings were held out")
    if sieve.guarantee:
        typer.echo(f"guarantee: {sieve.guarantee.describe()}")
    if doubtful := list(sieve.evidence.doubtful(tuple(sieve.labels))):
        are = "label is" if len(doubtful) == 1 else "labels are"
        names = listed(doubtful)
        where = f", in {LEAST_BUILDINGS} or more buildings" if buildings > 1 else ""
        typer.echo(
            f"note: {len(doubtful)} {are} on too few photos to trust the answers: {names}. "
            f"Label each on {LEAST_PHOTOS} or more{where}."
        )


def print_notes(dataset: Dataset, role: str = "", *, but: str = "") -> None:
    """Print, on stderr, a sentence for each kind of photo, entry or label that is not used.

    Parameters
    ----------
    dataset : Dataset
    role : str
        Stands before each sentence, where there are several data sets.
    but : str
        A kind to leave out, since the command says more about it elsewhere.
    """
    for note in dataset.notes:
        if note.kind != but:
            typer.echo(f"note: {role}{note}", err=True)


def notes_list(notes: Sequence[Note]) -> list[dict[str, Any]]:
    """Describe notes for JSON."""
    return [note.to_dict() for note in notes]


def print_update(update: Update, address: str) -> None:
    """Print the changes of an index run."""
    parts = [
        f"{count} {name}"
        for name in ("added", "changed", "moved", "deleted")
        if (count := getattr(update, name))
    ]
    skipped = f"; {len(update.skipped)} skipped" if update.skipped else ""
    typer.echo(
        f"{address}: {update.photos} photos, {', '.join(parts) or 'nothing new'}{skipped}, "
        f"in {update.seconds:.1f} s"
    )
    if update.metadata:
        print_matched(update.metadata)


def print_matched(matched: Matched) -> None:
    """Print how the rows of a table of columns fit the index."""
    missing = ", ".join(matched.unmatched[:10])
    more = f" and {len(matched.unmatched) - 10} more" if len(matched.unmatched) > 10 else ""
    found = matched.rows - len(matched.unmatched)
    rest = f"; not in the index: {missing}{more}" if missing else ""
    typer.echo(f"columns: {found} of {matched.rows} rows match{rest}")
    for key, name in list(matched.respelled.items())[:10]:
        typer.echo(f'columns: "{key}" is taken for {name}')
    for column, kind in matched.retyped.items():
        typer.echo(f'columns: "{column}" has another type now: {kind}')


def print_status(status: Mapping[str, Any]) -> None:
    """Print the contents of an index."""
    typer.echo(f"{status['index']}: {status['photos']} photos in {status['groups']} buildings")
    typer.echo(f"size:    {status['bytes'] / 2**20:,.1f} MiB")
    for folder in status["folders"]:
        typer.echo(f"folder:  {folder}")
    typer.echo(f"sieve:   {status['sieve']} ({status['model']})")
    if status["columns"]:
        typer.echo(f"columns: {', '.join(status['columns'])}")
    if status["unusable"]:
        typer.echo(f"{status['unusable']} photos cannot be used")
    if status["recall"] < 1:
        typer.echo(f"search over everything is approximate: recall {status['recall']:.3f}")


def print_search(result: SearchResult, relative_to: Path | None = None) -> None:
    """Print the matches, how many photos were left out, and notes."""
    from photosieve.errors import shown

    for hit in result.hits:
        path = hit.path
        if relative_to is not None and path.is_relative_to(relative_to):
            path = path.relative_to(relative_to)
        typer.echo(f"{hit.probability:.3f}  {shown(path)}")
    typer.echo(result.summary())
    for note in result.notes():
        typer.echo(note)


def print_untrained(sieve: Sieve) -> None:
    """Print, on stderr, that the cut was not learned, if that is so."""
    if not sieve.labels:
        typer.echo(
            "note: the sieve has learned from no labels yet, so its cut is a guess: label photos, "
            "and train, or press Learn on the page of photosieve serve",
            err=True,
        )


def print_explanation(result: SearchResult, trained: Mapping[str, int]) -> None:
    """Print the reading of each term, and the reason for each photo."""
    from rich.console import Console
    from rich.table import Table

    from photosieve.errors import shown

    for reading in result.readings:
        photos = f", trained on {trained[reading.label]} photos" if reading.label else ""
        typer.echo(f"{reading.term}: {reading.describe()}{photos}")
    typer.echo(f"rule: {result.cut.describe()}\n")
    hits = (*result.hits, *result.hidden)
    folder = os.path.commonpath([hit.path.parent for hit in hits]) if hits else ""
    table = Table(box=None, pad_edge=False, header_style="bold")
    terms = [str(reading.term) for reading in result.readings]
    for heading in ("", "probability", "score", *(terms if len(terms) > 1 else ()), "photo", "why"):
        table.add_column(heading, justify="left" if heading in ("", "photo", "why") else "right")
    for hit in hits:
        table.add_row(
            "+" if hit.kept else "-",
            f"{hit.probability:.3f}",
            f"{hit.score:z.3f}",
            *(f"{value:.3f}" for value in (hit.terms if len(terms) > 1 else ())),
            shown(hit.path.relative_to(folder)),
            hit.reason,
        )
    Console(file=sys.stdout, width=120, highlight=False).print(table)
    typer.echo("")


def print_recipes(ours: Sequence[Recipe], notebooks: Sequence[Recipe]) -> None:
    """Print a line for each recipe, ours first, and each known problem once below."""
    from rich.console import Console
    from rich.table import Table

    recipes = [*ours, *notebooks]
    caveats = list(dict.fromkeys(recipe.caveat for recipe in recipes if recipe.caveat))
    parts = [
        (title, [recipe for recipe in part if recipe.trains_blocks == blocks])
        for title, part, blocks in (
            ("For every encoder; the projections are trained:", ours, False),
            ("For CLIP, ALIGN, SigLIP and relatives; the towers too:", ours, True),
            ("From the notebooks, for comparison; the projections:", notebooks, False),
            ("From the notebooks, for comparison; the towers too:", notebooks, True),
        )
    ]
    console = Console(file=sys.stdout, highlight=False)
    widest = max(len(recipe.name) for recipe in recipes)
    room = console.width - widest - 6
    for heading, part in parts:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True, width=widest)
        table.add_column(width=min(room, max(len(recipe.summary) for recipe in recipes)))
        table.add_column(justify="right", style="dim")
        for recipe in part:
            note = str(caveats.index(recipe.caveat) + 1) if recipe.caveat else ""
            table.add_row(recipe.name, recipe.summary, note)
        console.print(heading, style="bold")
        console.print(table)
        console.print()
    notes = Table(box=None, pad_edge=False, show_header=False, style="dim")
    notes.add_column(justify="right")
    notes.add_column()
    for number, caveat in enumerate(caveats, start=1):
        notes.add_row(str(number), caveat)
    console.print("Known problems:", style="bold")
    console.print(notes)


def print_left_out(comparison: Comparison) -> None:
    """Print, on stderr, the recipes that this encoder cannot run, with the reason."""
    for reason in dict.fromkeys(comparison.left_out.values()):
        names = [name for name, own in comparison.left_out.items() if own == reason]
        typer.echo(f"left out: {', '.join(names)}: {reason}", err=True)


def print_comparison(comparison: Comparison) -> None:
    """Print a leaderboard, no wider than a terminal of 80 columns."""
    from rich.console import Console
    from rich.table import Table

    from photosieve.decision.metrics import shown_number

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("method", "macro F1 [95 %]", "mAP", "accuracy", '"none" right'):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for row in comparison.rows:
        table.add_row(
            row.name,
            str(row.macro_f1),
            shown_number(row.mean_average_precision.value),
            shown_number(row.accuracy.value),
            "n/a" if math.isnan(row.empty_right.value) else f"{row.empty_right.value:.1%}",
        )
    Console(file=sys.stdout, width=80, highlight=False).print(table)
