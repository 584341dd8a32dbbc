"""Endpoints that give and take labels as a file, in the forms of `photosieve labels export`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.responses import Response

from photosieve.data import label_claims
from photosieve.data.export import export_labels
from photosieve.data.label_files import LabelEntry, Verdicts
from photosieve.data.label_forms import FILE_ENDINGS, FILE_FORMS, read
from photosieve.data.label_forms.own import CSV, JSON
from photosieve.data.label_forms.photo_names import PhotoNames
from photosieve.index.store import is_remote
from photosieve.server.library import View
from photosieve.server.problems import ERRORS, ApiError
from photosieve.server.schemas import ImportedLabels
from photosieve.server.service import get_service
from photosieve.server.uploads import safe_name

MAX_ENTRIES = 50_000
"""Photos that one file of labels may name."""

MOST_SENTENCES = 20

FormName = Literal[
    "json", "csv", "metadata-csv", "metadata-jsonl", "columns", "coco", "label-studio"
]
_FILES = {form.name: form.file for form in (JSON, CSV, *FILE_FORMS)}

router = APIRouter(prefix="/labels", tags=["labels"], responses=ERRORS)


@router.get("/export", summary="Download the labels", response_class=Response)
def export(
    request: Request,
    form: Annotated[FormName, Query(description="As in `photosieve labels export`.")] = "json",
) -> Response:
    """Return the labels of all photos as a file.

    The header `Photosieve-Lost` says what the form cannot hold.
    """
    service = get_service(request)
    view = service.library.view()
    dataset = view.book.dataset(test=None, groups=view.groups_of_photos)
    if dataset is None:
        raise ApiError(404, "no photo has labels yet")
    with service.searching(), tempfile.TemporaryDirectory() as folder:
        file = Path(folder, _FILES[form])
        done = export_labels(replace(dataset, root=_base(view)), form, file)
        content = file.read_bytes()
    return Response(
        content,
        media_type="text/csv" if file.suffix == ".csv" else "application/json",
        headers={
            "Content-Disposition": f'attachment; filename="{file.name}"',
            "Photosieve-Lost": " ".join(done.lost),
        },
    )


@router.post("/import", summary="Upload labels")
def take(
    request: Request,
    file: Annotated[UploadFile, File(description="In any form of `photosieve labels export`.")],
    partial: Annotated[
        bool, Form(description="Whether labels that a plain list leaves out are unknown.")
    ] = False,
) -> ImportedLabels:
    """Give photos the labels that a file has for them, in one step that can be undone.

    The file names a photo by its path below the collection, or by any end of it that only one photo
    has. Its labels are replaced; photos that the file does not name keep theirs.
    """
    service = get_service(request)
    view = service.library.view()
    name = Path(file.filename or "labels.json")
    if name.suffix.lower() not in FILE_ENDINGS:
        raise ApiError(400, f"a file of labels ends in {', '.join(FILE_ENDINGS)}")
    with service.searching(), tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, f"{safe_name(name.stem) or 'labels'}{name.suffix.lower()}")
        copy.write_bytes(file.file.read())
        entries = read(copy)[1]
    if len(entries) > MAX_ENTRIES:
        raise ApiError(400, f"the file names more than {MAX_ENTRIES:,} photos: divide it")
    new, unused = _matched(view, entries, partial=partial)
    if not new:
        reason = unused[0] if unused else "it is empty"
        raise ApiError(400, f"the file names no photo of this collection: {reason}")
    before = {photo: view.book.verdicts(photo) for photo in new}
    changed = {photo: own for photo, own in new.items() if own != before[photo]}
    if changed:
        label_claims.put(view.book, changed)
    return ImportedLabels(
        changed=len(changed),
        labels=view.book.counts(),
        used=len(new),
        replaced=sum(before[photo] is not None for photo in changed),
        unused=unused[:MOST_SENTENCES],
        unused_count=len(unused),
    )


def _base(view: View) -> Path:
    """Return the folder that names in a file of labels are below: the one that was indexed."""
    roots = {group.root for group in view.snapshot.groups if not is_remote(group.root)}
    return Path(os.path.commonpath(roots))


def _matched(
    view: View, entries: Iterable[LabelEntry], *, partial: bool
) -> tuple[dict[Path, Verdicts], list[str]]:
    """Return the verdicts for each photo, and a sentence for each entry that cannot be used."""
    if not view.groups_of_photos:
        raise ApiError(409, "photos in an object store have no labels here")
    base = _base(view)
    photos = PhotoNames(photo.relative_to(base).as_posix() for photo in view.groups_of_photos)
    new: dict[Path, Verdicts] = {}
    unused = []
    for entry in entries:
        path = base / photos.find(entry.name)
        if path not in view.groups_of_photos:
            unused.append(f"{entry.name}: there is no such photo, or there are several")
            continue
        try:
            own = entry.verdicts()
        except ValueError as error:
            unused.append(f"{entry.name} {error}")
            continue
        if partial and own.no is None and own.yes:
            own = Verdicts(own.yes, ())
        new[path] = new[path].joined(own) if path in new else own
    return new, unused
