"""Fast inference of a frozen tower: OpenVINO on the CPU, plain torch where that is missing.

A tower is converted from its torch module once and kept in the cache folder under the fingerprint
of its weights, with checksums; later runs load the converted form and import no torch. Numbers are
in float32, except where a tower itself asks for integers of 8 bits, as those of the starters do.
In bfloat16 answers would depend on the processor, as not all have it: it is measured by
`photosieve models measure` alone.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from photosieve import cache, checksums, storage

if TYPE_CHECKING:
    import torch

# OpenVINO reports its import and each conversion to its maker when this package is importable.
# People who search their own photos have not agreed to that; without it OpenVINO uses its own stub.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

Tower = Callable[[Iterable[Sequence[NDArray[Any]]]], Iterator[NDArray[np.float32]]]
"""Maps a stream of inputs, each a tuple of arrays, to a stream of outputs in the same order."""

CONVERTED = "tower.xml"
"""Name of a converted tower in its folder; its weights lie beside it."""

_WEIGHTS, _CHECKSUMS = "tower.bin", "checksums.json"

_COMPILED = "compiled"
"""Name of the folder, inside that of a tower, for the form that OpenVINO compiles for this CPU."""


@dataclass(frozen=True)
class TowerSource:
    """A tower as torch builds it, with all that a conversion needs.

    Parameters
    ----------
    name : str
        Part of the cached folder's name, to tell folders apart by eye.
    fingerprint : str
        Hash of the weights.
    version : int
        Version of the code that builds the module: a new one leaves older conversions unused.
    build : callable
        Makes the torch module, in evaluation mode; called only when there is no converted form.
    example : sequence of arrays
        One valid input, for tracing.
    shapes : sequence of shapes
        Shape of each input; -1 where it varies.
    """

    name: str
    fingerprint: str
    version: int
    build: Callable[[], torch.nn.Module]
    example: Sequence[NDArray[Any]]
    shapes: Sequence[Sequence[int]]

    @property
    def folder(self) -> Path:
        """Folder in the cache for the converted form."""
        parts = (self.fingerprint, str(self.version), str(self.shapes), _openvino_version())
        key = hashlib.sha256("/".join(parts).encode()).hexdigest()
        return storage.cache_folder() / f"{self.name}-{key[:16]}"


def load_tower(source: TowerSource) -> Tower:
    """Load a tower in its fastest form, and convert it first where this machine has not yet."""
    try:
        import openvino
    except ImportError:
        return torch_tower(source.build())
    core = openvino.Core()
    model = _read(core, source.folder)
    if model is None:
        converted = convert(source)
        _keep(converted, source.folder)
        # A tower that was written and read differs in the last bit: the first run gives the same
        # answers as later ones.
        model = _read(core, source.folder) or converted
    return _compile(model, source.folder)


def load_converted(folder: Path) -> Tower | None:
    """Load a tower in float32 that `load_tower` has kept, without torch; None if it is missing."""
    try:
        import openvino
    except ImportError:
        return None
    model = _read(openvino.Core(), folder)
    return None if model is None else _compile(model, folder)


def torch_tower(module: torch.nn.Module, device: str = "cpu") -> Tower:
    """Run a tower in plain torch, on a graphics card for example.

    Parameters
    ----------
    module : torch.nn.Module
        The tower, in evaluation mode.
    device : str
        Name of the device in torch. On "cuda" matrix products are computed in bfloat16.
    """
    import torch

    module = module.to(device)

    def run(inputs: Iterable[Sequence[NDArray[Any]]]) -> Iterator[NDArray[np.float32]]:
        for arrays in inputs:
            with torch.no_grad(), torch.autocast(device, torch.bfloat16, device == "cuda"):
                output = module(*(torch.from_numpy(array).to(device) for array in arrays))
            yield output.float().cpu().numpy()

    return run


def _openvino_version() -> str:
    return metadata.version("openvino").split("-")[0]


def _read(core: Any, folder: Path) -> Any | None:
    if not _is_whole(folder, {CONVERTED, _WEIGHTS}):  # damaged: convert again and replace it
        return None
    cache.hold(folder)
    try:
        return core.read_model(folder / CONVERTED)
    except RuntimeError:
        return None


def _is_whole(folder: Path, names: set[str]) -> bool:
    """Whether a folder has these files, and each is as it was written."""
    try:
        known = checksums.load((folder / _CHECKSUMS).read_bytes())
        return names == known.keys() and checksums.are_whole(folder, known)
    except (OSError, ValueError):
        return False


def _note_checksums(folder: Path, names: Iterable[str]) -> None:
    with storage.draft_file(folder / _CHECKSUMS) as file:
        file.write(checksums.dump(checksums.file_checksums(folder, names)))


def convert(source: TowerSource) -> Any:
    """Convert a tower to the form of OpenVINO."""
    import openvino
    import torch

    example = tuple(torch.from_numpy(array) for array in source.example)
    shapes = [list(shape) for shape in source.shapes]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns about itself and about constant shapes
        return openvino.convert_model(source.build(), example_input=example, input=shapes)


def _keep(model: Any, folder: Path) -> None:
    import openvino

    # A cache that cannot be written costs time, not results.
    with suppress(OSError), storage.draft_folder(folder) as draft:
        openvino.save_model(model, draft / CONVERTED, compress_to_fp16=False)
        _note_checksums(draft, (CONVERTED, _WEIGHTS))
    cache.hold(folder)
    cache.trim()


def _compile(model: Any, folder: Path) -> Tower:
    import openvino

    core = openvino.Core()
    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    # The compiled form is kept, too: compiling takes half of the time of a first search.
    place = folder / _COMPILED
    try:
        kept = {path.name for path in place.glob("*.blob")}
        if not _is_whole(place, kept):
            shutil.rmtree(place, ignore_errors=True)
        compiled = core.compile_model(model, "CPU", {**settings, "CACHE_DIR": str(place)})
        made = {path.name for path in place.glob("*.blob")}
        if made != kept or not (place / _CHECKSUMS).exists():
            with suppress(OSError):
                _note_checksums(place, made)
    except RuntimeError:
        compiled = core.compile_model(model, "CPU", settings)
    return _openvino_tower(compiled)


def _openvino_tower(compiled: Any) -> Tower:
    # As many requests as the CPU has streams keep every core busy; results are taken in order.
    requests = [
        compiled.create_infer_request()
        for _ in range(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    ]

    lock = threading.Lock()  # a request serves one thread at a time, and a run uses all of them

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
        finally:  # a caller that stops early leaves no request busy
            for request in running:
                request.wait()

    return run
