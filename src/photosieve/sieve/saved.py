"""A sieve as a folder, and back: each field of its record, checked when read."""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.data.notes import Note
from photosieve.decision.calibration import Background, Nearness
from photosieve.decision.guarantee import Guarantee
from photosieve.decision.tuning import Tuning
from photosieve.encoders import VECTORS, base_name, export_encoder, license_of, load_encoder
from photosieve.encoders.downloads import local_only
from photosieve.encoders.files import publish as publish_folder
from photosieve.encoders.head import LinearHead
from photosieve.encoders.inputs import HUB_INPUTS_VERSION
from photosieve.encoders.model import WHOLE_TOWER_VERSION
from photosieve.encoders.prompts import BARE, prompts_of, with_prompts
from photosieve.encoders.protocol import Encoder
from photosieve.encoders.stored import StoredEncoder
from photosieve.errors import EncoderError, SieveError, UsageError
from photosieve.sieve import folder as sieve_folder
from photosieve.sieve.card import card
from photosieve.sieve.evidence import Evidence
from photosieve.sieve.folder import MANIFEST, Contents, verify
from photosieve.sieve.record import LABELS_ARE_NEAR, Kind, Record
from photosieve.training.probe import Probe
from photosieve.training.recipe import Recipe
from photosieve.training.run import History

CONVERTERS = ("photosieve", "transformers", "tokenizers", "openvino")
"""Packages that decide how a text tower is converted."""


def write(record: Record, folder: Path, *, public: bool = False) -> None:
    """Write a record: all of it or nothing.

    Parameters
    ----------
    record : Record
    folder : Path
    public : bool
        Whether others will read it: they need not know where a model is on this machine.

    Raises
    ------
    UsageError
        If the folder cannot be written, or holds something else than a sieve.
    """
    name = Path(base_name(record.encoder.name))
    if name.is_dir() and name.resolve() == folder.resolve():
        raise UsageError(
            f"{folder}: the sieve was trained from the model in this folder, and would replace it; "
            "choose another place"
        )
    usual = record.evidence.usual
    versions = {name: version(name) for name in ("photosieve", "torch", "numpy")}
    prompts = prompts_of(record.encoder)
    with sieve_folder.draft(folder) as draft:
        encoder = export_encoder(with_prompts(record.encoder, BARE), draft)
        base = Path(base_name(encoder.name))
        manifest = {
            "encoder": Path(encoder.name).name if public and base.is_dir() else encoder.name,
            "license": license_of(record.encoder),
            "prompts": prompts,
            "fingerprint": encoder.fingerprint,
            "trunk_fingerprint": encoder.trunk_fingerprint,
            "labels": dict(record.labels),
            "recipe": record.recipe.to_dict(),
            "seed": record.seed,
            "seconds": round(record.seconds, 3),
            "tuning": record.tuning.to_dict(),
            "evidence": {
                "groups": record.evidence.groups,
                "names": record.evidence.names,
                "usual": (usual.slope, usual.intercept) if usual else None,
            },
            "training": asdict(record.history),
            "guarantee": record.guarantee.to_dict() if record.guarantee else None,
            "average_background": asdict(record.average),
            "nearness": asdict(record.nearness),
            "topic": asdict(record.topic) if record.topic else None,
            "opened": sorted(record.opened),
            "notes": [asdict(replace(note, example="")) for note in record.notes],  # no paths
            "versions": versions,
        }
        tables: dict[str, sieve_folder.Arrays] = {
            "head": encoder.head.arrays(),
            "background": _present(
                photos=record.background,
                labels=record.background_labels,
                verdicts=record.verdicts,
                texts=record.label_vectors,
            ),
            "probe": record.probe.arrays() if record.probe else {},
            **record.evidence.tables(),
        }
        sieve_folder.write(draft, Contents(manifest, tables, card(record, versions)))


def _present(**arrays: NDArray[np.generic] | None) -> sieve_folder.Arrays:
    return {name: array for name, array in arrays.items() if array is not None}


def publish(record: Record, name: str) -> str:
    """Write a record to the Hugging Face hub, and return its address.

    Raises
    ------
    UsageError
        If the hub does not take it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        write(record, Path(scratch) / "sieve", public=True)
        return publish_folder(Path(scratch) / "sieve", name)


def read(kind: type[Kind], folder: Path, encoder: Encoder | None = None) -> Kind:
    """Read a record.

    Parameters
    ----------
    kind : type
        Of record.
    folder : Path
    encoder : Encoder, optional
        Pretrained, to use instead of the one that the folder names.

    Raises
    ------
    SieveError
        If the folder is missing, damaged, altered, made by another version, or its cut was tuned
        for other weights than those found.
    """
    contents = sieve_folder.read(folder)
    manifest = contents.manifest
    try:
        recipe, guarantee = Recipe.from_dict(manifest["recipe"]), manifest["guarantee"]
        background = {name: float(x) for name, x in manifest["average_background"].items()}
        record = kind(
            encoder=_encoder(folder.resolve(), contents, encoder),
            labels={str(label): int(count) for label, count in manifest["labels"].items()},
            recipe=recipe,
            seed=int(manifest["seed"]),
            tuning=Tuning.from_dict(manifest["tuning"]),
            evidence=Evidence.from_tables(contents.tables, recipe, **manifest["evidence"]),
            background=contents.tables["background"]["photos"],
            background_labels=contents.tables["background"].get("labels"),
            verdicts=contents.tables["background"].get("verdicts"),
            texts=contents.tables["background"].get("texts"),
            average=Background(**background),
            nearness=_nearness(manifest, "nearness") or LABELS_ARE_NEAR,
            topic=_nearness(manifest, "topic"),
            probe=Probe.from_arrays(probe) if (probe := contents.tables["probe"]) else None,
            seconds=float(manifest["seconds"]),
            history=History.from_dict(manifest["training"]),
            guarantee=Guarantee.from_dict(guarantee) if guarantee else None,
            opened=frozenset(map(str, manifest.get("opened", ()))),
            notes=tuple(map(Note.from_dict, manifest.get("notes", ()))),  # 0.1 has none
        )
        fingerprint = manifest["fingerprint"]
        prompts = _prompts(manifest)
    except (
        KeyError, TypeError, ValueError, OverflowError, AttributeError, EncoderError
    ) as error:  # fmt: skip
        raise SieveError(
            f"{folder / MANIFEST}: the file is damaged ({error!r}); train again"
        ) from None
    if record.encoder.fingerprint != fingerprint:
        raise SieveError(
            f"{folder}: the cut was tuned for other weights than those found here "
            "(another version of the encoder's packages?); train again"
        )
    return replace(record, encoder=with_prompts(record.encoder, prompts))


def _prompts(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    prompts = tuple(manifest.get("prompts", BARE))
    if not prompts or not all(isinstance(one, str) and "{}" in one for one in prompts):
        raise ValueError("a prompt has no place for the text")
    return prompts


def _nearness(manifest: Mapping[str, Any], name: str) -> Nearness | None:
    saved = manifest.get(name)
    return Nearness(float(saved["near"]), float(saved["unit"])) if saved else None


def _encoder(folder: Path, contents: Contents, pretrained: Encoder | None) -> Encoder:
    """Return the trained encoder: the folder has its head and, of hub models, its towers."""
    manifest, head = contents.manifest, LinearHead(**contents.tables["head"])
    if pretrained is None and manifest["encoder"].startswith(VECTORS):
        raise SieveError(
            f'{folder}: this sieve is made for vectors of your own, "{manifest["encoder"]}"; load '
            "it in Python with their VectorEncoder: Sieve.load(folder, encoder)"
        )
    if pretrained is not None or "config.json" not in manifest["files"]:
        return (pretrained or _load_pretrained(manifest)).with_head(head)

    def verify_weights() -> None:
        for name, digest in contents.weights.items():
            verify(folder / name, digest)

    # The code that prepares texts and converts their tower decides its output, too.
    code = (f"{HUB_INPUTS_VERSION}/{WHOLE_TOWER_VERSION}", *map(version, CONVERTERS))
    parts = (json.dumps(manifest["files"], sort_keys=True), *code)
    return StoredEncoder(
        name=manifest["encoder"],
        license=str(manifest.get("license", manifest.get("licence", ""))),  # as 0.1 spells it
        folder=folder,
        head=head,
        fingerprint=manifest["fingerprint"],
        trunk_fingerprint=manifest["trunk_fingerprint"],
        key=hashlib.sha256("/".join(parts).encode()).hexdigest(),
        verify=verify_weights,
    )


def _load_pretrained(manifest: Mapping[str, Any]) -> Encoder:
    """Load the encoder that a sieve names; a starter's name has meant several of them so far.

    In 0.1 "starter" had one image tower, and all of them were in float32.
    """
    name = manifest["encoder"]
    newest = load_base(name)
    old = ("starter-float32", "starter-small-float32")
    others = map(load_encoder, (other for other in old if other.startswith(f"{name}-")))
    for encoder in itertools.chain([newest], others):
        if encoder.trunk_fingerprint == manifest["trunk_fingerprint"]:
            return encoder
    return newest


def load_base(name: str) -> Encoder:
    """Load the pretrained encoder that a sieve names; it is not downloaded."""
    with local_only():
        return load_encoder(name)
