"""The model card of a sieve: a README that says what the sieve does, and how well.

The Hugging Face hub shows it as the model's page. Labels and names come from others, so they are
escaped: no page takes them for markup. The card names no file or folder of the maker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from huggingface_hub import ModelCardData

from photosieve.decision.metrics import shown_number
from photosieve.encoders import VECTORS, base_name, is_starter, license_of
from photosieve.encoders.downloads import is_hub_id
from photosieve.encoders.protocol import INT8
from photosieve.errors import counted
from photosieve.sieve.record import Record
from photosieve.training.recipe import Recipe
from photosieve.training.recipes import RECIPES

FIGURE_NAMES = {
    "f1": "macro F1",
    "precision": "macro precision",
    "recall": "macro recall",
    "mean_average_precision": "mean average precision",
    "accuracy": "accuracy with true negatives",
}

# Characters that Markdown, HTML or a page that makes links of addresses gives a meaning.
_MARKUP = re.compile(r"[\\`*_\[\]{}<>#!|~:@&$^/]|\.(?!\d)")


def card(record: Record, versions: Mapping[str, str]) -> str:
    """Write the card of a sieve.

    Parameters
    ----------
    record : Record
    versions : mapping of str
        Of the packages that made it.
    """
    encoder, labels = record.encoder, record.labels
    base = base_name(encoder.name)
    head = ModelCardData(
        license=license_of(encoder) or "unknown",
        base_model=base if is_hub_id(base) else None,
        library_name="photosieve",
        pipeline_tag="zero-shot-image-classification",
        tags=["photosieve", "image-search", "few-shot"],
    )
    parts = [
        f"---\n{head.to_yaml()}\n---",
        f"# Photo search with {counted(len(labels), 'label')}" if labels else "# Photo search",
        "Ask for photos in words; get the photos that match, all of them and no others. This is a "
        "pretrained model of photos and text, and the rule that decides what matches"
        f"{', both learned from labeled photos' if labels else ''}.",
        _usage(labels, own_vectors=encoder.name.startswith(VECTORS)),
        _training(record, versions),
        _quality(record),
        _LIMITS,
        _license(base, license_of(encoder)),
    ]
    if labels:
        rows = sorted(labels.items(), key=lambda item: -item[1])
        table = "\n".join(f"| {_plain(label)} | {count} |" for label, count in rows)
        parts.append(f"## Labels\n\n| label | photos |\n| --- | ---: |\n{table}")
    return "\n\n".join(parts) + "\n"


def _usage(labels: Mapping[str, int], *, own_vectors: bool) -> str:
    word = next((label for label in labels if re.fullmatch(r"\w[\w ]*", label)), "kitchen")
    if own_vectors:
        return f"""## How to use it

With photosieve installed, this folder as `my-sieve`, photos in `my-photos`, and as `encoder` the
`VectorEncoder` of the vectors that are named below, which are not in this folder:

```python
from photosieve import Sieve

for hit in Sieve.load("my-sieve", encoder).search("{word}", "my-photos"):
    print(hit.path, hit.probability)
```"""
    return f"""## How to use it

With photosieve installed, this folder as `my-sieve`, and photos in `my-photos`:

```sh
photosieve search "{word}" my-photos --sieve my-sieve
```

```python
from photosieve import Sieve

for hit in Sieve.load("my-sieve").search("{word}", "my-photos"):
    print(hit.path, hit.probability)
```"""


def _training(record: Record, versions: Mapping[str, str]) -> str:
    evidence, labels = record.evidence, record.labels
    buildings, _ = evidence.buildings
    text = (
        f"{counted(len(evidence.names), 'photo')} of {counted(buildings, 'building')}, with "
        f"{counted(len(labels), 'label')}; a building is a folder of photos that belong together."
        if labels
        else "Nothing: it is the pretrained model as it was, and the rule is a guess."
    )
    if evidence.unknown:
        pairs = f"{evidence.unknown} of {counted(evidence.known.size, 'pair')} of photo and label"
        text += f" Unknown, and left out of training and figures: {pairs}."
    text += "".join(f"\n- {_plain(note.fact)}" for note in record.notes)
    rows = {
        "pretrained model": _base(record.encoder.name),
        "recipe": _recipe(record.recipe),
        "seed": str(record.seed),
        "made with": ", ".join(f"{name} {number}" for name, number in versions.items()),
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"## What it learned from\n\n{text}\n\n| | |\n| --- | --- |\n{table}"


def _recipe(recipe: Recipe) -> str:
    text = f"{_plain(recipe.name)}: {_plain(recipe.summary)}"
    named = RECIPES.get(recipe.name, recipe).to_dict()
    changed = [f"{key} = {value}" for key, value in recipe.to_dict().items() if value != named[key]]
    if changed:
        text += f"; changed: `{', '.join(changed)}`"
    if recipe.caveat:
        text += f"; known to be wrong with it: {_plain(recipe.caveat)}"
    return text


def _quality(record: Record) -> str:
    tuning, evidence, guarantee = record.tuning, record.evidence, record.guarantee
    cut = f"The rule: {tuning.cut.describe()}."
    if not record.labels:
        return f"## How good it is\n\nNobody knows: there were no labels to test it with. {cut}"
    if tuning.is_usual:
        return (
            "## How good it is\n\nNot known: too few photos share their labels with others to test "
            f"it on held-out ones. {cut} It is the usual one."
        )
    buildings, held_out = evidence.buildings
    if guarantee:
        basis = "On the photos that the guarantee below was checked on:"
    elif len(evidence.names) == 1:
        basis = "On the one photo that it learned from, as there was no other:"
    elif buildings == 1:
        basis = "On photos held out of training, all of one building; others may be harder:"
    else:
        basis = "On photos of buildings held out of training:"
    if held_out < buildings:
        basis = f"Rough figures, from {held_out} of {buildings} buildings. {basis}"
    rows = "\n".join(
        f"| {name} | {shown_number(tuning.figures[key])} |" for key, name in FIGURE_NAMES.items()
    )
    text = (
        f"## How good it is\n\n{basis}\n\n| | |\n| --- | ---: |\n{rows}\n\n"
        f"{cut} It was tuned for {_plain(tuning.objective)}."
    )
    return f"{text} The guarantee: {guarantee.describe()}." if guarantee else text


_LIMITS = """## Limits

- The figures are for these labels on photos like those that it learned from. On other photos it has
  not been tested: `photosieve evaluate my-sieve BUILDING...` does so with photos that you label.
- Labels on few photos are the least sure: the last table tells which.
- Other words get answers too, but less good ones, and no figure here is about them.
- Probabilities were fitted to the same held-out photos; how well they hold elsewhere is not known.
- It repeats the mistakes of the labels and of the pretrained model, and has not been tested for
  anything that decides about people.
- The rule is valid for these very weights: photosieve refuses a folder where they were changed."""


def _license(name: str, license: str) -> str:
    if is_starter(name):
        text = "All parts of the pretrained model are under Apache-2.0."
    elif license:
        text = f"The pretrained model is under {_plain(license)}, as its own card says."
    else:
        place = "at its page" if is_hub_id(name) else "where it came from"
        text = (
            f"The license of the pretrained model is not known here: look {place} before you pass "
            "this on."
        )
    return (
        f"## License\n\n{text} The header of this card says the same; who made this sieve may "
        "choose another license for it, if the two go together."
    )


def _base(name: str) -> str:
    if is_starter(name):
        small = name.startswith("starter-small")
        size, networks = ("small ", "Lite2") if small else ("", "Lite0, Lite1, Lite2")
        return f"the {size}starter of photosieve: EfficientNet-{networks} and all-MiniLM-L6-v2"
    note = ", its image tower in 8-bit integers" if name.endswith(INT8) else ""
    if is_hub_id(base := base_name(name)):
        return f"[{base}](https://huggingface.co/{base}){note}"
    if name.startswith(VECTORS):
        return f"vectors of the maker, named {_plain(name.removeprefix(VECTORS))}"
    return f"a folder of the maker{note}"


def _plain(text: str) -> str:
    """A text from elsewhere, for Markdown: each sign that could be markup is written by number."""
    return _MARKUP.sub(lambda sign: f"&#{ord(sign[0])};", text)
