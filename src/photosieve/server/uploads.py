"""Endpoints that take photos into a building of the collection."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile

from photosieve.data.folders import is_ignored
from photosieve.data.formats import HEAD_BYTES, SUFFIXES, name_of
from photosieve.data.names import Spellings, visible
from photosieve.data.photos import DEFAULT_MAX_PIXELS
from photosieve.errors import PhotoError, one_line
from photosieve.index.store import is_remote
from photosieve.server.decoding import decoder
from photosieve.server.library import View
from photosieve.server.problems import ERRORS, ApiError
from photosieve.server.schemas import UploadedPhoto, Uploads
from photosieve.server.service import get_service
from photosieve.storage import draft_file, locked_file

MAX_PHOTOS = 20_000
"""Files in one building; to a fuller one no photos can be added here."""

FREE_BYTES = 500_000_000
"""Room on the disk that uploads leave."""

MAX_NAME = 120
"""Letters of the name of a file or a building."""

_ENDINGS = {"JPEG": ".jpg", "JPEG2000": ".jp2", "TIFF": ".tif", "HEIF": ".heic"}
"""Of formats whose ending is not their name."""

router = APIRouter(tags=["photos"], responses=ERRORS)


@router.post("/photos", status_code=201, summary="Add a photo")
def upload(
    request: Request,
    photo: Annotated[UploadFile, File(description="The picture.")],
    group: Annotated[
        str, Form(min_length=1, max_length=500, description="Its building; it may be a new one.")
    ],
) -> UploadedPhoto:
    """Store a photo in the folder of a building, and index it soon after.

    The format follows from the content. The name of the file is made safe, and no file is replaced:
    a second `photo.jpg` becomes `photo-2.jpg`, unless it is the same photo.
    """
    service = get_service(request)
    view = service.library.view()
    folder, group = folder_of(view, group)
    data = photo.file.read()
    try:
        with decoder(
            Path("the upload"),
            data,
            shortest_side=view.sieve.encoder.shortest_side,
            max_pixels=DEFAULT_MAX_PIXELS,  # as the index, which would skip it
        ) as decode:
            decode()
    except PhotoError as error:
        raise ApiError(400, f"the upload cannot be used: {error.reason}; {error.remedy}") from None
    name = photo_name(photo.filename or "", data)
    try:
        path, new = _store(view, folder, name, data)
    except OSError as error:
        raise ApiError(409, f"the photo cannot be stored ({one_line(error)})") from None
    if not view.has(path):
        service.arrivals.add(path)
    return UploadedPhoto(id=view.id_of(path), name=path.name, group=group, new=new)


@router.get("/uploads", summary="Watch uploads")
def uploads(request: Request) -> Uploads:
    """Return how many uploaded photos are not indexed yet, so that no search finds them."""
    arrivals = get_service(request).arrivals
    return Uploads(waiting=arrivals.waiting, error=arrivals.error)


def folder_of(view: View, group: str) -> tuple[Path, str]:
    """Return the folder and the name of a building, which may be a new one.

    Raises
    ------
    ApiError
        If photos cannot be stored there.
    """
    groups = {known.name: known for known in view.snapshot.groups}
    known = groups.get(Spellings(groups).find(group) or "")
    if known is not None:
        if is_remote(known.root):
            raise ApiError(409, f"{group} is in an object store: upload the photo there")
        folder, root, group = view.photo(known.start).path.parent, Path(known.root), known.name
    else:
        roots = {one.root for one in groups.values() if not is_remote(one.root)}
        if len(roots) != 1:
            raise ApiError(409, f"there is no building {group}: choose one of the collection")
        root, group = Path(roots.pop()), safe_name(group)
        if not any(map(str.isalnum, group)) or is_ignored(group):
            raise ApiError(400, "a building needs a name of letters or digits")
        folder = root / group
    if not root.is_dir() or not folder.resolve().is_relative_to(root.resolve()):
        raise ApiError(409, f"the folder of {group} is gone or a link to another place")
    return folder, group


def photo_name(name: str, data: bytes) -> str:
    """Return a safe name for a photo, with an ending under which it is read as a photo."""
    path = PurePosixPath(name.replace("\\", "/"))
    stem, ending = (path.stem, path.suffix.lower()) if path.suffix else (path.name, "")
    if ending not in SUFFIXES:
        form = name_of(data[:HEAD_BYTES])
        ending = _ENDINGS.get(form, f".{form.lower()}")
    return f"{safe_name(stem) or 'photo'}{ending}"


def safe_name(name: str) -> str:
    """Return a name that is one part of a path on any system, not hidden; possibly empty."""
    kept = re.sub(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\ud800-\udfff]', "_", visible(name))
    kept = kept[:MAX_NAME].encode()[:200].decode(errors="ignore").strip(" .~")
    # Names of devices on Windows, with any ending.
    return re.sub(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)", r"\1_", kept)


def _store(view: View, folder: Path, name: str, data: bytes) -> tuple[Path, bool]:
    """Write a photo under a free name; return its path, and whether it was not there yet.

    A name that a labels file has for a photo that is gone is not free: its labels are not those of
    the new photo.
    """
    folder.mkdir(exist_ok=True)
    if shutil.disk_usage(folder).free < len(data) + FREE_BYTES:
        raise ApiError(409, "the disk is nearly full: make room first")
    with locked_file(folder / "uploads"):  # nobody else takes the same free name
        taken = {path.name.casefold(): path for path in folder.iterdir()}
        if len(taken) >= MAX_PHOTOS:
            raise ApiError(409, f"this building has {MAX_PHOTOS:,} files: choose another one")
        path = folder / name
        for number in itertools.count(2):
            known = taken.get(path.name.casefold())
            if known is None and view.book.verdicts(path) is None:
                break
            if known is not None and _holds(known, data):
                return known, False
            path = path.with_name(f"{Path(name).stem}-{number}{path.suffix}")
        with draft_file(path) as draft:
            draft.write(data)
        return path, True


def _holds(file: Path, data: bytes) -> bool:
    return file.is_file() and file.stat().st_size == len(data) and file.read_bytes() == data
