"""Restrict a search to groups of photos, and to photos for which a condition holds."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from photosieve.data.names import Spellings
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
        Groups as `find_groups` gives them, with those below them; all if it is empty.
    where : str or None
        A condition on the columns of the table; see `photosieve.index.condition.read_condition`.

    Raises
    ------
    UsageError
        If there is no such group, or the condition cannot be understood.
    """
    rows: NDArray[np.intp] | slice = slice(None)
    if within:
        prefixes = tuple(f"{name}/" for name in find_groups(snapshot, within))
        rows = np.concatenate(
            [
                np.arange(group.start, group.stop)
                for group in snapshot.groups
                if f"{group.name}/".startswith(prefixes) or f"{group.short}/".startswith(prefixes)
            ]
        )
    if where is not None:
        fitting = np.isin(snapshot.ids, _ids_where(store, where))
        rows = np.flatnonzero(fitting) if isinstance(rows, slice) else rows[fitting[rows]]
    return rows


def find_groups(snapshot: Snapshot, names: Sequence[str]) -> tuple[str, ...]:
    """Return groups, or folders of groups, as the index spells them.

    Accents may be written in another way, and letters in another case if that is unambiguous.

    Raises
    ------
    UsageError
        If there is no such group.
    """
    if not names:
        return ()
    groups = {name for group in snapshot.groups for name in (group.name, group.short)}
    known = Spellings(groups | {"/".join(p) for g in groups for p in _outer(g.split("/"))})
    found = []
    for name in names:
        spelled = known.find(name.strip("/"))
        if spelled is None:
            near = ", ".join(difflib.get_close_matches(name, groups, cutoff=0.4))
            raise UsageError(
                f'there is no building "{name}" in the index; '
                + (f"near are: {near}" if near else f"it has {len(groups)} others")
            )
        found.append(spelled)
    return tuple(found)


def _outer(parts: list[str]) -> list[list[str]]:
    """Return the folders around a group, each as its parts."""
    return [parts[:depth] for depth in range(1, len(parts))]


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
