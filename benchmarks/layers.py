"""Where the image towers' time goes, by kind of layer, beside the processor's limit for each.

    OMP_NUM_THREADS=1 python benchmarks/layers.py

Takes about a minute. The limit of a layer is the longer of two times: for its operations, at the
speed of a large matrix product in its number format, and for its inputs, weights and outputs, at
the speed of a copy. A depthwise convolution adds only values of one channel, for which processors
have no instruction of 8 bits: its limit is the product in float32. All are measured in this run. Of
each layer the fastest run counts, by OpenVINO's own counters.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from machine import isa_suffix, products, timed, write
from models import make
from photosieve.encoders import load_encoder
from photosieve.encoders.efficientnet import image_source
from photosieve.encoders.hub import HubEncoder
from photosieve.encoders.int8_linear import rounded
from photosieve.encoders.model import PHOTOS
from photosieve.encoders.runtime import TowerSource, convert
from photosieve.encoders.starter import NETWORKS
from photosieve.encoders.towers import whole_source

ROUNDS = 150
COPIED = 2**18
"""Numbers in the array that is copied: with its copy 2 MiB, about what two layers hand over."""

BYTES = {"u8": 1, "i8": 1, "f32": 4, "i32": 4, "bf16": 2}
OTHERS = "rounding, copies, sums"
PRODUCTS = "FullyConnected", "MatMul"


@dataclass
class Kind:
    """The layers of one kind in a tower.

    Parameters
    ----------
    seconds, limit : float
        For one photo: measured, and the least possible.
    kernels : set of str
        Names of the programs that ran.
    layers : int
    """

    seconds: float = 0
    limit: float = 0
    kernels: set[str] = field(default_factory=set)
    layers: int = 0


def main() -> None:
    """Print the tables."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    limits = products()
    limits["copy"] = copying()
    rows: list[dict[str, float | str]] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PHOTOSIEVE_CACHE"] = f"{folder}/cache"
        make("openai/clip-vit-base-patch32", Path(folder))
        for name, tower in towers(Path(folder)):
            for kind, found in kinds(tower, limits).items():
                rows.append(
                    {
                        "tower": name,
                        "layers": f"{found.layers} {kind}",
                        "ms a photo": 1000 * found.seconds,
                        "limit, ms": 1000 * found.limit,
                        "% of the limit": 100 * found.limit / found.seconds,
                        "kernel": ", ".join(sorted(found.kernels)),
                    }
                )
                print(rows[-1], flush=True)
    speeds = {f"{name}_speed": speed for name, speed in limits.items()}
    write(f"layers{isa_suffix()}", {"layers": rows, **speeds})


def copying() -> float:
    """Return how many bytes are read and written in a CPU second by a copy."""
    source, copy = np.ones((2, COPIED), np.float32)

    def many() -> None:
        for _ in range(100):
            np.copyto(copy, source)

    return 200 * source.nbytes / min(timed(many).cpu for _ in range(20))


def towers(folder: Path) -> Iterator[tuple[str, TowerSource]]:
    """Give the towers, each with its name."""
    for name in ("starter-small", "starter-small-float32"):
        yield f"`{name}`", image_source(NETWORKS[name])
    encoder = load_encoder(str(folder))
    assert isinstance(encoder, HubEncoder)
    plain = whole_source(encoder.model, PHOTOS, encoder.trunk.examples[PHOTOS])
    yield "ViT-B/32, int8", rounded(plain, encoder.trunk.prepare)
    yield "ViT-B/32, float32", plain


def kinds(source: TowerSource, limits: dict[str, float]) -> dict[str, Kind]:
    """Measure one photo at a time on one thread; the whole tower is the last kind."""
    model = convert(source)
    model.reshape(source.example[0].shape)
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERF_COUNT": True}
    compiled = openvino.Core().compile_model(
        model, "CPU", {**settings, "INFERENCE_PRECISION_HINT": "f32"}
    )
    request, seconds = compiled.create_infer_request(), defaultdict[str, float](lambda: math.inf)
    for _ in range(ROUNDS):
        request.infer([*source.example])
        for layer in request.profiling_info:
            taken = layer.real_time.total_seconds()
            seconds[layer.node_name] = min(seconds[layer.node_name], taken)
    found = defaultdict[str, Kind](Kind)
    for node in compiled.get_runtime_model().get_ordered_ops():
        taken = seconds[node.friendly_name]
        if not math.isfinite(taken) or not taken:
            continue
        name, least = _limit(node, limits)
        for kind in (found[name], found["layers in all"]):
            kind.seconds += taken
            kind.limit += least
            kind.layers += 1
        if name != OTHERS:
            found[name].kernels.add(f"`{_note(node, 'primitiveType')}`")
    whole = found.pop("layers in all")
    return {**found, "layers in all": whole}


def _limit(node: Any, limits: dict[str, float]) -> tuple[str, float]:
    """Return the kind of a layer, and the seconds that it takes at least."""
    shape, inputs = node.output(0).shape, [port.get_source_output() for port in node.inputs()]
    moved = math.prod(shape) * BYTES[_note(node, "outputPrecisions").split(",")[0]]
    for source in inputs:
        precision = _note(source.get_node(), "outputPrecisions").split(",")[0]
        moved += math.prod(source.shape) * BYTES.get(precision, 0)  # an empty input has none
    in_int8 = _note(node, "primitiveType").lower().endswith("i8")
    product, kind = limits["int8" if in_int8 else "float32"], _note(node, "layerType")
    least = moved / limits["copy"]
    if kind == "Convolution":
        weights = inputs[1].shape  # (groups, out, in, high, wide), the first only where there are
        if len(weights) == 5:
            name, product = "depthwise convolutions", limits["float32"]
        else:
            name = "convolutions" if weights[-1] > 1 else "1 x 1 convolutions"
        adds = math.prod(weights[-3:])
    elif kind in PRODUCTS:
        name = "linear layers" if kind == PRODUCTS[0] else "products of attention"
        adds = inputs[0].shape[-1]
    else:
        return OTHERS, least
    return name, max(least, 2 * math.prod(shape) * adds / product)


def _note(node: Any, name: str) -> str:
    return str(node.get_rt_info()[name].astype(str))


if __name__ == "__main__":
    main()
