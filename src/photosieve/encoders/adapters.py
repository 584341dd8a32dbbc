"""PEFT adapters: small changes to another model, merged into it once.

The merged model lies in the folder of caches, in the ordinary form of `transformers`.
https://huggingface.co/docs/peft
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photosieve import cache, storage
from photosieve.encoders.files import ADAPTER_CONFIG, SMALL_FILES, ModelFiles
from photosieve.encoders.model import PHOTOS, TEXTS, Model, model_errors
from photosieve.encoders.weights import check_finite, read_weights
from photosieve.errors import EncoderError

if TYPE_CHECKING:
    import torch


def merge(adapter: ModelFiles) -> ModelFiles:
    """Return the files of the model that an adapter was made for, with the adapter in its weights.

    Raises
    ------
    EncoderError
        If there is no such model, or the adapter does not fit it.
    """
    settings = json.loads((adapter.folder / ADAPTER_CONFIG).read_text("utf-8"))
    name = settings.get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise EncoderError(
            f"{adapter.name} is an adapter, and its {ADAPTER_CONFIG} does not say for which model; "
            "write the model's folder or hub id as base_model_name_or_path"
        )
    try:
        base = ModelFiles.find(name)
    except EncoderError as error:
        raise EncoderError(f"{adapter.name} is an adapter for another model: {error}") from error
    if base.is_adapter:
        raise EncoderError(f"{adapter.name} is an adapter for an adapter, {name}; merge that first")
    state = read_weights([adapter.folder / adapter.adapter_weights])
    for key, tensor in state.items():
        check_finite(key, tensor)
    inputs = [path for name in SMALL_FILES if (path := adapter.folder / name).exists()]
    digest = hashlib.sha256(base.fingerprint.encode())
    for path in (
        adapter.folder / ADAPTER_CONFIG,
        adapter.folder / adapter.adapter_weights,
        *inputs,
    ):
        digest.update(path.name.encode() + path.read_bytes())
    folder = storage.cache_folder() / f"merged-{digest.hexdigest()[:16]}"
    if not folder.is_dir():
        with model_errors(adapter.name, "the adapter"):
            model = _merged(Model.find(base).load(PHOTOS, TEXTS), adapter.folder, state)
        try:
            with storage.draft_folder(folder) as draft:
                model.save_pretrained(draft)
                for path in (*(base.folder / name for name in SMALL_FILES), *inputs):
                    if path.name != "config.json" and path.exists():
                        shutil.copyfile(path, draft / path.name)
        except OSError as error:
            raise EncoderError(
                f"{adapter.name}: the merged model cannot be written to {folder} "
                f"({error.strerror}); make room, or name another folder in {storage.CACHE}"
            ) from error
        cache.hold(folder)
        cache.trim()
    cache.hold(folder)
    return ModelFiles(adapter.name, folder)


def _merged(model: Any, folder: Path, state: Mapping[str, torch.Tensor]) -> Any:
    """Put an adapter into a model's weights."""
    from peft import (
        PeftConfig,
        get_peft_model,
        get_peft_model_state_dict,
        set_peft_model_state_dict,
    )

    config: Any = PeftConfig.from_pretrained(str(folder))
    ranks = (getattr(config, "r", 0), *(getattr(config, "rank_pattern", None) or {}).values())
    most = max((size for tensor in state.values() for size in tensor.shape), default=0)
    if max(ranks) > most:  # before memory is reserved for it
        raise EncoderError(f"{folder / ADAPTER_CONFIG} has a rank of {max(ranks)}, above {most}")
    config.inference_mode = True
    with warnings.catch_warnings(action="ignore"):  # about what is new in transformers
        adapted: Any = get_peft_model(model, config)
    wanted = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))  # asks no hub
    if wrong := sorted(wanted ^ set(state)):
        verb = "lacks" if wrong[0] in wanted else "has"
        raise EncoderError(
            f"{folder} does not fit the model that its {ADAPTER_CONFIG} names: it {verb} {wrong[0]}"
        )
    set_peft_model_state_dict(adapted, dict(state))
    return adapted.merge_and_unload(safe_merge=True)
