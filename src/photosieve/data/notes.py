"""Findings about photos and labels, and a sentence for each kind of those that are not used."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photosieve.data.label_files import EXAMPLE
from photosieve.data.names import NO_TEXT_REMEDY
from photosieve.errors import Skipped, counted

LEAST_PHOTOS, LEAST_BUILDINGS = 3, 2
"""A label on fewer photos, or in fewer buildings, cannot be trusted."""

_SHOWN = 10


@dataclass(frozen=True)
class Finding:
    """Something about labels or photos that their owner should know.

    Parameters
    ----------
    kind : str
        One of "unsafe name", "missing photo", "unlisted photo", "unread format", "duplicate key",
        "similar labels", "repeated photo", "unreadable photo", "invalid labels file",
        "rare label", "never yes", "never no", "never trained", "no labels", "kept for testing",
        "labels found", "other case", "unusable name".
    fatal : bool
        Whether `Dataset.load` refuses the data because of it.
    message : str
        One sentence.
    paths : tuple of str
        The files it is about.
    file : str
        The labels file that covers them; "" if there is none, or several.
    hint : str
        What to do about it, or the photo that is meant, where it is known.
    """

    kind: str
    fatal: bool
    message: str
    paths: tuple[str, ...] = ()
    file: str = ""
    hint: str = ""

    @property
    def name(self) -> str:
        """The first path as its labels file would write it."""
        return (
            os.path.relpath(self.paths[0], Path(self.file).parent) if self.file else self.paths[0]
        )


@dataclass(frozen=True)
class Note:
    """Photos, entries or labels that are not used as their owner may think.

    Parameters
    ----------
    kind : str
        Such as "missing photo"; see `Finding`.
    count : int
        How many of them there are.
    fact : str
        The beginning of a sentence, without names of files.
    example : str
        The rest of the sentence.
    """

    kind: str
    count: int
    fact: str
    example: str = ""

    def __str__(self) -> str:
        return self.fact + self.example

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Note:
        """Read a note from the description of a sieve."""
        texts = {name: str(saved[name]) for name in ("kind", "fact", "example")}
        return cls(count=int(saved["count"]), **texts)

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON."""
        return {"kind": self.kind, "count": self.count, "message": str(self)}


def notes_of(
    findings: Iterable[Finding],
    entries: int,
    labels: Sequence[Sequence[str]],
    groups: Sequence[str],
) -> tuple[Note, ...]:
    """Sum up what a data set has that is not used or too rare.

    Parameters
    ----------
    findings : iterable of Finding
    entries : int
        Of the labels files.
    labels, groups : sequence (photos,)
        As in `Dataset`.
    """
    kinds: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        kinds[finding.kind].append(finding)
    notes = []
    if missing := kinds["missing photo"]:
        notes.append(missing_note(len(missing), entries, _best(missing)))
    if unread := kinds["unread format"]:
        for (form, remedy), count in sorted(Counter(map(_format, unread)).items()):
            fact = f"{counted(count, f'{form} file')} left out"
            notes.append(Note("unread format", count, fact, f": {remedy}"))
    if unlisted := kinds["unlisted photo"]:
        verbs = ("is", "counts") if len(unlisted) == 1 else ("are", "count")
        fact = (
            f"{counted(len(unlisted), 'photo')} {verbs[0]} in no labels file and "
            f"{verbs[1]} as unlabeled"
        )
        notes.append(Note("unlisted photo", len(unlisted), fact, _such_as(unlisted[0].name)))
    if unlabeled := kinds["no labels"]:
        verbs = ("has", "counts") if len(unlabeled) == 1 else ("have", "count")
        fact = (
            f"{counted(len(unlabeled), 'folder')} {verbs[0]} no labels file and {verbs[1]} "
            "as unlabeled"
        )
        notes.append(Note("no labels", len(unlabeled), fact, _such_as(unlabeled[0].name)))
    if unreadable := kinds["unreadable photo"]:
        fact = f"{counted(len(unreadable), 'photo')} left out as unusable"
        notes.append(
            Note("unreadable photo", len(unreadable), fact, _such_as(unreadable[0].message))
        )
    notes += _names_notes(kinds)
    told = kinds["kept for testing"] + kinds["labels found"]
    notes += (Note(finding.kind, 1, finding.message) for finding in told)
    return (*notes, *rare_note(labels, groups))


def _names_notes(kinds: Mapping[str, Sequence[Finding]]) -> list[Note]:
    """Return the notes about names of files and labels."""
    notes = []
    if unnamed := kinds["unusable name"]:
        nouns = "name is" if len(unnamed) == 1 else "names are"
        fact = f"{len(unnamed)} {nouns} not valid UTF-8 and left out"
        example = f"{_such_as(unnamed[0].paths[0])}; {NO_TEXT_REMEDY}"
        notes.append(Note("unusable name", len(unnamed), fact, example))
    if respelled := kinds["other case"]:
        nouns = "entry names its photo" if len(respelled) == 1 else "entries name their photos"
        fact = f"{len(respelled)} {nouns} in another case"
        example = _such_as(f"{respelled[0].hint} for {respelled[0].name}")
        notes.append(Note("other case", len(respelled), fact, f"{example}"))
    alike = kinds["similar labels"]
    notes += (Note(one.kind, 1, one.message.rstrip(".")) for one in alike[:_SHOWN])
    if (more := len(alike) - _SHOWN) > 0:
        fact = f"{counted(more, 'more pair')} of similar labels"
        notes.append(Note("similar labels", more, fact))
    return notes


def missing_note(count: int, entries: int, example: str) -> Note:
    """Return the note about entries of labels files that have no photo."""
    nouns = f"{'entry' if entries == 1 else 'entries'} {'has' if count == 1 else 'have'}"
    fact = f"{count} of {entries} {nouns} no photo"
    return Note("missing photo", count, fact, _such_as(example))


def unreadable_note(skipped: Sequence[Skipped]) -> Note:
    """Return the note about photos that are listed and cannot be read; see `Skipped`."""
    fact = f"{counted(len(skipped), 'photo')} left out as unreadable"
    return Note("unreadable photo", len(skipped), fact, _such_as(skipped[0].path.name))


def no_labels_message(folder: Path) -> str:
    """Return the message about a folder whose photos have no labels."""
    return (
        f"{folder} has photos but no labels file: add train_labels.json to each folder "
        f"of photos, {EXAMPLE}, or label them in the browser: "
        f"photosieve serve {folder} --sieve my-sieve --index my-index."
    )


def _such_as(example: str) -> str:
    """Return the end of a sentence; names may hold signs that steer a terminal or are no text."""
    printable = (letter if letter.isprintable() else "\ufffd" for letter in example)
    return f", such as {''.join(printable)}"


def _best(missing: Sequence[Finding]) -> str:
    """Return the name of an entry, if possible of one that is like the name of a photo."""
    chosen = next((finding for finding in missing if finding.hint), missing[0])
    return f"{chosen.name}; {chosen.hint}" if chosen.hint else chosen.name


def _format(finding: Finding) -> tuple[str, str]:
    return Path(finding.paths[0]).suffix[1:].upper(), finding.hint


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def rare_note(labels: Sequence[Sequence[str]], groups: Sequence[str]) -> list[Note]:
    """Return the note about labels that too few photos have, in a list; `[]` if there is none."""
    photos: Counter[str] = Counter()
    buildings: dict[str, set[str]] = defaultdict(set)
    for own, group in zip(labels, groups, strict=True):
        photos.update(own)
        for label in own:
            buildings[label].add(group)
    least = LEAST_BUILDINGS if len(set(groups)) > 1 else 1
    rare = [x for x in photos if photos[x] < LEAST_PHOTOS or len(buildings[x]) < least]
    if not rare:
        return []
    where = f"fewer than {LEAST_PHOTOS} photos" + (" or in one building" if least > 1 else "")
    verb = "is" if len(rare) == 1 else "are"
    fact = f"{counted(len(rare), 'label')} {verb} on {where}, too few to learn from or to test"
    return [Note("rare label", len(rare), f"{fact}: {listed(rare)}")]
