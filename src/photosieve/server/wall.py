"""Endpoints that list photos and buildings, for looking around without a query."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from numpy.typing import NDArray

from photosieve.data.names import label_key
from photosieve.index.presence import gone
from photosieve.index.scope import rows_in_scope
from photosieve.index.snapshot import PhotoGroup, Snapshot
from photosieve.server.library import View
from photosieve.server.photos import Groups, Limit, Offset, next_page
from photosieve.server.problems import ERRORS
from photosieve.server.schemas import Building, PhotoDetails, PhotoId, PhotoItem, PhotoList
from photosieve.server.service import find_photo, get_service, photo_fields

MOST_BUILDINGS = 1000
"""Most buildings in an answer."""

MOST_TEXT = 500
"""Most letters of a value of a column."""

LABELS_SHOWN = 5
"""Most labels of a building in an answer."""

PhotoOrder = Literal["building", "name", "date"]

router = APIRouter(responses=ERRORS)


@router.get("/groups", tags=["photos"], summary="List the buildings")
def groups(
    request: Request,
    part: Annotated[
        str, Query(max_length=500, description="Only buildings with this in their name.")
    ] = "",
    offset: Annotated[int, Query(ge=0, le=10**9, description="Number of buildings to skip.")] = 0,
    limit: Annotated[
        int, Query(ge=1, le=MOST_BUILDINGS, description="Most buildings to return.")
    ] = MOST_BUILDINGS,
) -> list[Building]:
    """Return buildings in the order of their names, each with a cover and its labels.

    Letters may be upper or lower case. There are more if as many come as were asked for.
    """
    view = get_service(request).library.view()
    wanted = part.casefold().strip()
    named = [group for group in view.snapshot.groups if wanted in group.name.casefold()]
    return [_building(request, view, group) for group in named[offset : offset + limit]]


def _building(request: Request, view: View, group: PhotoGroup) -> Building:
    cover = view.photo(_first_present(view.snapshot, group))
    names = (path.rpartition("/")[2] for path in view.snapshot.paths(group))
    listed = view.book.verdicts_in(cover.path.parent, names)
    labels = Counter(label for own in listed for label in own.yes)
    fields = photo_fields(request, view, cover)
    return Building(
        name=group.name,
        photos=group.stop - group.start,
        cover=fields["thumbnail"],
        test=fields["test"],
        labeled=len(listed),
        labels=dict(labels.most_common(LABELS_SHOWN)),
    )


def _first_present(snapshot: Snapshot, group: PhotoGroup) -> int:
    """Row of the first photo of a building; of one that is gone where all of them are."""
    lost = gone(snapshot, np.array([group.start], np.intp))
    left = np.setdiff1d(np.arange(group.start, group.stop), lost)
    return int(left[0]) if len(left) else group.start


@router.get("/photos", tags=["photos"], summary="List photos")
def photos(
    request: Request,
    group: Groups = [],  # noqa: B006  # FastAPI copies it
    labeled: Annotated[
        bool | None,
        Query(description="Only photos whose labels are known, or unknown."),
    ] = None,
    label: Annotated[
        str | None, Query(max_length=100, description="Only photos with a label.")
    ] = None,
    sort: Annotated[
        PhotoOrder, Query(description="By building and name, by name alone, or the newest first.")
    ] = "building",
    offset: Offset = 0,
    limit: Limit = 100,
) -> PhotoList:
    """Return photos; those that are gone are left out."""
    view = get_service(request).library.view()
    rows = view.by_name if sort == "name" else view.by_date if sort == "date" else view.rows
    if group:
        scope = np.zeros(len(view.snapshot), bool)
        scope[rows_in_scope(view.snapshot, view.index.store, group, None)] = True
        rows = rows[scope[rows]]
    if labeled is not None or label is not None:
        rows = rows[_chosen(view, label)[rows] == (labeled is not False)]
    page = rows[offset : offset + limit]
    page = page[~np.isin(page, gone(view.snapshot, page))]
    return PhotoList(
        total=len(rows),
        photos=[
            PhotoItem(**photo_fields(request, view, view.photo(int(row)))) for row in page.tolist()
        ],
        next=next_page(request, offset, limit, len(rows)),
    )


def _chosen(view: View, label: str | None) -> NDArray[np.bool_]:
    """Which photos are labeled, or have a label, (n,)."""
    key = None if label is None else label_key(label)
    listed = view.book.listed()
    paths = [p for p, own in listed.items() if key is None or key in map(label_key, own.yes)]
    chosen = np.zeros(len(view.snapshot), bool)
    chosen[list(view.present(paths).values())] = True
    return chosen


@router.get("/photos/{photo_id}/details", tags=["photos"], summary="Get what is noted of a photo")
def details(request: Request, photo_id: PhotoId) -> PhotoDetails:
    """Return the size of a photo, when its file was changed, and the user's columns."""
    view = get_service(request).library.view()
    photo = find_photo(view, photo_id)
    row = photo.row
    store, snapshot = view.index.store, view.snapshot
    ((_, table),) = store.take(snapshot.ids[[row]], ("width", "height", *store.columns))
    noted, changed = table.to_pylist()[0], int(snapshot.mtimes[row])
    if changed < 0:  # the file was changed right before it was indexed
        with suppress(OSError):
            changed = photo.path.stat().st_mtime_ns
    return PhotoDetails(
        width=noted["width"],
        height=noted["height"],
        bytes=int(snapshot.sizes[row]),
        changed=changed / 1e9,
        columns={
            name: str(noted[name])[:MOST_TEXT] for name in store.columns if noted[name] is not None
        },
    )
