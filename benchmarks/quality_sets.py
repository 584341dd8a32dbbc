"""The photos that quality is measured on: what is trained on, what is tested on, what is asked.

Samples come with this repository. The other sets are folders that may be absent:

- listings: real property listings, a folder each with a labels file;
- houses: those of Ahmed and Moustafa (2016), doi:10.5220/0006040700620068, in the same form;
- clip: vectors by CLIP ViT-B/32 of 1,000 photos of Flickr8k, and of words; no pictures.

Choices were made on the samples' training buildings, by cross-validation on the listings, and on
the first 40 houses by name; houses to train and test on are drawn from the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from photosieve import VectorEncoder
from photosieve.data.dataset import Dataset
from photosieve.encoders.feature_cache import FeatureCache
from photosieve.encoders.head import unit
from photosieve.encoders.protocol import Encoder, Float32Array
from photosieve.training.features import Prepared, prepare

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
HOUSES = DATA / "houses"
DEVELOPMENT_HOUSES = 40
FOLDS = 5
"""Of the cross-validation on listings."""

SAMPLE_WORDS = {
    "couch": "sofa",
    "easy chair": "armchair",
    "TV": "television",
    "drapes": "curtain",
    "cooker": "stove",
    "hob": "stove",
    "fridge": "refrigerator",
    "potted plant": "plant",
    "picture on the wall": "painting",
    "carpet": "rug",
    "looking glass": "mirror",
    "bookshelf": "bookcase",
    "washroom": "bathroom",
    "lounge": "living room",
    "facade": "exterior",
    "lawn": "garden",
    "pool": "swimming pool",
    "table lamp": "lamp",
    "closet": "wardrobe",
    "corridor": "hallway",
    "running machine": "treadmill",
    "stationary bicycle": "exercise bike",
    "fitness room": "gym",
    "terrace": "balcony",
    "washbasin": "sink",
    "bath": "bathtub",
}
"""Words that no label mentions, and the label that is true of the same photos."""

LISTING_WORDS = {
    "unfurnished room": "empty room",
    "cooking area": "kitchen",
    "stove": "kitchen",
    "facade": "building exterior",
    "house front": "building exterior",
    "drone shot": "aerial view",
    "view from above": "aerial view",
    "sleeping room": "bedroom",
    "mattress": "bed",
    "washroom": "bathroom",
    "lavatory": "toilet",
    "bath": "bathtub",
    "lounge": "living room",
    "couch": "sofa",
    "TV": "television",
    "terrace": "balcony",
    "dining room": "dining area",
    "fridge": "refrigerator",
    "pool": "swimming pool",
    "fitness room": "gym",
    "washer": "washing machine",
}
"""The same for listings."""

HOUSE_WORDS = {
    "toilet": "bathroom",
    "bathtub": "bathroom",
    "washroom": "bathroom",
    "stove": "kitchen",
    "refrigerator": "kitchen",
    "fridge": "kitchen",
    "cooking": "kitchen",
    "garage": "exterior",
    "facade": "exterior",
    "lawn": "exterior",
    "house front": "exterior",
    "pillow": "bedroom",
    "bed": "bedroom",
    "sleeping": "bedroom",
}
"""The same for houses: nearly every photo of that label shows it, and hardly any other does."""

FAR_WORDS = (
    "elephant", "submarine", "violin", "volcano", "astronaut", "accordion", "tractor", "penguin",
    "guitar", "skyscraper", "helicopter", "jellyfish", "pyramid", "cactus", "tiger", "rocket",
    "typewriter", "canoe", "waterfall", "banjo", "igloo", "lighthouse", "camel", "piano", "snowman",
    "windmill", "dinosaur", "hamburger", "surfboard", "locomotive",
)  # fmt: skip
"""Things that are on no photo of a home, or on hardly any."""

CLIP_FAR_WORDS = 60
CLIP_FAR_COSINE = 0.25
"""Far words of the clip set: so many, whose centered cosine to all labels is lower than this."""


@dataclass(frozen=True)
class Split:
    """Photos to train on and others to test on, with the same labels.

    Splits of a set with the same seed are the folds of one cross-validation.
    """

    seed: int
    train: Prepared
    test: Prepared


@dataclass(frozen=True)
class PhotoSet:
    """Photos, and the questions to ask about them.

    Parameters
    ----------
    name : str
        Of letters, digits and "_".
    title : str
    encoder : Encoder
    splits : tuple of Split
    far : tuple of str
        Words to which "none" is the right answer.
    words : mapping of str to str
        Words that no label mentions, and the label that is true of the same photos. Without any, a
        third of the labels is left out of training in turn and asked for.
    """

    name: str
    title: str
    encoder: Encoder
    splits: tuple[Split, ...]
    far: tuple[str, ...]
    words: Mapping[str, str] = field(default_factory=dict)


def embedded(
    encoder: Encoder,
    dataset: Dataset,
    *,
    labels: Sequence[str] | None = None,
    more_views: bool = False,
) -> Prepared:
    """Prepare photos as a training does. Their features are kept in the cache for the next run."""
    return prepare(encoder, dataset, labels=labels, more_views=more_views, keep=FeatureCache())


def samples(encoder: Encoder, seeds: int, *, more_views: bool) -> PhotoSet:
    """Six rendered buildings to train on, eight others to test on."""
    train = embedded(encoder, Dataset.load(ROOT / "samples" / "train"), more_views=more_views)
    test = embedded(encoder, Dataset.load(ROOT / "samples" / "test"), labels=train.labels)
    splits = tuple(Split(seed, train, test) for seed in range(seeds))
    title = "Sample listings: trained on 6 buildings, tested on 8 others"
    return PhotoSet("samples", title, encoder, splits, FAR_WORDS, SAMPLE_WORDS)


def listings(
    encoder: Encoder, dataset: Dataset, seeds: int, *, more_views: bool, folds: int = FOLDS
) -> PhotoSet:
    """Real listings, whole listings held out in each of five folds; the first of them are used."""
    everything = embedded(encoder, dataset, more_views=more_views)
    splits = tuple(
        Split(seed, everything.rows(np.setdiff1d(np.arange(len(dataset)), fold)),
              everything.rows(fold))
        for seed in range(seeds)
        for fold in everything.dataset.folds(FOLDS, seed=seed)[:folds]
    )  # fmt: skip
    title = f"Real listings: cross-validation in {FOLDS} folds of {len(dataset.group_names)}"
    return PhotoSet("listings", title, encoder, splits, FAR_WORDS, LISTING_WORDS)


def houses(
    encoder: Encoder, dataset: Dataset, seeds: int, sizes: Sequence[int], *, more_views: bool
) -> list[PhotoSet]:
    """Real houses, few of them to train on and all others to test on."""
    everything = embedded(encoder, dataset, more_views=more_views)
    names, groups = dataset.group_names, np.array(everything.dataset.groups)
    found = []
    for size in sizes:
        splits = []
        for seed in range(seeds):
            chosen = np.random.default_rng(seed).choice(names, size, replace=False)
            trained = np.isin(groups, chosen)
            parts = [everything.rows(np.flatnonzero(part)) for part in (trained, ~trained)]
            splits.append(Split(seed, *parts))
        title = f"Houses: trained on {size}, tested on {len(names) - size} others"
        found.append(
            PhotoSet(f"houses_{size}", title, encoder, tuple(splits), FAR_WORDS, HOUSE_WORDS)
        )
    return found


def houses_to_test(folder: Path, most: int | None = None) -> Dataset:
    """The houses that no choice was made on, or the first of these."""
    dataset = Dataset.load(folder)
    names = sorted(dataset.group_names)[DEVELOPMENT_HOUSES:][:most]
    return dataset.select(np.isin(dataset.groups, names))


@dataclass(frozen=True)
class Flickr:
    """Photos of Flickr8k as vectors, with an encoder that looks them up.

    Parameters
    ----------
    encoder : VectorEncoder
    dataset : Dataset
        Each photo is a building of its own. A label is a yes where two or more of five captions
        mention it, a no where none does.
    names : tuple of str (labels,)
    far : tuple of str
    """

    encoder: VectorEncoder
    dataset: Dataset
    names: tuple[str, ...]
    far: tuple[str, ...]


def flickr(folder: Path) -> Flickr:
    """Read the vectors of photos, labels and words.

    Half of the words are the encoder's general words, the far words come from the other half.
    """
    with np.load(folder / "flickr.npz") as file:
        names = tuple(map(str, file["names"]))
        texts = dict(zip(names, unit(file["text"].astype(np.float32)), strict=True))
        images, mentions = unit(file["image"].astype(np.float32)), file["mentions"]
    others: dict[str, Float32Array] = {}
    with np.load(folder / "words.npz") as file:
        for source in ("coco", "oid", "o365", "lvis"):  # with the same prompt as the labels
            vectors = unit(file[f"{source}_text"].astype(np.float32))
            for name, vector in zip(file[f"{source}_names"], vectors, strict=True):
                others.setdefault(str(name).lower().replace("_", " "), vector)
    words = [word for word in others if word not in texts]
    general, rest = words[::2], words[1::2]
    center = np.mean([others[word] for word in general], 0)
    labels = unit(np.array([*texts.values()]) - center)
    nearest = (unit(np.array([others[word] for word in rest]) - center) @ labels.T).max(1)
    far = [rest[row] for row in np.flatnonzero(nearest < CLIP_FAR_COSINE)]
    spread = np.linspace(0, len(far) - 1, CLIP_FAR_WORDS).astype(int)
    paths = tuple(Path(f"flickr/{number:04d}/photo.jpg") for number in range(len(images)))
    every = np.array(names)
    return Flickr(
        encoder=VectorEncoder(
            "CLIP ViT-B/32",
            dict(zip(paths, images, strict=True)),
            others | texts,
            words={word: others[word] for word in general},
        ),
        dataset=Dataset(
            root=Path("flickr"),
            photos=paths,
            labels=tuple(tuple(every[row >= 2].tolist()) for row in mentions),
            groups=tuple(path.parent.name for path in paths),
            noes=tuple(tuple(every[row == 0].tolist()) for row in mentions),
        ),
        names=names,
        far=tuple(far[place] for place in spread),
    )


def clip(photos: Flickr, seeds: int, sizes: Sequence[int]) -> list[PhotoSet]:
    """Vectors of Flickr8k by a real CLIP, some to train on and all others to test on."""
    everything = prepare(photos.encoder, photos.dataset, labels=photos.names)
    count = len(everything.photos)
    found = []
    for size in sizes:
        orders = [np.random.default_rng(seed).permutation(count) for seed in range(seeds)]
        splits = tuple(
            Split(seed, everything.rows(order[:size]), everything.rows(order[size:]))
            for seed, order in enumerate(orders)
        )
        title = f"CLIP vectors: trained on {size} photos, tested on {count - size} others"
        found.append(PhotoSet(f"clip_{size}", title, photos.encoder, splits, photos.far))
    return found
