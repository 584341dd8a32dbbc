"""Restrict a search to groups of photos, and to photos for which a condition holds."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from photosieve.errors import UsageError
from photosieve.index.snapshot import Snapshot
from photosieve.index.store import PHOTO_COLUMNS, Store


def rows_in_scope(
    snapshot: Snapshot, store: Store, within: Sequence[str], where: str | None
) -> NDArray[np.intp] | slice:
    """Return the rows of a scope; a slice of all of them where nothing restricts it.

    Parameters
    ----------
    snapshot : Snapshot
    store : Store
        Of the same index.
    within : sequence of str
        Groups, with those below them; all if it is empty.
    where : str or None
        A condition on the columns of the table; see `photosieve.index.condition.read_condition`.

    Raises
    ------
    UsageError
        If there is no such group, or the condition cannot be understood.
    """
    rows: NDArray[np.intp] | slice = slice(None)
    if within:
        rows = _rows_of_groups(snapshot, [name.strip("/") for name in within])
    if where is not None:
        fitting = np.isin(snapshot.ids, _ids_where(store, where))
        rows = np.flatnonzero(fitting) if isinstance(rows, slice) else rows[fitting[rows]]
    return rows


def _rows_of_groups(snapshot: Snapshot, names: Sequence[str]) -> NDArray[np.intp]:
    known = {name for group in snapshot.groups for name in (group.name, group.short)}
    for name in names:
        if not any(f"{group}/".startswith(f"{name}/") for group in known):
            near = ", ".join(difflib.get_close_matches(name, known, cutoff=0.4))
            raise UsageError(
                f'there is no group "{name}" in the index; '
                + (f"near are: {near}" if near else f"it has {len(known)} others")
            )
    prefixes = tuple(f"{name}/" for name in names)
    parts = [
        np.arange(group.start, group.stop)
        for group in snapshot.groups
        if f"{group.name}/".startswith(prefixes) or f"{group.short}/".startswith(prefixes)
    ]
    return np.concatenate(parts)


def _ids_where(store: Store, where: str) -> NDArray[np.uint64]:
    """Ids of the rows for which a condition holds."""
    # Imported here, so that a search without a condition does not wait for them.
    import pyarrow as pa

    from photosieve.index.condition import read_condition

    # Nobody needs to know where folders are: an answer would confirm or refute guesses.
    offered = [name for name in (*PHOTO_COLUMNS, *store.columns) if name != "root"]
    fields = [store.photos.schema.field(name) for name in offered]
    condition = read_condition(where, pa.schema(fields))
    rows = store.select(condition.columns)
    try:
        fitting = rows.filter(condition.expression)
    except pa.ArrowException:  # two columns of kinds that Arrow does not compare
        raise UsageError(
            f"the columns {', '.join(condition.columns)} cannot be compared with one another"
        ) from None
    return np.asarray(fitting["_rowid"].to_numpy(), np.uint64)
