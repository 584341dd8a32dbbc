"""Encoders: pairs of towers, image and text, into one space.

`photosieve.encoders.protocol` says what an encoder is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from photosieve.encoders.protocol import INT8, Encoder
from photosieve.errors import EncoderError

STARTERS = ("starter", "starter-small")
"""Names of the built-in encoders: with three image towers, and with one."""

FLOAT32 = "-float32"
"""Ends the names of the same encoders in the precision that they had at first."""

VECTORS = "vectors:"
"""The name of each `VectorEncoder` begins so: no model of the hub is ever taken for it."""


def load_encoder(name: str, folder: Path | None = None) -> Encoder:
    """Load a pretrained encoder, or a trained one that `export_encoder` has written.

    Parameters
    ----------
    name : str
        ``"starter"``: the built-in encoder, which needs no download; ``"starter-small"`` is the
        same with one image tower instead of three, several times faster and less good. A folder
        with a model of the `transformers` library, or the id of one on the Hugging Face hub, such
        as ``"openai/clip-vit-base-patch32"``; it is downloaded once. With ``":int8"`` at the end,
        the image tower of such a model computes in 8-bit integers.
    folder : Path, optional
        Folder that the encoder of this name was exported to.

    Raises
    ------
    EncoderError
        If there is no such model, or it cannot be used.
    """
    if is_starter(name):
        from photosieve.encoders.starter import Starter

        return Starter(name)
    if name.startswith(VECTORS):
        raise EncoderError(
            f'"{name}" are vectors of your own, which have no name to load them by; work from '
            "Python, and give the VectorEncoder itself"
        )
    from photosieve.encoders.hub import load_hub

    return load_hub(base_name(name), folder, int8=name.endswith(INT8))


def base_name(name: str) -> str:
    """Return the folder or the hub id in the name of a hub model."""
    return name.removesuffix(INT8)


def in_precision(name: str, precision: Literal["float32", "int8"]) -> str:
    """Return the name of the same encoder in another number format."""
    if is_starter(name):
        return name.removesuffix(FLOAT32) + (FLOAT32 if precision == "float32" else "")
    return base_name(name) + (INT8 if precision == "int8" else "")


def is_starter(name: str) -> bool:
    """Whether a name is that of a built-in encoder."""
    return name.removesuffix(FLOAT32) in STARTERS


def export_encoder(encoder: Encoder, folder: Path) -> Encoder:
    """Write the model into a folder, and return the encoder that loads from there.

    A model of the `transformers` library is written so that the library can load it, trained
    as it is. For the built-in encoder and others without an ``export``, nothing is written.
    `load_encoder` with the name and the folder gives the encoder again, but for its head.

    Raises
    ------
    OSError, SafetensorError
        If the folder cannot be written.
    """
    export: Callable[[Path], Encoder] | None = getattr(encoder, "export", None)
    return export(folder) if export else encoder


def license_of(encoder: Encoder) -> str:
    """Return the license of the pretrained weights, by its name on the hub; empty if not known."""
    return str(getattr(encoder, "license", ""))
