"""A model of the `transformers` library: recognized, loaded and saved without its code."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from photosieve.encoders.files import SMALL_FILES, ModelFiles
from photosieve.encoders.protocol import Float32Array
from photosieve.encoders.weights import first_line
from photosieve.errors import EncoderError

if TYPE_CHECKING:
    import torch


WHOLE_TOWER_VERSION = 1
"""Raise it when `Model.load`, `towers.WholeTower` or `towers.whole_source` change the output of a
whole tower: towers that were converted before are then converted again."""


@dataclass(frozen=True)
class Side:
    """Names that models give to one of their towers and its parts."""

    tower: str
    projection: str
    settings: str
    features: str


PHOTOS = Side("vision_model", "visual_projection", "vision_config", "get_image_features")
TEXTS = Side("text_model", "text_projection", "text_config", "get_text_features")


@contextmanager
def model_errors(name: str, part: str) -> Iterator[None]:
    """Turn any error of a library about a part of a model into one sentence."""
    try:
        yield
    except EncoderError:
        raise
    except Exception as error:
        raise EncoderError(
            f"{name}: {part} cannot be used ({first_line(error)}); "
            "get the model again, or choose another"
        ) from error


@dataclass(frozen=True)
class Model:
    """A model with its configuration; the weights are read later.

    Parameters
    ----------
    files : ModelFiles
        Its files.
    config : object
        Its config.json, read by `transformers`.
    architecture : type
        Its class in `transformers`.
    """

    files: ModelFiles
    config: Any
    architecture: Any

    @classmethod
    def find(cls, files: ModelFiles) -> Model:
        """Recognize a model by its configuration.

        Raises
        ------
        EncoderError
            If it does not put photos and texts into one space.
        """
        from transformers import MODEL_MAPPING, AutoConfig
        from transformers.utils import logging

        # Its messages are about training, and about keys that are checked here anyway.
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        with model_errors(files.name, "config.json"):
            config = AutoConfig.from_pretrained(
                files.folder, trust_remote_code=False, local_files_only=True
            )
        architecture = MODEL_MAPPING.get(type(config), None)
        if not all(hasattr(architecture, side.features) for side in (PHOTOS, TEXTS)):
            raise EncoderError(
                f'{files.name} is a model of kind "{config.model_type}", which does not put '
                "photos and texts into one space; give a CLIP, ALIGN, SigLIP or similar model"
            )
        return cls(files, config, architecture)

    @functools.cached_property
    def projections(self) -> dict[Side, Float32Array]:
        """The last layer of each tower, (p, d), where it is a plain matrix."""
        tensors, found = self.files.tensors(), {}
        for side in (PHOTOS, TEXTS):
            weight = tensors.get(f"{side.projection}.weight")
            if weight is not None and weight.ndim == 2 and f"{side.projection}.bias" not in tensors:
                found[side] = weight.float().numpy().T.copy()
        return found

    def key(self, side: Side) -> str:
        """Hash of everything that decides a tower's output, up to its plain projection.

        Models that differ only in their projections share it, and so their converted tower.
        """
        other = TEXTS if side == PHOTOS else PHOTOS
        left_out = [f"{other.tower}.", f"{other.projection}."]
        plain = side in self.projections
        if plain:
            left_out.append(f"{side.projection}.")
        settings = self.config.to_dict()
        settings.pop(other.settings, None)
        for part in (settings, settings.get(side.settings, {})):
            for name in ("transformers_version", "dtype", "_name_or_path", "architectures"):
                part.pop(name, None)
        digests = self.files.digests.items()
        weights = [item for item in digests if not item[0].startswith(tuple(left_out))]
        parts = [plain, settings, sorted(weights)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    def load(self, *sides: Side, attention: str | None = None) -> torch.nn.Module:
        """Load some of the towers in float32, on the CPU, with all of their weights.

        Weights of a file in float32 stay on the disk until they are used.

        Parameters
        ----------
        attention : str, optional
            Implementation of attention, by its name in `transformers`; by default the fastest.
        """
        import torch

        name, tensors = self.files.name, self.files.tensors()
        self._check_size(tensors)
        model, found = self.architecture.from_pretrained(
            None,
            config=self.config,
            state_dict=tensors,
            dtype=torch.float32,
            attn_implementation=attention,
            ignore_mismatched_sizes=True,  # else it raises, and prints the sizes
            output_loading_info=True,
        )
        for key, given, wanted in sorted(found["mismatched_keys"]):
            raise EncoderError(
                f"{name}: config.json does not fit the weights, which hold {key} as "
                f"{tuple(given)} where it says {tuple(wanted)}; get both from the same place"
            )
        for key in sorted(found["missing_keys"]):
            raise EncoderError(
                f"{name}: the weights lack {key} that config.json speaks of; "
                "get both from the same place"
            )
        for side in {PHOTOS, TEXTS} - set(sides):
            for part in (side.tower, side.projection):
                if hasattr(model, part):
                    setattr(model, part, torch.nn.Identity())
        if (
            PHOTOS in sides
            and self.config.model_type == "align"
            and self.config.vision_config.pooling_type == "mean"
        ):
            # Its mean uses a window far larger than the map, which OpenVINO refuses.
            model.vision_model.pooler = torch.nn.AdaptiveAvgPool2d(1)
        loaded: torch.nn.Module = model.eval()
        return loaded

    def save(self, folder: Path, weights: Mapping[str, Float32Array]) -> Model:
        """Write the model into a folder, with some of its weights replaced.

        All weights are written in float32, since training computes changes in float32.

        Parameters
        ----------
        folder : Path
        weights : mapping of str to array
            By their names in `transformers`.

        Raises
        ------
        OSError, SafetensorError
            If the folder cannot be written.
        """
        import torch

        model: Any = self.load(PHOTOS, TEXTS)
        for name, array in weights.items():
            model.get_parameter(name).data = torch.from_numpy(np.ascontiguousarray(array))
        model.save_pretrained(folder)
        for name in SMALL_FILES:
            path = self.files.folder / name
            if name != "config.json" and path.exists():
                shutil.copyfile(path, folder / name)
        return Model.find(ModelFiles.find(str(folder)))

    def _check_size(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Refuse a configuration of a much larger model, before memory is reserved for it."""
        import torch

        parts = (self.config.text_config, self.config.vision_config)
        if max(getattr(part, "num_hidden_layers", 0) for part in parts) <= len(tensors):
            with torch.device("meta"):
                wanted = sum(
                    weight.numel() for weight in self.architecture(self.config).parameters()
                )
            if wanted <= 2 * sum(tensor.numel() for tensor in tensors.values()):
                return
        raise EncoderError(
            f"{self.files.name}: config.json describes a much larger model than the weights "
            "hold; get both from the same place"
        )
