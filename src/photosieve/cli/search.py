"""The commands that find photos: `index` and `search`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photosieve.cli.options import Json, MaxMegapixels, pixels
from photosieve.cli.output import (
    print_explanation,
    print_json,
    print_search,
    print_skipped,
    print_status,
    print_update,
    progress_bars,
    resumable,
)
from photosieve.errors import UsageError

if TYPE_CHECKING:
    from photosieve.index.index import Index

Address = Annotated[
    str,
    typer.Option(
        "--index", metavar="INDEX", help="A folder, or a place such as s3://bucket/index."
    ),
]


def index(
    address: Address,
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FOLDER",
            help="Photos, sub-folders included; those of the last run by default.",
        ),
    ] = None,
    sieve: Annotated[
        Path | None,
        typer.Option(
            metavar="SIEVE", help="A folder that train made; that of the last run by default."
        ),
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Columns for --where; the first one is called group or photo and names them.",
        ),
    ] = None,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Take what links to other places lead to.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Take out photos of folders that are gone or empty.")
    ] = False,
    reencode: Annotated[
        bool, typer.Option("--reencode", help="Replace an index that was made with another model.")
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Embed on a Ray cluster; local starts one here."),
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Only say what is in the index.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only compare every photo with the index.")
    ] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Only tidy up what many updates leave.")
    ] = False,
    max_megapixels: MaxMegapixels = 64.0,
    as_json: Json = False,
) -> None:
    """Embed photos once, so that searches need not open them.

    Run it again after photos came, changed or went: it takes time for these alone. It can be
    interrupted at any moment; the next run goes on.
    """
    from photosieve.index.index import Index

    found = Index(address)
    if status or verify or compact:
        if status + verify + compact > 1 or folders or sieve:
            raise UsageError("--status, --verify and --compact stand alone: give only the index")
        _look_after(found, verify, compact, pixels(max_megapixels), as_json)
        return
    embed = None
    if ray is not None:
        from photosieve.index.cluster import embed_on

        embed = embed_on(ray)
    with progress_bars() as progress, resumable(True, "the same command"):
        update = found.update(
            sieve,
            *(folders or ()),
            metadata=metadata,
            follow_links=follow_links,
            prune=prune,
            reencode=reencode,
            max_pixels=pixels(max_megapixels),
            embed=embed,
            progress=progress,
        )
    if as_json:
        print_json(update.to_dict())
    else:
        print_skipped(update.skipped, "with --json the list is complete")
        print_update(update, address)


def _look_after(found: Index, verify: bool, compact: bool, max_pixels: int, as_json: bool) -> None:
    """Run `index` with one of the options that update nothing."""
    with progress_bars() as progress:
        problems = found.verify(max_pixels, progress) if verify else []
        if compact:
            found.compact(progress)
    if not verify:
        (print_json if as_json else print_status)(found.status())
        return
    if as_json:
        listed = [problem.to_dict() for problem in problems]
        print_json({"photos": len(found.snapshot), "problems": listed})
    else:
        for problem in problems:
            typer.echo(str(problem).removeprefix("skipped "))
        typer.echo(f"{len(found.snapshot)} photos, {len(problems)} problems")
    if problems:
        raise typer.Exit(1)


def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for, in words.")],
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER", help="Where, sub-folders included; or --index."),
    ] = None,
    sieve: Annotated[
        Path | None,
        typer.Option(
            metavar="SIEVE", help="A folder that train made; with --index that of its last run."
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option("--index", metavar="INDEX", help="Search what `photosieve index` has made."),
    ] = None,
    within: Annotated[
        list[str] | None,
        typer.Option("--in", metavar="GROUP", help="A folder of the index to look in."),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION", help="Only photos of the index for which this holds: price < 3e5."
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Show the N best instead of what matches."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say how the query is read and what decided.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page of thumbnails.")
    ] = None,
    max_megapixels: MaxMegapixels = 64.0,
    as_json: Json = False,
) -> None:
    """Print the photos that match, and no others.

    Best first, with how many were left out. A query may have several terms: "sofa -window",
    "kitchen + island", "TV|television".
    """
    if address is not None:
        if folders:
            raise UsageError("give folders or --index; to look in a part of an index, use --in")
        from photosieve.index.index import Index

        found = Index(address, sieve)
        result = found.search(query, within=within or (), where=where, top=top)
        loaded = found.sieve
    else:
        if within or where:
            raise UsageError("--in and --where are for a search with --index")
        if not folders or sieve is None:
            raise UsageError("say where to look: folders and --sieve, or --index")
        from photosieve.sieve.sieve import Sieve

        loaded = Sieve.load(sieve)
        with progress_bars() as progress:
            result = loaded.search(
                query, *folders, top=top, max_pixels=pixels(max_megapixels), progress=progress
            )
    if html is not None:
        from photosieve.report.page import write_contact_sheet

        write_contact_sheet(result, html)
    print_skipped(result.skipped)
    if as_json:
        print_json(result.explain() if explain else result.to_dict())
        return
    if explain:
        print_explanation(result, loaded.labels)
    print_search(result, relative_to=Path.cwd())
    if html is not None:
        typer.echo(f"wrote {html}")
