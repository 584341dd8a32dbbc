"""Fast inference of a frozen tower: OpenVINO on the CPU, plain torch where that is missing.

A tower is converted from its torch module once and kept in the user's cache folder under the
fingerprint of its weights; later runs load the converted form and import no torch. All towers run
in float32 unless told otherwise: for the starter's image tower bfloat16 is faster, but moves photo
embeddings to a cosine far below the .999 that a cut can live with (``benchmarks/speed.py`` measures
both).
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from photosieve import storage

if TYPE_CHECKING:
    import torch

# OpenVINO reports its import and each conversion to its maker when this package is importable.
# Nobody who searches their own photos has agreed to that; without it OpenVINO uses its own stub.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

Tower = Callable[[Iterable[Sequence[NDArray[Any]]]], Iterator[NDArray[np.float32]]]
"""Maps a stream of inputs, each a tuple of arrays, to a stream of outputs in the same order."""


def open_tower(
    name: str,
    fingerprint: str,
    build: Callable[[], torch.nn.Module],
    example: Sequence[NDArray[Any]],
    shapes: Sequence[Sequence[int]],
    precision: Literal["f32", "bf16"] = "f32",
) -> Tower:
    """Load a tower in its fastest form, converting it first when this machine has not yet.

    Parameters
    ----------
    name : str
        Part of the cached file's name, to tell files apart by eye.
    fingerprint : str
        Hash of the weights.
    build : callable
        Makes the torch module, in evaluation mode; called only when there is no cached form.
    example : sequence of arrays
        One valid input, for tracing.
    shapes : sequence of shapes
        Shape of each input; -1 where it varies.
    precision : {"f32", "bf16"}
        What the CPU computes in; one that has no bfloat16 ignores the wish.

    Returns
    -------
    Tower
    """
    try:
        import openvino
    except ImportError:
        return torch_tower(build())
    cached = tower_file(name, fingerprint, build, shapes)
    model = _read(openvino.Core(), cached)
    if model is None:
        model = _convert(build(), example, shapes)
        _keep(model, cached)
    return _compile(model, cached, precision)


def tower_file(
    name: str,
    fingerprint: str,
    build: Callable[[], torch.nn.Module],
    shapes: Sequence[Sequence[int]],
) -> Path:
    """Return where `open_tower` keeps the converted form of a tower."""
    # The weights are not all: a tower that is built in another way is another tower.
    parts = (fingerprint, inspect.getsource(build), str(shapes), _openvino_version())
    key = hashlib.sha256("/".join(parts).encode()).hexdigest()
    return storage.cache_folder() / f"{name}-{key[:16]}.xml"


def open_converted(path: Path) -> Tower | None:
    """Open a tower in float32 that `open_tower` has kept, without torch; None without it."""
    try:
        import openvino
    except ImportError:
        return None
    model = _read(openvino.Core(), path)
    return None if model is None else _compile(model, path, "f32")


def _openvino_version() -> str:
    return metadata.version("openvino").split("-")[0]


def _compile(model: Any, cached: Path, precision: str) -> Tower:
    import openvino

    core = openvino.Core()
    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": precision}
    try:  # what is compiled is kept, too: that is half of the time of a first search
        compiled = core.compile_model(
            model, "CPU", {**settings, "CACHE_DIR": str(cached.parent / "compiled")}
        )
    except RuntimeError:
        compiled = core.compile_model(model, "CPU", settings)
    return _openvino_tower(compiled)


def _read(core: Any, path: Path) -> Any | None:
    if not path.exists():
        return None
    try:
        return core.read_model(path)
    except RuntimeError:  # damaged: convert again and replace it
        return None


def _convert(
    module: torch.nn.Module, example: Sequence[NDArray[Any]], shapes: Sequence[Sequence[int]]
) -> Any:
    import openvino
    import torch

    traced = tuple(torch.from_numpy(array) for array in example)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns about itself and about constant shapes
        return openvino.convert_model(
            module, example_input=traced, input=[list(shape) for shape in shapes]
        )


def _keep(model: Any, path: Path) -> None:
    """Write the converted model so that a reader sees all of it or nothing."""
    import openvino

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            draft = Path(folder) / path.name
            openvino.save_model(model, draft, compress_to_fp16=False)
            # Weights first: the .xml is what a reader looks for.
            draft.with_suffix(".bin").replace(path.with_suffix(".bin"))
            draft.replace(path)
    except OSError:
        return  # a cache that cannot be written costs time, not results


def _openvino_tower(compiled: Any) -> Tower:
    # As many requests as the CPU has streams keep every core busy; results are taken in order.
    requests = [
        compiled.create_infer_request()
        for _ in range(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    ]

    lock = threading.Lock()  # a request serves one thread at a time, and all are in use by one run

    def run(inputs: Iterable[Sequence[NDArray[Any]]]) -> Iterator[NDArray[np.float32]]:
        with lock:
            yield from alone(inputs)

    def alone(inputs: Iterable[Sequence[NDArray[Any]]]) -> Iterator[NDArray[np.float32]]:
        free, running = deque(requests), deque[Any]()

        def finish() -> NDArray[np.float32]:
            request = running.popleft()
            request.wait()
            free.append(request)
            return np.array(request.get_output_tensor(0).data, np.float32)

        try:
            for arrays in inputs:
                if not free:
                    yield finish()
                request = free.popleft()
                request.start_async(dict(enumerate(arrays)))
                running.append(request)
            while running:
                yield finish()
        finally:  # who stops early leaves no request busy
            for request in running:
                request.wait()

    return run


def torch_tower(module: torch.nn.Module, device: str = "cpu") -> Tower:
    """Run a tower in plain torch, on a graphics card for example.

    Parameters
    ----------
    module : torch.nn.Module
        The tower, in evaluation mode.
    device : str
        As torch calls it. On "cuda" matrix products are computed in bfloat16.
    """
    import torch

    module = module.to(device)

    def run(inputs: Iterable[Sequence[NDArray[Any]]]) -> Iterator[NDArray[np.float32]]:
        for arrays in inputs:
            with torch.no_grad(), torch.autocast(device, torch.bfloat16, device == "cuda"):
                output = module(*(torch.from_numpy(array).to(device) for array in arrays))
            yield output.float().cpu().numpy()

    return run
