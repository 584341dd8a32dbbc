"""An endpoint that gives the answer to a query as a file."""

from __future__ import annotations

import base64
import csv
import io
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from photosieve.errors import PhotoError
from photosieve.report.table import plain_text
from photosieve.server.library import Photo, View
from photosieve.server.pages import templates
from photosieve.server.photos import Choice, Groups, Threshold, Where, Words, find
from photosieve.server.problems import ERRORS, ApiError
from photosieve.server.schemas import PhotoId
from photosieve.server.service import Service, find_photo, get_service
from photosieve.server.thumbnails import thumbnail
from photosieve.server.uploads import safe_name

MAX_MATCHES = 100_000
"""Photos of a table or of a list of links."""

MAX_ZIP_PHOTOS, MAX_ZIP_BYTES = 2000, 4_000_000_000
"""Photos and bytes of one archive."""

MAX_SHEET_PHOTOS = 500
"""Photos of a contact sheet."""

MAX_ARCHIVES = 8
"""Archives that are sent at the same time."""

BLOCK_BYTES = 2**18

Form = Annotated[
    Literal["zip", "csv", "sheet", "links"],
    Query(
        description="`zip`: the photos; `csv`: a table; `sheet`: a contact sheet as a page; "
        "`links`: their addresses."
    ),
]
Found = Sequence[tuple[Photo, float | None]]
"""Photos, each with its probability if there is one."""

router = APIRouter(responses=ERRORS)


@router.get(
    "/search/download",
    tags=["search"],
    summary="Download the photos that match",
    response_class=Response,
)
def download_answer(
    request: Request,
    q: Words,
    form: Form = "zip",
    group: Groups = [],  # noqa: B006
    where: Where = None,
    threshold: Threshold = None,
    known: Choice = "apply",
) -> Response:
    """Return all photos that match as a file; the other parameters are those of `/search`."""
    found = find(request, q, group, where, threshold, known)
    view, hits = found.view, found.result.hits[:MAX_MATCHES]
    if not hits:
        raise ApiError(404, f'there are no matches for "{q}"')
    photos = [(view.photo(hit.row, hit.path), hit.probability) for hit in hits]
    return _answer(request, view, q, photos, form)


@router.get("/photos/download", tags=["photos"], summary="Download photos", response_class=Response)
def download_photos(
    request: Request,
    id: Annotated[
        list[PhotoId], Query(min_length=1, max_length=1000, description="Photos to download.")
    ],
    form: Form = "zip",
) -> Response:
    """Return photos as a file."""
    view = get_service(request).library.view()
    found = [(find_photo(view, one), None) for one in dict.fromkeys(id)]
    return _answer(request, view, "photos", found, form)


def _answer(request: Request, view: View, title: str, found: Found, form: str) -> Response:
    service = get_service(request)
    address = str(request.base_url)
    if form == "links":
        lines = "".join(f"{address}photos/{photo.id}\n" for photo, _ in found)
        return _file(title, "txt", lines, "text/plain; charset=utf-8")
    if form == "csv":
        return _file(title, "csv", _table(view, found, address), "text/csv; charset=utf-8")
    if form == "sheet":
        _check_size(len(found), MAX_SHEET_PHOTOS, "photos")
        cells = list(_cells(service, view, found))
        page = templates.get_template("sheet.html.j2").render(title=title, cells=cells)
        return _file(title, "html", page, "text/html; charset=utf-8")
    _check_size(len(found), MAX_ZIP_PHOTOS, "photos")
    size = sum(int(view.snapshot.sizes[photo.row]) for photo, _ in found)
    _check_size(size, MAX_ZIP_BYTES, "bytes")
    if service.archives >= MAX_ARCHIVES:
        raise ApiError(429, "others download photos now; try again in a minute", retry=60)
    return StreamingResponse(
        _archive(service, view, [photo for photo, _ in found]),
        media_type="application/zip",
        headers=_attachment(title, "zip"),
    )


def _check_size(count: int, most: int, what: str) -> None:
    if count > most:
        raise ApiError(
            413, f"these are {count:,} {what}, the most are {most:,}; take one building at a time"
        )


def _attachment(title: str, ending: str) -> dict[str, str]:
    name = safe_name(title).encode("ascii", "ignore").decode().strip() or "photos"
    return {"Content-Disposition": f'attachment; filename="{name}.{ending}"'}


def _file(title: str, ending: str, text: str, kind: str) -> Response:
    content = text.encode(errors="replace")
    return Response(content, media_type=kind, headers=_attachment(title, ending))


def _table(view: View, found: Found, address: str) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["photo", "building", "probability", "labels", "address"])
    for photo, probability in found:
        labels = ", ".join(view.book.labels(photo.path) or ())
        cells = map(plain_text, (photo.path.name, photo.group.name))
        link = f"{address}photos/{photo.id}"
        chance = "" if probability is None else f"{probability:.4f}"
        writer.writerow([*cells, chance, plain_text(labels), link])
    return text.getvalue()


def _cells(service: Service, view: View, found: Found) -> Iterator[dict[str, str]]:
    """Give the picture, as a data URL, and the caption of each photo of a contact sheet."""
    for photo, probability in found:
        picture = ""
        with suppress(PhotoError):
            file, _ = thumbnail(view, photo, service.library.state / "thumbnails")
            picture = f"data:image/jpeg;base64,{base64.b64encode(file.read_bytes()).decode()}"
        yield {
            "picture": picture,
            "name": photo.path.name,
            "group": photo.group.name,
            "probability": "" if probability is None else f" \u00b7 {probability:.2f}",
        }


class _Parts(io.RawIOBase):
    """An archive that is sent while it grows; holds the bytes that were not taken yet."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def _archive(service: Service, view: View, photos: Sequence[Photo]) -> Iterator[bytes]:
    """Give the bytes of a ZIP archive; photos that cannot be read any more are named in it."""
    out, names, missing = _Parts(), set[str](), list[str]()
    service.archives += 1
    try:
        with zipfile.ZipFile(out, "w") as archive:
            for photo in photos:
                name = _archived_name(photo, names)
                try:
                    path, data = view.locate(photo)
                    source = path.open("rb") if data is None else io.BytesIO(data)
                except (PhotoError, OSError) as error:
                    missing.append(f"{name}: {getattr(error, 'reason', 'it cannot be read')}\n")
                    continue
                entry = zipfile.ZipInfo(name, _date(path))
                with source, archive.open(entry, "w") as target:
                    while block := source.read(BLOCK_BYTES):
                        target.write(block)
                        yield out.take()
            if missing:
                archive.writestr("not-included.txt", "".join(missing))
        yield out.take()
    finally:
        service.archives -= 1


def _archived_name(photo: Photo, taken: set[str]) -> str:
    """Return a safe path in an archive, which no other photo there has."""
    folders = [safe_name(part) or "_" for part in photo.group.name.split("/") if part]
    stem, ending = safe_name(photo.path.stem) or "photo", safe_name(photo.path.suffix[1:])
    number = 1
    while True:
        name = f"{stem}-{number}" if number > 1 else stem
        path = "/".join([*folders, f"{name}.{ending}" if ending else name])
        if path.casefold() not in taken:
            taken.add(path.casefold())
            return path
        number += 1


def _date(path: Path) -> tuple[int, int, int, int, int, int]:
    """When a file was last changed, if an archive can say so."""
    with suppress(OSError):
        date = time.localtime(path.stat().st_mtime)[:6]
        if 1980 <= date[0] <= 2107:
            return date[0], date[1], date[2], date[3], date[4], date[5]
    return 1980, 1, 1, 0, 0, 0
