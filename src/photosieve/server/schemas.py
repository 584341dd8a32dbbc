"""Requests and answers of the API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

PhotoId = Annotated[
    str,
    StringConstraints(pattern="^[0-9a-f]{16}$"),
    Field(
        description="Opaque name of a photo, without its path.",
        examples=["6f1c0b9a4d2e8f37"],
    ),
]
Label = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Labels = Annotated[list[Label], Field(max_length=200)]


class PhotoItem(BaseModel):
    """A photo and its labels."""

    id: PhotoId
    name: str = Field(description="Its file name.", examples=["photo-09.jpg"])
    group: str = Field(description="Its building.", examples=["fountain-square-3"])
    labels: list[str] | None = Field(
        description="Its labels; null if they are unknown, since no labels file lists the photo.",
        examples=[["sofa", "window"]],
    )
    no: list[str] | None = Field(
        description=(
            "Labels that it is known not to have; null where these are all others but those that "
            "`/labels` calls open."
        ),
    )
    test: bool = Field(description="Whether it is kept for testing and left out of training.")
    photo: str = Field(description="Address of the picture.", examples=["/photos/6f1c0b9a4d2e8f37"])
    thumbnail: str = Field(
        description="Address of a small picture, of at most 480 pixels.",
        examples=["/thumbnails/6f1c0b9a4d2e8f37?v=9c2d"],
    )


class RankedPhoto(PhotoItem):
    """A photo in the answer to a query."""

    kept: bool = Field(description="Whether it matches.")
    probability: float = Field(description="Probability that it matches.", examples=[0.96])
    score: float = Field(description="Cosine similarity of photo and query.", examples=[0.41])
    known: Literal["yes", "no"] | None = Field(
        description="Whether its labels say that it matches; null where they do not say it."
    )
    reason: str = Field(description="Why the cut keeps it or not, or that its labels say so.")
    terms: list[float] = Field(description="The probability for each term of the query.")


class TermReading(BaseModel):
    """The meaning of one term of a query."""

    term: str
    label: str | None = Field(description="The label of that name; null for any other word.")
    nearest: str = Field(description="The label nearest in meaning.")
    affinity: float = Field(description="Cosine to that label.")
    remote: bool = Field(
        description="Whether its meaning is as far from labels and photos as that of most words."
    )
    labeled: int = Field(
        description="Number of photos labeled with it; it is not learned yet if `label` is null."
    )


class SearchAnswer(BaseModel):
    """The answer to a query."""

    query: str
    matches: int = Field(description="Number of photos that match.", examples=[1])
    looked_at: int = Field(description="Number of photos that were searched.", examples=[9])
    threshold: float = Field(description="Lowest probability of a match.")
    learned: bool = Field(
        description="Whether the threshold is the learned cut, and no one set another."
    )
    own_cut: bool = Field(
        description="Whether the threshold is one that a person set for this label."
    )
    terms: list[TermReading]
    taken_out: int = Field(
        description="Number of photos that match but for a minus of the query.", examples=[0]
    )
    gone: int = Field(description="Photos that are not on the disk any more.", examples=[0])
    suggestions: list[str] = Field(
        description="Queries that may have been meant; usually none.", examples=[["sofa -window"]]
    )
    photos: list[RankedPhoto] = Field(description="Matches, best first, from `offset` on.")
    nearest: list[RankedPhoto] = Field(description="The closest photos that do not match.")
    next: str | None = Field(description="Address of the next matches; null after the last.")


class SimilarPhoto(PhotoItem):
    """A photo that is similar to another."""

    score: float = Field(description="Cosine similarity of the two photos.", examples=[0.83])


class SimilarPhotos(BaseModel):
    """Photos that are similar to a photo."""

    photos: list[SimilarPhoto]


class PhotoDetails(BaseModel):
    """The file of a photo, and the user's columns of the index."""

    width: int | None = Field(description="In pixels; null where it was not noted.")
    height: int | None
    bytes: int = Field(description="Size of the file.", examples=[482113])
    changed: float = Field(description="When the file was changed, in seconds since 1970.")
    columns: dict[str, str] = Field(
        description="The user's columns that have a value, such as a price."
    )


class PhotoList(BaseModel):
    """Photos of the collection."""

    total: int
    photos: list[PhotoItem]
    next: str | None = Field(description="Address of the next photos; null after the last.")


class Building(BaseModel):
    """A building."""

    name: str = Field(examples=["fountain-square-3"])
    photos: int = Field(description="How many photos it has.", examples=[9])
    cover: str = Field(description="Address of a small picture of its first photo.")
    test: bool = Field(description="Whether it is kept for testing and left out of training.")
    labeled: int = Field(description="How many of its photos have known labels.")
    labels: dict[str, int] = Field(
        description="Its most frequent labels, with the number of photos."
    )


class LabelList(BaseModel):
    """All labels, and the labels of the photos in the request."""

    labels: dict[str, int] = Field(
        description="Number of photos with each label, the most frequent first."
    )
    learned: dict[str, int] = Field(description="Training photos of the sieve with each label.")
    open: list[str] = Field(
        description="Labels that are unknown on photos whose `no` is null, as they came later."
    )
    listed: int = Field(description="Number of photos whose labels are known.")
    photos: list[PhotoItem]


class ExactLabels(BaseModel):
    """Labels that a photo has, and labels that it has not; all others are unknown."""

    model_config = ConfigDict(extra="forbid")
    yes: Labels = []
    no: Labels = []


class SetLabels(BaseModel):
    """New labels of photos. Either all photos change, or none."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"photos": {"6f1c0b9a4d2e8f37": ["sofa", "window"]}}]},
    )
    photos: dict[PhotoId, Labels | ExactLabels | None] = Field(
        description=(
            "All labels that are true of each photo, or those that are and those that are not; "
            "null makes its labels unknown."
        ),
        min_length=1,
        max_length=1000,
    )


class ChangeLabels(BaseModel):
    """Labels to add to photos, and labels to remove."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"photos": ["6f1c0b9a4d2e8f37"], "add": ["sofa"]}]},
    )
    photos: list[PhotoId] = Field(min_length=1, max_length=1000, description="Ids of photos.")
    add: list[Label] = Field(default=[], max_length=200, description="Labels that are true.")
    remove: list[Label] = Field(default=[], max_length=200, description="Labels that are not.")


class LabelCut(BaseModel):
    """The cut of a label."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"label": "sofa", "threshold": 0.3}]}
    )
    label: Label
    threshold: float | None = Field(
        ge=0, le=1, description="Lowest probability of a match; null for the learned cut."
    )


class Proposal(PhotoItem):
    """A photo to label."""

    suggested: list[str] = Field(description="Labels that are guessed.")


class ChangedLabels(BaseModel):
    """The photos that changed, and the counts of all labels."""

    photos: list[PhotoItem]
    labels: dict[str, int]


State = Literal["running", "done", "failed", "cancelled", "interrupted", "kept", "dropped"]
"""Of a training."""


class JobState(BaseModel):
    """A training."""

    id: str = Field(examples=["b5d1a6c2e3f40817"])
    state: State = Field(
        description="`done` waits until the new sieve is kept or dropped. `interrupted`: the "
        "server ended while it was learning."
    )
    stage: str = Field(examples=["training"])
    percent: int = Field(description="Of the time of the whole training.", examples=[40])
    seconds_left: float | None = Field(description="Until its end; null while that is not known.")
    starts: int = Field(description="Times that it was started.")
    started: float = Field(description="Seconds since 1970.")
    error: str | None
    first: dict[str, Any] | None = Field(
        description="First figures, of 100 photos or more, while the rest is computed."
    )
    result: dict[str, Any] | None = Field(
        description="The new labels, with figures before and after on the same unseen photos."
    )


class SieveVersion(BaseModel):
    """A sieve that was in use."""

    id: str
    made: float = Field(description="Seconds since 1970.")
    labels: dict[str, int] = Field(description="Training photos of each label.")
    figures: dict[str, Any] = Field(
        description="Figures of the time when it was kept; empty for the first sieve."
    )
    used: bool = Field(description="Whether searches use it now.")


class LabelFacts(BaseModel):
    """A label, and how much is known of it."""

    label: str = Field(examples=["sofa"])
    yes: int = Field(description="Number of photos that have it.")
    no: int = Field(description="Number of photos that are known not to have it.")
    test: int = Field(description="Number of those that have it and are kept for testing.")
    buildings: int = Field(description="Number of buildings with a training photo that has it.")
    learned: int = Field(description="Training photos of the sieve that have it.")
    wanted: int = Field(
        description="Number of training photos with it that are still missing; 0 for enough.",
        examples=[2],
    )


class RenameLabel(BaseModel):
    """A new name of a label."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"label": "couch", "to": "sofa"}]}
    )
    label: Label
    to: Label


class MergeLabels(BaseModel):
    """Labels that mean the same, and the name of the one that stands for all."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"labels": ["couch", "settee"], "to": "sofa"}]},
    )
    labels: list[Label] = Field(min_length=1, max_length=200)
    to: Label


class SplitLabel(BaseModel):
    """A label, and the photos that get another label instead."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"label": "room", "into": "bedroom", "photos": ["6f1c0b9a4d2e8f37"]}]
        },
    )
    label: Label
    into: Label
    photos: list[PhotoId] = Field(min_length=1, max_length=1000)


class DeleteLabel(BaseModel):
    """A label that no photo shall have any more."""

    model_config = ConfigDict(extra="forbid")
    label: Label


class ChangedVocabulary(BaseModel):
    """The number of photos that changed, and the counts of all labels."""

    changed: int
    labels: dict[str, int]


class ImportedLabels(ChangedVocabulary):
    """The part of a file of labels that was used."""

    used: int = Field(description="Number of photos of the collection that the file names.")
    replaced: int = Field(description="Number of them that had labels, which are gone now.")
    unused: list[str] = Field(
        description="A sentence for each entry that was not used; the first 20 of them.",
    )
    unused_count: int = Field(description="Number of entries that were not used.")


class UploadedPhoto(BaseModel):
    """A photo that was stored. A search finds it once it is indexed; see `/uploads`."""

    id: PhotoId
    name: str = Field(description="The name that it was stored under.")
    group: str = Field(description="Its building.")
    new: bool = Field(description="False if the building had the same photo under this name.")


class Uploads(BaseModel):
    """Uploaded photos on their way into the index."""

    waiting: int = Field(description="Number of photos that are stored and not indexed yet.")
    error: str | None = Field(description="The reason why they have to wait longer.")


class Health(BaseModel):
    """State of the server."""

    status: Literal["ok"]
    photos: int
    labels: int


class ProblemDetails(BaseModel):
    """An error (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no such photo"])
