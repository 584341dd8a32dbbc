"""The commands that find photos: `index` and `search`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photosieve.cli.options import (
    AllowDownloadOption,
    JsonOption,
    Large,
    MaxMegapixelsOption,
    permit_downloads,
    pixels,
)
from photosieve.cli.output import (
    print_explanation,
    print_json,
    print_search,
    print_skipped,
    print_status,
    print_untrained,
    print_update,
    resumable,
)
from photosieve.cli.waiting import progress_bar
from photosieve.data import DEFAULT_MEGAPIXELS
from photosieve.data.names import differs_in_case
from photosieve.errors import UsageError
from photosieve.progress import seconds_of_process

if TYPE_CHECKING:
    from photosieve.index.index import Index

AddressOption = Annotated[
    str,
    typer.Option(
        "--index", metavar="INDEX", help="A folder, or an address such as s3://bucket/index."
    ),
]


def index(
    address: AddressOption,
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
            help="Columns for --where; the first one, group or photo, has the names.",
        ),
    ] = None,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Follow links to other folders.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Remove photos of indexed folders that are gone or empty."),
    ] = False,
    reencode: Annotated[
        bool, typer.Option("--reencode", help="Replace an index that was made with another model.")
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Embed on a Ray cluster; local starts one here."),
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Only print the state of the index.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only compare every photo with the index.")
    ] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Only clean up after many updates.")
    ] = False,
    max_megapixels: MaxMegapixelsOption = DEFAULT_MEGAPIXELS,
    as_json: JsonOption = False,
    allow_download: AllowDownloadOption = False,
) -> None:
    """Embed photos once, so that searches need not open them.

    Re-run it after adding, changing, moving or deleting photos; only those are processed. After an
    interruption, the next run resumes.
    """
    permit_downloads(allow_download)
    from photosieve.index.index import Index
    from photosieve.index.update import STAGES

    photo_index = Index(address)
    if status or verify or compact:
        if status + verify + compact > 1 or folders or sieve:
            raise UsageError("--status, --verify and --compact stand alone: give only --index")
        _maintain(photo_index, verify, compact, pixels(max_megapixels), as_json)
        return
    embed = None
    if ray is not None:
        from photosieve.index.cluster import embed_on

        embed = embed_on(ray)
    with progress_bar(STAGES) as progress, resumable("the same command"):
        update = photo_index.update(
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
        update.seconds = seconds_of_process()
    if as_json:
        print_json(update.to_dict())
    else:
        print_skipped(update.skipped, "with --json the list is complete")
        print_update(update, address)


def _maintain(
    photo_index: Index, verify: bool, compact: bool, max_pixels: int, as_json: bool
) -> None:
    """Print the state of an index, verify it, or compact it."""
    from photosieve.index.update import STAGES

    with progress_bar([("verifying", 1.0), *STAGES[3:]]) as progress:
        problems = photo_index.verify(max_pixels, progress) if verify else []
        if compact:
            photo_index.compact(progress)
    if not verify:
        (print_json if as_json else print_status)(photo_index.status())
        return
    if as_json:
        listed = [problem.to_dict() for problem in problems]
        print_json({"photos": len(photo_index.snapshot), "problems": listed})
    else:
        for problem in problems:
            typer.echo(str(problem).removeprefix("skipped "))
        typer.echo(f"{len(photo_index.snapshot)} photos, {len(problems)} problems")
    if problems:
        raise typer.Exit(1)


def _print_respelled(asked: Sequence[str], found: Sequence[str]) -> None:
    """Print, on stderr, the groups that the index spells in another case."""
    for name, spelled in zip(asked, found, strict=True):
        if differs_in_case(name.strip("/"), spelled):
            typer.echo(f'--in: "{name}" is taken for {spelled}', err=True)


_LIKE_AN_OPTION = re.compile(r"-[^\W\d_]{2}")
"""A query such as "-window": the command has no options of one letter."""


class SearchCommand(Large):
    """The command `search`; it explains queries that look like options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments."""
        before = ["", *args]
        for previous, text in zip(before, args, strict=False):
            if text == "--":
                break
            if _LIKE_AN_OPTION.match(text) and not previous.startswith("--"):
                words = text if " " in text else f"{text} + WANTED"
                raise UsageError(
                    f'"{text}" is read as an option. Write unwanted words after the wanted ones, '
                    f'as in "sofa -window", or put -- before the query, after all options: '
                    f'photosieve search --sieve SIEVE -- "{words}" FOLDER'
                )
        return super().parse_args(ctx, args)


def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Words to search for.")],
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER", help="Photos, sub-folders included; or use --index."),
    ] = None,
    sieve: Annotated[
        Path | None,
        typer.Option(
            metavar="SIEVE", help="A folder that train made; by default that of the index."
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option("--index", metavar="INDEX", help="An index that `photosieve index` made."),
    ] = None,
    within: Annotated[
        list[str] | None,
        typer.Option("--in", metavar="GROUP", help="A building of the index to search."),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help="Search only photos of the index with this condition: price < 3e5.",
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Print the N best photos instead of the matches."),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Print how the query is read, and all reasons."),
    ] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page of thumbnails.")
    ] = None,
    max_megapixels: MaxMegapixelsOption = DEFAULT_MEGAPIXELS,
    as_json: JsonOption = False,
    allow_download: AllowDownloadOption = False,
) -> None:
    """Print the photos that match, and no others.

    Best first, with the number of photos left out. A query may have several terms: "sofa -window",
    "kitchen + island", "TV|television".
    """
    permit_downloads(allow_download)
    if html is not None:
        from photosieve.report import check_report

        check_report(html)
    if address is not None:
        if folders:
            raise UsageError("give folders or --index; to search a part of an index, use --in")
        from photosieve.index.index import Index

        photo_index = Index(address, sieve)
        result = photo_index.search(query, within=within or (), where=where, top=top)
        loaded = photo_index.sieve
        _print_respelled(within or (), result.within)
    else:
        if within or where:
            raise UsageError("--in and --where are for a search with --index")
        if not folders or sieve is None:
            raise UsageError(
                "name folders to search and a sieve, or an index: photosieve search QUERY FOLDER "
                "--sieve SIEVE, or photosieve search QUERY --index INDEX"
            )
        from photosieve.encoders.embedding import STAGES
        from photosieve.sieve.sieve import Sieve

        loaded = Sieve.load(sieve)
        with progress_bar(STAGES) as progress:
            result = loaded.search(
                query, *folders, top=top, max_pixels=pixels(max_megapixels), progress=progress
            )
    if html is not None:
        from photosieve.report.page import write_contact_sheet

        write_contact_sheet(result, html)
    print_skipped(result.skipped)
    print_untrained(loaded)
    if as_json:
        print_json(result.explain() if explain else result.to_dict())
        return
    if explain:
        print_explanation(result, loaded.labels)
    print_search(result, relative_to=Path.cwd())
    if html is not None:
        typer.echo(f"wrote {html}")
