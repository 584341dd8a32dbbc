"""The commands that work on labels: `labels export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photosieve.cli.options import JsonOption, LabelsFromOption
from photosieve.cli.output import print_json

labels = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Convert labels to other forms."
)


@labels.callback()
def group() -> None:
    """Convert labels to other forms."""


@labels.command()
def export(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Folders of photos with labels.")
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="FORM",
            help="json, csv, metadata-csv, metadata-jsonl, columns, coco, label-studio, folders, "
            "txt or keywords.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="The new file; or a new folder for copies of the photos, for folders, txt and "
            "keywords.",
        ),
    ] = None,
    labels_from: LabelsFromOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write labels in the form of another program.

    A labels file in any form is recognized by its content. Says what the new form cannot hold.
    """
    from photosieve.data.dataset import Dataset
    from photosieve.data.export import export_labels

    dataset = Dataset.load(*paths, labels_from=labels_from)
    done = export_labels(dataset, to, out)
    if as_json:
        print_json(done.to_dict())
        return
    typer.echo(f"{done.path}: {done.photos} photos, {done.labels} labels")
    for sentence in done.lost:
        typer.echo(f"lost: {sentence}", err=True)
