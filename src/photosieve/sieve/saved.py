"""A sieve's fields as a folder, and back."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from photosieve.decision.calibration import Background
from photosieve.decision.guarantee import Guarantee
from photosieve.decision.tuning import Tuning
from photosieve.encoders import export_encoder, license_of, load_encoder
from photosieve.encoders import files as checkpoint
from photosieve.encoders.head import LinearHead
from photosieve.encoders.protocol import Encoder
from photosieve.encoders.stored import StoredEncoder
from photosieve.errors import EncoderError, SieveError, UsageError
from photosieve.sieve import folder as sievefile
from photosieve.sieve.card import card
from photosieve.sieve.evidence import Evidence, History
from photosieve.training.recipes import Recipe

CONVERTERS = ("photosieve", "transformers", "tokenizers", "openvino")
"""Packages that decide what becomes of a text tower."""


def write(folder: Path, fields: Mapping[str, Any], *, public: bool = False) -> None:
    """Write the fields of a `photosieve.sieve.sieve.Sieve`, by name: all of it or nothing.

    Parameters
    ----------
    folder : Path
    fields : mapping
    public : bool
        Whether others will read it, who need not know where a model was on this machine.

    Raises
    ------
    UsageError
        If the folder cannot be written, or holds something else than a sieve.
    """
    encoder, evidence, promised = fields["encoder"], fields["evidence"], fields["guarantee"]
    if Path(encoder.name).is_dir() and Path(encoder.name).resolve() == folder.resolve():
        raise UsageError(
            f"{folder}: the sieve was trained from the model in this folder, and would replace it; "
            "choose another place"
        )

    def fill(draft: Path) -> sievefile.Saved:
        saved = export_encoder(encoder, draft)
        versions = {name: version(name) for name in ("photosieve", "torch", "numpy")}
        manifest = {
            "encoder": Path(saved.name).name
            if public and Path(saved.name).is_dir()
            else saved.name,
            "license": license_of(encoder),
            "fingerprint": saved.fingerprint,
            "trunk_fingerprint": saved.trunk_fingerprint,
            "labels": dict(fields["labels"]),
            "recipe": fields["recipe"].to_dict(),
            "seed": fields["seed"],
            "seconds": round(fields["seconds"], 3),
            "tuning": fields["tuning"].to_dict(),
            "evidence": {"groups": evidence.groups, "names": evidence.names},
            "training": asdict(fields["history"]),
            "guarantee": promised.to_dict() if promised else None,
            "average_background": asdict(fields["average"]),
            "versions": versions,
        }
        tables: dict[str, sievefile.Arrays] = {
            "head": saved.head.arrays(),
            "background": {"photos": fields["background"]},
            **evidence.tables(),
        }
        return sievefile.Saved(manifest, tables, card(fields, versions))

    sievefile.write(folder, fill)


def publish(name: str, fields: Mapping[str, Any]) -> str:
    """Write the fields of a sieve to the Hugging Face hub, and return the address.

    Raises
    ------
    UsageError
        If the hub does not take them.
    """
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch) / "sieve", fields, public=True)
        return checkpoint.publish(Path(scratch) / "sieve", name)


def read(folder: Path) -> dict[str, Any]:
    """Read the fields again, each checked.

    Raises
    ------
    SieveError
        If the folder is missing, damaged, altered, made by another version, or its cut was tuned
        for other weights than those found.
    """
    saved = sievefile.read(folder)
    manifest = saved.manifest
    try:
        recipe, promised = Recipe(**manifest["recipe"]), manifest["guarantee"]
        fields: dict[str, Any] = {
            "encoder": _encoder(folder.resolve(), saved),
            "labels": {str(label): int(count) for label, count in manifest["labels"].items()},
            "recipe": recipe,
            "seed": int(manifest["seed"]),
            "tuning": Tuning.from_dict(manifest["tuning"]),
            "evidence": Evidence.from_tables(saved.tables, recipe, **manifest["evidence"]),
            "background": saved.tables["background"]["photos"],
            "average": Background(
                **{k: float(v) for k, v in manifest["average_background"].items()}
            ),
            "seconds": float(manifest["seconds"]),
            "history": History.from_dict(manifest["training"]),
            "guarantee": Guarantee.from_dict(promised) if promised else None,
        }
        fingerprint = manifest["fingerprint"]
    except (
        KeyError, TypeError, ValueError, OverflowError, AttributeError, EncoderError
    ) as error:  # fmt: skip
        raise SieveError(
            f"{folder / sievefile.MANIFEST}: the file is damaged ({error!r}); train again"
        ) from None
    if fields["encoder"].fingerprint != fingerprint:
        raise SieveError(
            f"{folder}: the cut was tuned for other weights than those found here "
            "(another version of the encoder's packages?); train again"
        )
    return fields


def _encoder(folder: Path, saved: sievefile.Saved) -> Encoder:
    """The encoder: the starter comes with the product, any other model stands in the folder."""
    manifest, head = saved.manifest, LinearHead(**saved.tables["head"])
    if "config.json" not in manifest["files"]:
        return load_encoder(manifest["encoder"]).with_head(head)

    def verify() -> None:
        for name, digest in sievefile.weights(saved).items():
            sievefile.verify(folder / name, digest)

    # The code that converts a text tower is part of its file's name, which is kept with the rest.
    parts = (json.dumps(manifest["files"], sort_keys=True), *map(version, CONVERTERS))
    return StoredEncoder(
        name=manifest["encoder"],
        license=str(manifest.get("license", manifest.get("licence", ""))),  # as written before
        folder=folder,
        head=head,
        fingerprint=manifest["fingerprint"],
        trunk_fingerprint=manifest["trunk_fingerprint"],
        key=hashlib.sha256("/".join(parts).encode()).hexdigest(),
        verify=verify,
    )
