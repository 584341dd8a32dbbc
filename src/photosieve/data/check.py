"""Check labeled photos: one report with every problem in all folders."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from photosieve.data.label_files import Verdicts, opened_labels
from photosieve.data.names import label_key
from photosieve.data.notes import Finding
from photosieve.data.photos import DEFAULT_MAX_PIXELS, content_hash, decode
from photosieve.data.scan import ListedPhoto, Scan, scan
from photosieve.errors import PhotoError, counted

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
    role : str
        "train" or "test", by the names of labels files and folders; "" for all of them.
    parts : tuple of CheckReport
        The same for each role by itself, if there are several.
    """

    photos: int
    labels: int
    buildings: int
    problems: tuple[Finding, ...]
    verdicts: Mapping[str, dict[str, int]] = field(default_factory=dict)
    role: str = ""
    parts: tuple["CheckReport", ...] = ()

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
            "roles": {part.role: part.to_dict() for part in self.parts},
        }

    def summary(self) -> str:
        """Return the report as text for people: each kind with its number and some examples."""
        if not self.parts:
            return "\n".join([*self._head(), *(_lines(self.problems) or ["no problems found"])])
        lines: list[str] = []
        for part in self.parts:
            first, *verdicts = part._head()
            lines += [f"{part.role}: {first}", *verdicts, *_lines(part.problems)]
        of_parts = {problem for part in self.parts for problem in part.problems}
        if rest := [problem for problem in self.problems if problem not in of_parts]:
            lines += ["all together:", *_lines(rest)]
        return "\n".join(lines if self.problems else [*lines, "no problems found"])

    def _head(self) -> list[str]:
        """Return a line with the numbers, and one for each label with unknown pairs."""
        numbers = {"photo": self.photos, "label": self.labels, "building": self.buildings}
        return [
            ", ".join(counted(number, noun) for noun, number in numbers.items()),
            *(
                f"  {label}: {', '.join(f'{count} {verdict}' for verdict, count in own.items())}"
                for label, own in self.verdicts.items()
            ),
        ]


def _lines(problems: Sequence[Finding]) -> list[str]:
    """Describe each kind of problem, which stand together, with its number and some examples."""
    lines = []
    for kind, group in groupby(problems, key=lambda problem: problem.kind):
        own = list(group)
        lines.append(f"{kind}: {len(own)}{', must be repaired' if own[0].fatal else ''}")
        lines += [f"  {problem.message}" for problem in own[:_EXAMPLES]]
        if len(own) > _EXAMPLES:
            lines.append(f"  and {len(own) - _EXAMPLES} more")
    return lines


def check(
    paths: Sequence[str | Path],
    *,
    partial_labels: bool = False,
    labels_from: str | None = None,
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
    labels_from : str, optional
        As for `Dataset.load`.
    max_pixels : int
        A photo with more pixels counts as unreadable.

    Raises
    ------
    UsageError
        If a path does not exist, a pattern matches nothing, or labels cannot be read from there.
    """
    scanned = scan(paths, labels_from)
    listed, roles = scanned.listed, _roles(scanned)
    findings = [
        *scanned.problems,
        *_similar_labels(_spellings(listed)),
        *_unreadable(scanned, max_pixels),
        *_repeated(listed, roles),
    ]
    if len(set(roles.values())) < 2:
        return _report(listed, [*findings, *_of_labels(listed, partial_labels)], partial_labels)
    parts = []
    for role in sorted(set(roles.values()), reverse=True):  # train before test
        own = [entry for entry in listed if roles[str(entry.file)] == role]
        theirs = [finding for finding in findings if roles.get(finding.file) == role]
        theirs += _of_labels(own, partial_labels)
        parts.append(replace(_report(own, theirs, partial_labels), role=role))
    problems = [finding for finding in findings if finding.file not in roles]
    problems += _never_trained(listed, roles)
    problems += (problem for part in parts for problem in part.problems)
    return replace(_report(listed, problems, partial_labels), parts=tuple(parts))


def _roles(scanned: Scan) -> dict[str, str]:
    """Return the role of each labels file; beside test buildings, all others are for training."""
    files = {*scanned.entries, *(one.file for one in scanned.problems if one.file)}
    roles = {file: _role(Path(file)) for file in sorted(files)}
    other = "train" if "test" in roles.values() else "other" if any(roles.values()) else ""
    return {file: role or other for file, role in roles.items()}


def _role(file: Path) -> str:
    """Return "train" or "test" by the name of a labels file or of its folders; else ""."""
    names = (file.name.split("_")[0], *reversed(file.absolute().parent.parts))
    return next((name for name in names if name in {"train", "test"}), "")


def _report(
    listed: Sequence[ListedPhoto], problems: Sequence[Finding], partial_labels: bool
) -> CheckReport:
    kinds = list(dict.fromkeys(problem.kind for problem in problems))
    return CheckReport(
        photos=len(listed),
        labels=len(_spellings(listed)),
        buildings=len({entry.group for entry in listed}),
        problems=tuple(sorted(problems, key=lambda p: (not p.fatal, kinds.index(p.kind)))),
        verdicts=_verdicts(listed, partial_labels),
    )


def _spellings(listed: Sequence[ListedPhoto]) -> dict[str, str]:
    """Return each label by its key."""
    return {label_key(label): label for entry in listed for label in entry.labels}


def _of_labels(listed: Sequence[ListedPhoto], partial_labels: bool) -> list[Finding]:
    """Return what is wrong with the labels of photos of one role."""
    spellings = _spellings(listed)
    return [
        *_rare_labels(listed, spellings),
        *_never_yes(listed, spellings),
        *_never_no(_verdicts(listed, partial_labels)),
    ]


def _never_trained(listed: Sequence[ListedPhoto], roles: Mapping[str, str]) -> Iterator[Finding]:
    trained = {
        label for entry in listed if roles[str(entry.file)] == "train" for label in entry.labels
    }
    tests = [entry for entry in listed if roles[str(entry.file)] == "test"]
    for label, count in Counter(label for entry in tests for label in entry.labels).items():
        if trained and label not in trained:
            message = (
                f"{label!r} is on {counted(count, 'test photo')} and on no training photo: "
                "it is not learned, and not tested."
            )
            yield Finding("never trained", False, message)


def _verdicts(listed: Sequence[ListedPhoto], partial_labels: bool) -> dict[str, dict[str, int]]:
    """Count yes, no and unknown for each label; empty if every pair is known."""
    spellings = _spellings(listed)
    counts = {label: {"yes": 0, "no": 0, "unknown": 0} for label in spellings.values()}
    opened = opened_labels(Verdicts(entry.labels, entry.noes) for entry in listed)
    for entry in listed:
        noes = set(map(label_key, entry.noes or ()))
        complete = entry.noes is None and not (partial_labels and entry.labels)
        for key, label in spellings.items():
            absent = "no" if (complete and key not in opened) or key in noes else "unknown"
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


def _unreadable(scanned: Scan, max_pixels: int) -> Iterator[Finding]:
    unlisted = [one for one in scanned.problems if one.kind == "unlisted photo"]
    photos = [entry.photo for entry in scanned.listed]
    photos += (Path(one.paths[0]) for one in unlisted)
    files = [*(str(entry.file) for entry in scanned.listed), *(one.file for one in unlisted)]

    def attempt(photo: Path) -> PhotoError | None:
        try:
            decode(photo, shortest_side=_DECODED_SIDE, max_pixels=max_pixels)
        except PhotoError as error:
            return error
        return None

    with ThreadPoolExecutor() as pool:
        for photo, file, error in zip(photos, files, pool.map(attempt, photos), strict=True):
            if error:
                yield Finding("unreadable photo", False, f"{error}.", (str(photo),), file)


def _repeated(listed: Sequence[ListedPhoto], roles: Mapping[str, str]) -> Iterator[Finding]:
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
            paths = tuple(str(entry.photo) for entry in same)
            own_roles = {roles[str(entry.file)] for entry in same}
            message = f"The same photo {_where(same, own_roles)}: {', '.join(paths)}."
            file = str(same[0].file) if len(own_roles) == 1 else ""
            yield Finding("repeated photo", False, message, paths, file)


def _size(photo: Path) -> int:
    try:
        return photo.stat().st_size
    except OSError:  # deleted meanwhile
        return -1


def _where(same: list[ListedPhoto], roles: set[str]) -> str:
    if {"train", "test"} <= roles:
        return "is in training and in test, so the test knows the answer and proves nothing"
    groups = dict.fromkeys(entry.group for entry in same)
    if len(groups) > 1:
        return f"is in {len(groups)} buildings, which are no longer independent"
    return f"is {len(same)} times in {same[0].group}"
