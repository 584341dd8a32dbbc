"""Index: photos of folders, embedded once, and searched without opening a photo.

::

    from photosieve import Index

    index = Index("listing-index")
    index.update("listing-sieve", "listings")
    for hit in index.search("sofa", within=["harbour-view"]):
        print(hit.path, hit.probability)
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photosieve.data.photos import DEFAULT_MAX_PIXELS, reader
from photosieve.decision.cut import Cut
from photosieve.encoders.protocol import Encoder
from photosieve.encoders.words import word_features
from photosieve.errors import PhotoIndexError, Skipped, UsageError
from photosieve.index import neighbors
from photosieve.index.arrays import DamagedSnapshotError
from photosieve.index.candidates import candidates
from photosieve.index.presence import find_present, gone
from photosieve.index.problems import index_errors
from photosieve.index.projection import newest_snapshot
from photosieve.index.scope import find_groups, rows_in_scope
from photosieve.index.snapshot import NOTES_FILE, Snapshot, find_snapshot
from photosieve.index.store import Store
from photosieve.progress import Progress, silent
from photosieve.sieve.answer import SearchResult, answer
from photosieve.sieve.sieve import Sieve

if TYPE_CHECKING:
    from photosieve.index.update import Embed, Update

SHOWN_HIDDEN = 20
"""By default, an answer names so many of the photos that do not match."""

MOST_FILES = 32
"""After an update, the files of the table are joined if they are more than this."""


class Index:
    """Photos of folders, with their features in a table on the disk or in an object store.

    Parameters
    ----------
    address : str or Path
        A folder, or a place in an object store such as ``s3://bucket/index``.
    sieve : str or Path, optional
        The folder of the sieve to search with; by default the one of the last update.
    encoder : Encoder, optional
        The pretrained encoder of that sieve, as for `Sieve.load`.
    """

    def __init__(
        self,
        address: str | Path,
        sieve: str | Path | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        self.address = str(address)
        self.store = Store(self.address)
        self._sieve_folder = None if sieve is None else Path(sieve).resolve()
        self._encoder = encoder
        self._snapshot: tuple[str, Snapshot] | None = None
        self._damaged: set[Path] = set()

    @functools.cached_property
    def sieve(self) -> Sieve:
        """The sieve that it is searched with.

        Raises
        ------
        PhotosieveError
            If it is not where it was.
        """
        folder = self._sieve_folder or Path(self._notes()["sieve"])
        if self._sieve_folder is None and not folder.exists():
            raise PhotoIndexError(
                f"{self.address}: its sieve was {folder}, which is gone; "
                "name another place with --sieve"
            )
        return Sieve.load(folder, self._encoder)

    @property
    def snapshot(self) -> Snapshot:
        """The current content of the index, for its sieve; other processes may change it.

        Raises
        ------
        PhotoIndexError
            If there is no index, or it belongs to another model.
        """
        stamp = self.store.stamp()
        if self._snapshot is None or self._snapshot[0] != stamp:
            self.store.refresh()  # conditions are asked of the table, which must be as new
            self._snapshot = stamp, self._open_snapshot(self.store)
        return self._snapshot[1]

    def _open_snapshot(
        self, store: Store, progress: Progress = silent, *, beside_table: bool = False
    ) -> Snapshot:
        return newest_snapshot(
            store, self.sieve, self._damaged, beside_table=beside_table, progress=progress
        )

    def verified(self) -> Snapshot:
        """Return the snapshot with all of it verified; a damaged one is made again first."""
        snapshot = self.snapshot
        try:
            snapshot.verify()
        except DamagedSnapshotError:
            self._snapshot = None
            self._damaged.add(snapshot.folder)
            with suppress(OSError):  # where it cannot be removed, another one is made elsewhere
                (snapshot.folder / NOTES_FILE).unlink()
            snapshot = self.snapshot
            snapshot.verify()
        return snapshot

    def _notes(self) -> Mapping[str, Any]:
        """Return the notes of the last run, from a snapshot if there is one, which is faster."""
        snapshot = find_snapshot(self.store)
        notes = snapshot.notes if snapshot else self.store.read_manifest()
        if "sieve" not in notes:
            raise PhotoIndexError(
                f"{self.address}: the run that made this index did not finish; "
                "run the same command again"
            )
        return notes

    def search(
        self,
        query: str,
        *,
        within: Sequence[str] = (),
        where: str | None = None,
        top: int | None = None,
        cut: Cut | None = None,
        hidden: int = SHOWN_HIDDEN,
        snapshot: Snapshot | None = None,
    ) -> SearchResult:
        """Find the photos that match a query; no photo is opened.

        Parameters
        ----------
        query : str
            A label, any other phrase, or several terms such as ``sofa -window``.
        within : sequence of str
            Groups to look in, with those below them; by default all.
        where : str, optional
            A condition on the columns of the index, such as ``"price < 300000"``: see
            `photosieve.index.condition.read_condition`.
        top : int, optional
            Return this many of the best photos instead of those that the cut keeps.
        cut : Cut, optional
            Decide by this rule instead of the learned one.
        hidden : int
            Name so many of the photos that do not match, the best of them.
        snapshot : Snapshot, optional
            The state of the index to search; by default the newest.

        Raises
        ------
        PhotosieveError
            If the query, a group or the condition cannot be used, or there is no index.
        """
        if top is not None and top < 1:
            raise UsageError(f"top must be 1 or more, not {top}")
        asked = query, within, where, top, cut, hidden
        try:
            return self._search(snapshot or self.snapshot, *asked)
        except DamagedSnapshotError:
            return self._search(self.verified(), *asked)

    def _search(
        self,
        snapshot: Snapshot,
        query: str,
        within: Sequence[str],
        where: str | None,
        top: int | None,
        cut: Cut | None,
        hidden: int,
    ) -> SearchResult:
        named = find_groups(snapshot, within)
        question = query, named, top, cut, hidden
        kept = snapshot.answers.find(question) if where is None else None
        if kept is not None and not len(gone(snapshot, kept.rows)):
            return kept
        scorer = self.sieve.scorer
        readings = scorer.read(query)
        rows = rows_in_scope(snapshot, self.store, named, where)
        find = functools.partial(
            candidates, snapshot.photos, scorer, readings,
            cut or scorer.cut(readings, self.sieve.cut), extra=(top or 0) + hidden,
        )  # fmt: skip
        chosen, searched, lost = find_present(snapshot, rows, find)
        result = answer(
            scorer,
            self.sieve.cut,
            query,
            readings,
            snapshot.place,
            snapshot.photos,
            groups=snapshot.group_numbers(chosen),
            rows=chosen,
            top=top,
            looked_at=searched,
            rule=cut,
        )
        result = replace(result, gone=lost, within=named)
        if where is None and not lost:
            snapshot.answers.keep(question, result)
        return result

    def update(
        self,
        sieve: str | Path | None = None,
        *folders: str | Path,
        metadata: str | Path | None = None,
        follow_links: bool = False,
        prune: bool = False,
        reencode: bool = False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        embed: Callable[[Path, int], Embed] | None = None,
        progress: Progress = silent,
    ) -> Update:
        """Bring the index in line with folders; it is made if there is none.

        Parameters
        ----------
        sieve : str or Path, optional
            The folder of a sieve; by default the one of the last update.
        folders : str or Path
            Folders, or places in an object store; by default those of the last update. Photos of
            other folders stay in the index.
        metadata : str or Path, optional
            A CSV file with more columns; its first one is called photo or group.
        follow_links : bool
            Take photos and folders behind links, too.
        prune : bool
            Take out the photos of folders that are empty, and of all indexed folders that are gone.
        reencode : bool
            Replace an index that was made with another model, when all of its photos are embedded
            again: those of `folders`, and those of all other folders in it.
        max_pixels : int
            Larger photos are skipped.
        embed : callable, optional
            Called with the sieve's folder and `max_pixels`, returns a function that embeds photos;
            see `embed_on`. By default this machine embeds them.
        progress : Progress

        Raises
        ------
        PhotosieveError
            If something cannot be used; the photos embedded so far are kept.
        """
        # Imported here, so that a search does not wait for them.
        from photosieve.index import rebuild
        from photosieve.index.changes import find_changes
        from photosieve.index.columns import Metadata
        from photosieve.index.folders import check_photos, find_roots
        from photosieve.index.lock import writing
        from photosieve.index.update import Updater, stream_of

        started = time.monotonic()
        table = Metadata.load(Path(metadata)) if metadata is not None else None
        if sieve is not None:
            self._sieve_folder = Path(sieve).resolve()
            self.__dict__.pop("sieve", None)
        folder = self._sieve_folder = self._sieve_folder or Path(self._notes()["sieve"])
        roots = find_roots(self.store, folders, everything=reencode)
        encoder = self.sieve.encoder
        if reencode or not self.store.exists():
            roots = check_photos(roots, self.store, follow_links=follow_links, prune=prune)
        with writing(self.address) as self.store.guard:
            store = rebuild.target(self.store, encoder, reencode=reencode)
            snapshot = self._open_snapshot(store, progress, beside_table=True)
            unusable = {(skip["root"], skip["path"]): skip for skip in snapshot.notes["skipped"]}
            changes = find_changes(
                roots, snapshot, unusable,
                follow_links=follow_links, prune=prune, reader=reader(max_pixels),
            )  # fmt: skip
            if snapshot.notes.get("sieve") != str(folder):
                store.write_manifest({"sieve": str(folder)})
            matched = None
            if table is not None:  # before the embedding, which may take hours
                table, matched = table.matching(changes.names(snapshot, table.key))
            updater = Updater(
                store,
                snapshot,
                changes,
                shortest_side=encoder.shortest_side,
                max_pixels=max_pixels,
                progress=progress,
            )
            stream = embed(folder, max_pixels) if embed else stream_of(encoder)
            update = updater.run(stream)
            if changes.unusable != unusable:
                store.write_skipped(list(changes.unusable.values()))
            if table is not None and matched is not None:
                matched = replace(matched, retyped=table.write(store))
            if store is not self.store:
                # A disk that went away in the meantime leaves the old table as it was.
                check_photos(roots, self.store, follow_links=follow_links, prune=prune)
                rebuild.finish(self.store, store)
            elif store.stamp() != snapshot.stamp:
                store.compact(after=MOST_FILES)
            self._renew(progress)
        update.metadata = matched
        update.photos = len(self.snapshot)
        update.seconds = time.monotonic() - started
        return update

    def _renew(self, progress: Progress) -> None:
        """Make the snapshot and the lists of neighbors, if the table has changed."""
        snapshot = self._open_snapshot(self.store, progress, beside_table=True)
        if len(snapshot) >= neighbors.LEAST_PHOTOS and snapshot.neighbors is None:
            sieve = self.sieve
            queries = (
                sieve.scorer.embed(tuple(sieve.labels))
                if sieve.labels
                else sieve.encoder.head.project_texts(word_features(sieve.encoder)[::20])
            )
            with index_errors(self.address):
                neighbors.make(snapshot.folder, snapshot.vectors, queries, progress)
            snapshot = Snapshot.open(snapshot.folder)
        self._snapshot = self.store.stamp(), snapshot

    def compact(self, progress: Progress = silent) -> None:
        """Join the small files that many updates leave, and delete those of old versions.

        An unfinished run with `reencode` is deleted, too.

        Raises
        ------
        PhotosieveError
            If there is no index, or another process writes to it.
        """
        from photosieve.index import rebuild
        from photosieve.index.lock import writing

        with writing(self.address) as self.store.guard:
            self.store.compact(after=1)
            rebuild.remove(self.store)
            self._renew(progress)

    def verify(
        self, max_pixels: int = DEFAULT_MAX_PIXELS, progress: Progress = silent
    ) -> list[Skipped]:
        """Read every photo again, and return those that are not the same as in the index.

        The next update reads these again.

        Raises
        ------
        PhotosieveError
            If there is no index.
        """
        from photosieve.index.verification import verify

        return verify(self.store, self.verified(), max_pixels, progress)

    def status(self) -> dict[str, Any]:
        """Describe the index, for JSON.

        Raises
        ------
        PhotosieveError
            If there is no index.
        """
        snapshot, store = self.snapshot, self.store
        lists = snapshot.neighbors
        return {
            "index": self.address,
            "photos": len(snapshot),
            "groups": len(snapshot.groups),
            "folders": list(dict.fromkeys(group.root for group in snapshot.groups)),
            "unusable": len(snapshot.notes["skipped"]),
            "sieve": str(self._sieve_folder or snapshot.notes["sieve"]),
            "model": self.sieve.encoder.name,
            "fingerprint": store.fingerprint,
            "columns": list(store.columns),
            "made_with": store.made_with,
            "bytes": store.size(),
            "recall": lists.recall if lists else 1.0,
        }
