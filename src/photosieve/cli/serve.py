"""The command `serve`."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from photosieve.cli.options import AllowDownloadOption, permit_downloads
from photosieve.cli.output import print_skipped
from photosieve.cli.search import AddressOption
from photosieve.cli.waiting import progress_bar
from photosieve.errors import UsageError


def serve(
    sieve: Annotated[
        Path,
        typer.Option(
            metavar="SIEVE",
            help="A folder that train made; made untrained if missing.",
        ),
    ],
    address: AddressOption,
    folders: Annotated[
        list[str] | None,
        typer.Argument(metavar="FOLDER", help="Photos to index first, sub-folders included."),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Address to listen on; other than this machine needs --token."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 takes any free one.")
    ] = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="PHOTOSIEVE_TOKEN", metavar="TEXT", help="Secret that every client sends."
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name of this server."),
    ] = None,
    trust_proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Believe X-Forwarded-For and -Proto of this proxy."),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="Path below which a proxy serves this, as /photos; it takes that off.",
        ),
    ] = "",
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Refuse changes of labels, and training.")
    ] = False,
    allow_download: AllowDownloadOption = False,
) -> None:
    """Serve a page to search, label and train, and an API.

    Folders of photos are indexed first. They need no labels: without a sieve, the page starts with
    labeling.
    """
    permit_downloads(allow_download)
    if token is not None and len(token) < 8:
        raise UsageError("the token must have at least 8 characters")
    if not _is_loopback(host) and token is None:
        raise UsageError(
            f"others could reach {host}: give --token, or set PHOTOSIEVE_TOKEN, to keep them out"
        )
    prefix = root_path.rstrip("/")
    if not re.fullmatch(r"(/[\w.~-]+)*", prefix, re.ASCII):
        raise UsageError(f"--root-path {root_path!r} is no path such as /photos")
    os.environ.pop("PHOTOSIEVE_TOKEN", None)  # no process that this one starts needs it
    if not os.environ.get("PHOTOSIEVE_ALLOW_DOWNLOAD"):
        os.environ["HF_HUB_OFFLINE"] = "1"
    from photosieve.index.update import STAGES
    from photosieve.server.app import create_app
    from photosieve.server.connections import make_server
    from photosieve.server.guard import Rules
    from photosieve.server.library import Library

    _prepare(sieve, address, folders or [])
    library = Library(sieve.resolve(), address)
    with progress_bar(STAGES):
        view = library.view()
    if not len(view.snapshot):
        raise UsageError(f"there is no photo in {address}; name a folder of photos to index")
    rules = Rules(
        token=token,
        read_only=read_only,
        hosts=frozenset(name.lower() for name in (host, *(allow_host or ()))),
    )
    app = create_app(library, rules)
    listening = listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    typer.echo(
        f"{len(view.snapshot)} photos, {len(view.sieve.labels)} labels: "
        f"http://{shown}:{listening.getsockname()[1]}/   (Ctrl-C stops it)"
    )
    with suppress(KeyboardInterrupt):  # the usual end
        make_server(app, trust_proxy or (), prefix).run(sockets=[listening])


def _prepare(sieve: Path, address: str, folders: list[str]) -> None:
    """Index folders; make an untrained sieve first if there is none."""
    from photosieve.index.index import Index
    from photosieve.index.update import STAGES
    from photosieve.sieve.folder import MANIFEST, check_target

    if not folders:
        return
    check_target(sieve)
    with progress_bar(STAGES) as progress:
        if not (sieve / MANIFEST).exists():
            from photosieve.data.folders import find_all
            from photosieve.sieve.untrained import untrained

            untrained(find_all(folders)[0], progress=progress).save(sieve)
        update = Index(address).update(sieve, *folders, progress=progress)
    print_skipped(update.skipped)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Open the socket of a server.

    Raises
    ------
    UsageError
        If the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, reuse_port=False)
    except OSError as error:
        raise UsageError(
            f"{host}:{port} cannot be used ({error.strerror or error}); choose another --port"
        ) from None
    # Each connection inherits it. Without it the body of an answer waits 40 ms, until the client
    # has confirmed the head; asyncio sets it only where a socket names its protocol.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
