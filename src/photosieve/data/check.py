"""Check labeled photos: one report with every problem in all folders."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from photosieve.data.names import label_key
from photosieve.data.photos import DEFAULT_MAX_PIXELS, content_hash, decode
from photosieve.data.scan import Finding, ListedPhoto, scan
from photosieve.errors import PhotoError

_EXAMPLES = 10
_DECODED_SIDE = 32  # the whole file is still read and checked, several times faster


@dataclass(frozen=True)
class CheckReport:
    """The outcome of a check.

    Parameters
    ----------
    photos : int
        Photos that are listed and exist.
    labels : int
        Different labels.
    buildings : int
        Different buildings.
    problems : tuple of Finding
        All problems, the fatal ones first, then by kind.
    verdicts : mapping of str to dict
        For each label how many photos are "yes", "no" and "unknown"; empty if no pair is unknown.
    """

    photos: int
    labels: int
    buildings: int
    problems: tuple[Finding, ...]
    verdicts: Mapping[str, dict[str, int]] = field(default_factory=dict)

    @property
    def fatal(self) -> bool:
        """Whether the data cannot be used as it is."""
        return any(problem.fatal for problem in self.problems)

    def counts(self) -> dict[str, int]:
        """Return how many problems there are of each kind."""
        return dict(Counter(problem.kind for problem in self.problems))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain numbers, strings and lists, for JSON."""
        return {
            "photos": self.photos,
            "labels": self.labels,
            "buildings": self.buildings,
            "fatal": self.fatal,
            "verdicts": dict(self.verdicts),
            "counts": self.counts(),
            "problems": [
                asdict(problem) | {"paths": list(problem.paths)} for problem in self.problems
            ],
        }

    def summary(self) -> str:
        """Return the report as text for people: each kind with its number and some examples."""
        lines = [f"{self.photos} photos, {self.labels} labels, {self.buildings} buildings"]
        for label, counts in self.verdicts.items():
            shown = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
            lines.append(f"  {label}: {shown}")
        for kind, group in groupby(self.problems, key=lambda problem: problem.kind):
            problems = list(group)
            fatal = ", must be repaired" if problems[0].fatal else ""
            lines.append(f"{kind}: {len(problems)}{fatal}")
            lines += [f"  {problem.message}" for problem in problems[:_EXAMPLES]]
            if len(problems) > _EXAMPLES:
                lines.append(f"  and {len(problems) - _EXAMPLES} more")
        return "\n".join(lines if self.problems else [*lines, "no problems found"])


def check(
    paths: Sequence[str | Path],
    *,
    partial_labels: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> CheckReport:
    """Look for all problems that could spoil training or testing on these photos.

    Every photo is read completely, so this takes about as long as indexing without the model.

    Parameters
    ----------
    paths : sequence of str or Path
        As for `Dataset.load`. Give training and test folders together to see whether a photo is
        in both.
    partial_labels : bool
        As for `Dataset.load`.
    max_pixels : int
        A photo with more pixels counts as unreadable.

    Raises
    ------
    UsageError
        If a path does not exist or a pattern matches nothing.
    """
    scanned = scan(paths)
    spellings = {label_key(label): label for entry in scanned.listed for label in entry.labels}
    verdicts = _verdicts(scanned.listed, spellings, partial_labels)
    problems = [
        *scanned.problems,
        *_similar_labels(spellings),
        *_rare_labels(scanned.listed, spellings),
        *_never_yes(scanned.listed, spellings),
        *_never_no(verdicts),
        *_unreadable([*(entry.photo for entry in scanned.listed), *scanned.unlisted], max_pixels),
        *_repeated(scanned.listed),
    ]
    kinds = list(dict.fromkeys(problem.kind for problem in problems))
    return CheckReport(
        photos=len(scanned.listed),
        labels=len(spellings),
        buildings=len({entry.group for entry in scanned.listed}),
        problems=tuple(sorted(problems, key=lambda p: (not p.fatal, kinds.index(p.kind)))),
        verdicts=verdicts,
    )


def _verdicts(
    listed: Sequence[ListedPhoto], spellings: dict[str, str], partial_labels: bool
) -> dict[str, dict[str, int]]:
    """Count yes, no and unknown for each label; empty if every pair is known."""
    counts = {label: {"yes": 0, "no": 0, "unknown": 0} for label in spellings.values()}
    for entry in listed:
        noes = set(map(label_key, entry.noes or ()))
        complete = entry.noes is None and not (partial_labels and entry.labels)
        for key, label in spellings.items():
            absent = "no" if complete or key in noes else "unknown"
            counts[label]["yes" if label in entry.labels else absent] += 1
    return counts if any(count["unknown"] for count in counts.values()) else {}


def _similar_labels(spellings: dict[str, str]) -> Iterator[Finding]:
    for key, label in spellings.items():
        plurals = [key + "s"]
        if key.endswith(("s", "x", "z", "ch", "sh", "o")):
            plurals.append(key + "es")
        if key.endswith("y"):
            plurals.append(key[:-1] + "ies")
        for plural in plurals:
            if plural in spellings:
                message = f"{label!r} and {spellings[plural]!r} are two labels: use one of them."
                yield Finding("similar labels", False, message)


def _rare_labels(listed: Sequence[ListedPhoto], spellings: dict[str, str]) -> Iterator[Finding]:
    counts = Counter(label for entry in listed for label in entry.labels)
    for label in spellings.values():
        if counts[label] == 1:
            photo = next(entry.photo for entry in listed if label in entry.labels)
            message = f"{label!r} is on one photo only, {photo}: too few to learn from and to test."
            yield Finding("rare label", False, message, (str(photo),))


def _never_yes(listed: Sequence[ListedPhoto], spellings: dict[str, str]) -> Iterator[Finding]:
    noes = dict.fromkeys(label for entry in listed for label in entry.noes or ())
    for key, label in {label_key(label): label for label in noes}.items():
        if key not in spellings:
            message = f"{label!r} is on no photo, only ever a no: it is not learned."
            yield Finding("never yes", False, message)


def _never_no(verdicts: Mapping[str, dict[str, int]]) -> Iterator[Finding]:
    for label, counts in verdicts.items():
        if counts["unknown"] and not counts["no"]:
            message = (
                f"{label!r} is not known to be absent from any photo: no figure tells when it is "
                'wrong; say "no" on some photos.'
            )
            yield Finding("never no", False, message)


def _unreadable(photos: Sequence[Path], max_pixels: int) -> Iterator[Finding]:
    def attempt(photo: Path) -> PhotoError | None:
        try:
            decode(photo, shortest_side=_DECODED_SIDE, max_pixels=max_pixels)
        except PhotoError as error:
            return error
        return None

    with ThreadPoolExecutor() as pool:
        for photo, error in zip(photos, pool.map(attempt, photos), strict=True):
            if error:
                yield Finding("unreadable photo", False, f"{error}.", (str(photo),))


def _repeated(listed: Sequence[ListedPhoto]) -> Iterator[Finding]:
    sizes = Counter(_size(entry.photo) for entry in listed)
    copies: dict[str, list[ListedPhoto]] = defaultdict(list)
    for entry in listed:
        if sizes[_size(entry.photo)] == 1:
            continue  # only files of one size can hold the same bytes: most are never read
        try:
            copies[content_hash(entry.photo)].append(entry)
        except PhotoError:
            continue  # reported as unreadable
    for same in copies.values():
        if len(same) > 1:
            names = ", ".join(str(entry.photo) for entry in same)
            yield Finding(
                "repeated photo",
                False,
                f"The same photo {_where(same)}: {names}.",
                tuple(str(entry.photo) for entry in same),
            )


def _size(photo: Path) -> int:
    try:
        return photo.stat().st_size
    except OSError:  # deleted meanwhile
        return -1


def _where(same: list[ListedPhoto]) -> str:
    roles = {_role(entry.file) for entry in same}
    if {"train", "test"} <= roles:
        return "is in training and in test, so the test knows the answer and proves nothing"
    groups = dict.fromkeys(entry.group for entry in same)
    if len(groups) > 1:
        return f"is in {len(groups)} buildings, which are no longer independent"
    return f"is {len(same)} times in {same[0].group}"


def _role(file: Path) -> str:
    """Return "train" or "test" by the name of a labels file or of its folders; else ""."""
    names = (file.name.split("_")[0], *reversed(file.absolute().parent.parts))
    return next((name for name in names if name in {"train", "test"}), "")
