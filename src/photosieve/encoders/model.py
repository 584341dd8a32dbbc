"""A model of the `transformers` library: told from its files, loaded and written without trust."""

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

from photosieve.encoders.files import SMALL_FILES, Checkpoint, first_line
from photosieve.encoders.protocol import Float32Array
from photosieve.errors import EncoderError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Side:
    """What models call one of their towers and all that belongs to it."""

    tower: str
    projection: str
    settings: str
    features: str


PHOTOS = Side("vision_model", "visual_projection", "vision_config", "get_image_features")
TEXTS = Side("text_model", "text_projection", "text_config", "get_text_features")


@contextmanager
def explained(name: str, part: str) -> Iterator[None]:
    """Turn whatever a library raises about a part of a model into a sentence."""
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
    """A model as its files describe it.

    Parameters
    ----------
    checkpoint : Checkpoint
        Its files.
    config : object
        What `transformers` makes of its config.json.
    kind : type
        Its class there.
    """

    checkpoint: Checkpoint
    config: Any
    kind: Any

    @classmethod
    def find(cls, checkpoint: Checkpoint) -> Model:
        """Tell which model it is; the weights are not read yet.

        Raises
        ------
        EncoderError
            If it does not put photos and texts into one space.
        """
        from transformers import MODEL_MAPPING, AutoConfig
        from transformers.utils import logging

        # What it would print is about training and about keys that are checked here anyway.
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        with explained(checkpoint.name, "config.json"):
            config = AutoConfig.from_pretrained(
                checkpoint.folder, trust_remote_code=False, local_files_only=True
            )
        kind = MODEL_MAPPING.get(type(config), None)
        if not all(hasattr(kind, side.features) for side in (PHOTOS, TEXTS)):
            raise EncoderError(
                f'{checkpoint.name} is a model of kind "{config.model_type}", which does not put '
                "photos and texts into one space; give a CLIP, ALIGN, SigLIP or similar model"
            )
        return cls(checkpoint, config, kind)

    @functools.cached_property
    def projections(self) -> dict[Side, Float32Array]:
        """The last layer of each tower, (p, d), where it is a plain matrix."""
        tensors, found = self.checkpoint.tensors(), {}
        for side in (PHOTOS, TEXTS):
            weight = tensors.get(f"{side.projection}.weight")
            if weight is not None and weight.ndim == 2 and f"{side.projection}.bias" not in tensors:
                found[side] = weight.float().numpy().T.copy()
        return found

    def key(self, side: Side) -> str:
        """Hash of all that decides what a tower gives, up to its plain projection.

        Models that differ in what is trained on top share it, and so their converted tower.
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
        digests = self.checkpoint.digests.items()
        weights = [item for item in digests if not item[0].startswith(tuple(left_out))]
        parts = [plain, settings, sorted(weights)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    def load(self, *sides: Side, attention: str | None = None) -> torch.nn.Module:
        """Load some of the towers in float32, on the processor; all their weights are given.

        Weights of a file in float32 stay where they are on the disk until they are looked at.

        Parameters
        ----------
        attention : str, optional
            How it is computed, as `transformers` calls it; the fastest that it knows by default.
        """
        import torch

        name, tensors = self.checkpoint.name, self.checkpoint.tensors()
        self._check_size(tensors)
        model, found = self.kind.from_pretrained(
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
            # It takes its mean with a window far larger than the map, which OpenVINO refuses.
            model.vision_model.pooler = torch.nn.AdaptiveAvgPool2d(1)
        loaded: torch.nn.Module = model.eval()
        return loaded

    def save(self, folder: Path, weights: Mapping[str, Float32Array]) -> Model:
        """Write the model into a folder, with some of its weights replaced.

        All is written in float32, whatever it came in: that is what training changes.

        Parameters
        ----------
        folder : Path
        weights : mapping of str to array
            By the name that `transformers` gives them.

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
            path = self.checkpoint.folder / name
            if name != "config.json" and path.exists():
                shutil.copyfile(path, folder / name)
        return Model.find(Checkpoint.find(str(folder)))

    def _check_size(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Refuse a configuration that asks for far more than the weights hold, before memory is."""
        import torch

        parts = (self.config.text_config, self.config.vision_config)
        if max(getattr(part, "num_hidden_layers", 0) for part in parts) <= len(tensors):
            with torch.device("meta"):
                wanted = sum(weight.numel() for weight in self.kind(self.config).parameters())
            if wanted <= 2 * sum(tensor.numel() for tensor in tensors.values()):
                return
        raise EncoderError(
            f"{self.checkpoint.name}: config.json describes a much larger model than the weights "
            "hold; get both from the same place"
        )
