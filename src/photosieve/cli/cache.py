"""The commands that look after the cache folder: `cache` and `cache clear`."""

from __future__ import annotations

from typing import Annotated

import typer

from photosieve.cli.options import JsonOption
from photosieve.cli.output import print_json

cache = typer.Typer(
    invoke_without_command=True,
    rich_markup_mode=None,
    help="Show the contents of the cache folder; `cache clear` empties it.",
)


@cache.callback()
def show(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show the contents of the cache folder, by kind, and when each was used last.

    It holds files that can be made again, such as converted models and the features of photos in
    searched folders. Above its limit (PHOTOSIEVE_CACHE_LIMIT, in GiB) the least recently used
    goes first.
    """
    if ctx.invoked_subcommand:
        return
    from photosieve.cache import summary

    found = summary()
    if as_json:
        print_json(found)
        return
    for name, kind in found["kinds"].items():
        typer.echo(
            f"{name:12} {_size(kind['bytes'])} in {kind['entries']}, "
            f"used {kind['days_since_use']:.0f} days ago"
        )
    typer.echo(f"{'all':12} {_size(found['bytes'])} of {_size(found['limit']).strip()}")
    typer.echo(found["folder"])


@cache.command()
def clear(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(metavar="KIND", help="Such as models or features; by default all."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Empty the cache folder, except for files that another process uses.

    The files are made again when they are needed, which takes time.
    """
    from photosieve.cache import clear as remove

    removed = remove(*(kinds or ()))
    size = sum(entry.size for entry in removed)
    if as_json:
        print_json({"removed": len(removed), "bytes": size})
    else:
        typer.echo(f"removed {_size(size).strip()}")


def _size(size: int) -> str:
    return f"{size / 2**20:9,.1f} MiB"
