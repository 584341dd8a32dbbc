"""What requests and answers of the API look like."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

PhotoId = Annotated[
    str,
    StringConstraints(pattern="^[0-9a-f]{16}$"),
    Field(
        description="Stands for a photo; says nothing of where it is.",
        examples=["6f1c0b9a4d2e8f37"],
    ),
]
Label = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class PhotoItem(BaseModel):
    """A photo with what is known of it."""

    id: PhotoId
    name: str = Field(description="Its file name.", examples=["photo-09.jpg"])
    group: str = Field(description="Its building.", examples=["fountain-square-3"])
    labels: list[str] | None = Field(
        description="Its labels; null if it is not listed, so that they are unknown.",
        examples=[["sofa", "window"]],
    )
    test: bool = Field(description="Whether it is kept for testing and never learned from.")
    photo: str = Field(description="Where its picture is.", examples=["/photos/6f1c0b9a4d2e8f37"])
    thumbnail: str = Field(
        description="Where a small one is, of 480 pixels at most.",
        examples=["/thumbnails/6f1c0b9a4d2e8f37?v=9c2d"],
    )


class FoundPhoto(PhotoItem):
    """A photo in the answer to a query."""

    kept: bool = Field(description="Whether it matches.")
    probability: float = Field(description="That it matches.", examples=[0.96])
    score: float = Field(description="Cosine similarity of photo and query.", examples=[0.41])
    reason: str = Field(description="What the cut says about it.")
    terms: list[float] = Field(description="The probability for each term of the query.")


class TermRead(BaseModel):
    """How a term of a query is understood."""

    term: str
    label: str | None = Field(description="The label that it is; null for any other word.")
    nearest: str = Field(description="The label nearest in meaning.")
    affinity: float = Field(description="Cosine to that label.")


class Answer(BaseModel):
    """The answer to a query."""

    query: str
    matches: int = Field(description="How many photos match.", examples=[1])
    looked_at: int = Field(description="How many were in question.", examples=[9])
    threshold: float = Field(description="Probability from which on a photo matched.")
    learned: bool = Field(
        description="Whether that is the learned cut, and not one from the request."
    )
    terms: list[TermRead]
    photos: list[FoundPhoto] = Field(description="What matches, best first, from `offset` on.")
    nearest: list[FoundPhoto] = Field(description="The best of what does not match.")
    next: str | None = Field(description="Where the rest of what matches is.")


class Alike(BaseModel):
    """Photos like a photo."""

    photos: list[AlikePhoto]


class AlikePhoto(PhotoItem):
    """A photo like another."""

    score: float = Field(description="Cosine similarity of the two.", examples=[0.83])


class PhotoList(BaseModel):
    """Photos of the collection."""

    total: int
    photos: list[PhotoItem]
    next: str | None = Field(description="Where the rest is.")


class Group(BaseModel):
    """A building."""

    name: str
    photos: int


class LabelsOf(BaseModel):
    """All labels, and those of photos if some were asked for."""

    labels: dict[str, int] = Field(
        description="Photos that have each label, the most frequent first."
    )
    learned: dict[str, int] = Field(description="Photos per label that the sieve was trained on.")
    listed: int = Field(description="Photos whose labels are known.")
    photos: list[PhotoItem]


class SetLabels(BaseModel):
    """New labels of photos: all of them are set, or none."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"photos": {"6f1c0b9a4d2e8f37": ["sofa", "window"]}}]},
    )
    photos: dict[PhotoId, Annotated[list[Label], Field(max_length=200)] | None] = Field(
        description="For each photo all labels that are true of it; null takes it out of the list.",
        min_length=1,
        max_length=1000,
    )


class ChangeLabels(BaseModel):
    """Labels to add to photos, and to take from them."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"photos": ["6f1c0b9a4d2e8f37"], "add": ["sofa"]}]},
    )
    photos: list[PhotoId] = Field(min_length=1, max_length=1000)
    add: list[Label] = Field(default=[], max_length=200)
    remove: list[Label] = Field(default=[], max_length=200)


class Proposal(PhotoItem):
    """A photo to label."""

    suggested: list[str] = Field(description="Labels that the sieve finds on it: guesses.")


class Changed(BaseModel):
    """What a change changed."""

    photos: list[PhotoItem]
    labels: dict[str, int]


class JobState(BaseModel):
    """A training."""

    id: str = Field(examples=["b5d1a6c2e3f40817"])
    state: Literal["running", "done", "failed", "cancelled", "kept", "dropped"] = Field(
        description="`done` waits for somebody to keep or drop the new sieve."
    )
    stage: str = Field(examples=["training"])
    done: int
    total: int
    started: float = Field(description="Seconds since 1970.")
    error: str | None
    result: dict[str, Any] | None = Field(
        description="What was learned, with figures before and after on the same unseen photos."
    )


class Health(BaseModel):
    """That the server is well."""

    status: Literal["ok"]
    photos: int
    labels: int


class ProblemDetails(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no such photo"])


Alike.model_rebuild()
