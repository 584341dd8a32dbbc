"""A new table beside an old one, which it replaces when it is complete.

Until then searches use the old table, and a run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from photosieve.encoders.embedding import photo_features
from photosieve.encoders.protocol import Encoder
from photosieve.index.store import KEY_COLUMNS, Store, is_remote

PLACE = "rebuild"
"""Name of the folder, inside that of the index."""


def target(store: Store, encoder: Encoder, *, reencode: bool) -> Store:
    """Return the table to write to, which is made if there is none.

    Parameters
    ----------
    store : Store
    encoder : Encoder
    reencode : bool
        Whether to leave an old table as it is, and take one beside it: that of an interrupted run,
        or a new one.
    """
    old = store.exists()
    if old and not reencode:
        return store
    # Runs the encoder on nothing: a damaged model is found before a table is made.
    model = encoder.trunk_fingerprint, photo_features(encoder, ()).features.shape[1]
    new = _beside(store) if old else store
    new.guard = store.guard
    if not new.exists() or (new.fingerprint, new.width) != model:
        new.create(*model)
    return new


def finish(store: Store, new: Store) -> None:
    """Replace a table by the one beside it, with the user's columns, in one commit."""
    columns = [name for name in store.columns if name not in new.columns]
    if columns:
        rows = store.rows().select([*KEY_COLUMNS, *columns])
        new.add_columns([rows.schema.field(name) for name in columns])
        new.upsert(rows)
    store.replace(new)
    store.write_skipped(new.read_skipped())
    store.write_manifest(new.read_manifest())
    remove(store)


def remove(store: Store) -> None:
    """Remove the table beside another one, if there is one."""
    new = _beside(store)
    if is_remote(new.address):
        new.drop()
    else:
        shutil.rmtree(Path(new.address), ignore_errors=True)


def _beside(store: Store) -> Store:
    return Store(beside(store.address))


def beside(address: str) -> str:
    """Return the address of the table beside an index."""
    return f"{address.rstrip('/')}/{PLACE}"
