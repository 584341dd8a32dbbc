"""Number formats for an image tower: how fast each is on this machine, and how far off."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photosieve.encoders import FLOAT32, is_starter
from photosieve.encoders.protocol import Encoder, Float32Array
from photosieve.encoders.runtime import TowerSource, convert
from photosieve.errors import EncoderError

if TYPE_CHECKING:
    from photosieve.encoders.hub import HubEncoder
    from photosieve.encoders.starter import Starter

Inputs = Sequence[NDArray[Any]]

NEAR = 0.999
"""Least cosine to the photo embeddings that a cut was learned on, for the cut to stay valid."""


@dataclass(frozen=True)
class Precision:
    """A number format, measured.

    Parameters
    ----------
    name : {"float32", "bfloat16", "int8"}
    milliseconds : float
        CPU time for a photo; decoding is not part of it.
    megabytes : float
        Memory of a process that embeds photos with it.
    cosine : float
        The lowest between photo embeddings in this format and in float32.
    centered_cosine : float
        The same without the mean of all photos, which in many models is most of an embedding.
    """

    name: str
    milliseconds: float
    megabytes: float
    cosine: float
    centered_cosine: float

    @property
    def near(self) -> bool:
        """Whether a cut holds that was learned in float32."""
        return self.cosine >= NEAR


def measure(encoder: Encoder, photos: Sequence[Image.Image]) -> list[Precision]:
    """Measure the image tower of a model from `load_encoder` in each format that this CPU has.

    Parameters
    ----------
    encoder : Encoder
        A starter, or a model of the `transformers` library.
    photos : sequence of Image
        At least two.

    Raises
    ------
    EncoderError
        If the encoder is another one.
    """
    import openvino

    if is_starter(encoder.name):
        inputs, sources = _starter(cast("Starter", encoder), photos)
    elif hasattr(encoder, "trunk"):
        inputs, sources = _hub(cast("HubEncoder", encoder), photos)
    else:
        raise EncoderError(f"{encoder.name} has no image tower that could be measured")
    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    plain, rounded = sources
    formats = {"float32": (plain, "f32"), "bfloat16": (plain, "bf16"), "int8": (rounded, "f32")}
    if "BF16" not in able:
        del formats["bfloat16"]
    found: list[Precision] = []
    exact: Float32Array | None = None
    for name, (source, hint) in formats.items():
        try:
            converted = convert(source)
        except EncoderError:
            if name == "int8":  # a tower without linear layers has no such form
                continue
            raise
        with tempfile.TemporaryDirectory() as folder:
            openvino.save_model(converted, f"{folder}/tower.xml", compress_to_fp16=False)
            # A process of its own: its memory is that of this format alone.
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                task = pool.submit(_run, Path(folder, "tower.xml"), hint, inputs)
                features, milliseconds, megabytes = task.result()
        vectors = encoder.head.project_photos(features)
        exact = vectors if exact is None else exact
        mean = exact.mean(0)
        found.append(
            Precision(
                name,
                milliseconds,
                megabytes,
                _lowest_cosine(vectors, exact),
                _lowest_cosine(vectors - mean, exact - mean),
            )
        )
    return found


def _starter(
    encoder: Starter, photos: Sequence[Image.Image]
) -> tuple[list[Inputs], tuple[TowerSource, TowerSource]]:
    from photosieve.encoders.efficientnet import image_source, pixels
    from photosieve.encoders.starter import NETWORKS

    name = encoder.name.removesuffix(FLOAT32)
    sources = image_source(NETWORKS[name + FLOAT32]), image_source(NETWORKS[name])
    return [pixels(encoder.networks, photo) for photo in photos], sources


def _hub(
    encoder: HubEncoder, photos: Sequence[Image.Image]
) -> tuple[list[Inputs], tuple[TowerSource, TowerSource]]:
    from photosieve.encoders.int8_linear import rounded
    from photosieve.encoders.model import PHOTOS
    from photosieve.encoders.towers import whole_source

    trunk = encoder.trunk
    source = whole_source(encoder.model, PHOTOS, trunk.examples[PHOTOS])
    return [trunk.prepare(photo) for photo in photos], (source, rounded(source, trunk.prepare))


def _run(path: Path, hint: str, inputs: Sequence[Inputs]) -> tuple[Float32Array, float, float]:
    """Return features, CPU milliseconds a photo and megabytes, in a process of its own."""
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": 1}
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()

    def embed() -> Float32Array:
        return np.concatenate([np.array(request.infer([*arrays])[0]) for arrays in inputs])

    features = embed()
    seconds = []
    for _ in range(3):
        started = time.process_time()
        embed()
        seconds.append(time.process_time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in kB, on a Mac in bytes
    megabytes = peak / (1e6 if sys.platform == "darwin" else 1e3)
    return features, 1000 * min(seconds) / len(inputs), megabytes


def _lowest_cosine(left: NDArray[Any], right: NDArray[Any]) -> float:
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return float(((left * right).sum(1) / np.maximum(lengths, 1e-12)).min())
