"""Models of real size beside the small starter: parameters, memory, photos a CPU second.

    python benchmarks/models.py [--only NAME...]

Takes five minutes.

Hubs cannot be reached from everywhere, and speed does not depend on what weights are worth: each
model is made here, of its own published size, with random weights, saved, and loaded as one from
the hub would be. Each is timed in turn with the small starter, on the same photos.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, cast

import torch
import transformers

from machine import Row, table, timed, write
from photosieve.encoders import STARTERS, load_encoder
from photosieve.encoders.efficientnet import build_image_tower
from photosieve.encoders.embedding import embed_photos
from photosieve.encoders.starter import NETWORKS, build_text_tower
from training import END, ROOT, START, save_tokenizer

PHOTOS, ROUNDS = 24, 3

LARGE = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
    "num_attention_heads": 16,
}  # fmt: skip
LARGE_14 = LARGE | {"patch_size": 14}

# Of each model: the start of its classes' names, and what of its configuration is not the default.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai/clip-vit-base-patch32": ("CLIP", {}),
    "openai/clip-vit-base-patch16": ("CLIP", {"vision_config": {"patch_size": 16}}),
    "openai/clip-vit-large-patch14": (
        "CLIP",
        {
            "vision_config": LARGE_14,
            "text_config": {
                "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12,
            },
            "projection_dim": 768,
        },
    ),
    "google/siglip-base-patch16-224": ("Siglip", {}),
    "google/siglip2-base-patch16-224": ("Siglip", {"text_config": {"vocab_size": 256_000}}),
    "kakaobrain/align-base": ("Align", {"vision_config": {"image_size": 289}}),
    "OFA-Sys/chinese-clip-vit-base-patch16": (
        "ChineseCLIP", {"vision_config": {"patch_size": 16}, "text_config": {"vocab_size": 21_128}},
    ),
    "BAAI/AltCLIP": (
        "AltCLIP", {"vision_config": LARGE_14, "projection_dim": 768},
    ),
}  # fmt: skip


def main() -> None:
    """Print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=tuple(MODELS))
    chosen = parser.parse_args().only
    cast(Any, transformers.utils.logging).disable_progress_bar()
    photos = sorted((ROOT / "samples").rglob("*.jpg"))[:PHOTOS]
    starter = load_encoder("starter-small")
    embed_photos(starter, photos[:2])

    rows = [row(name, count(build_image_tower(NETWORKS[name])) + count(build_text_tower()))
            for name in STARTERS]  # fmt: skip
    for name in chosen:
        with tempfile.TemporaryDirectory() as scratch:
            # What is converted goes with the model: gigabytes that nobody will ask for again.
            os.environ["XDG_CACHE_HOME"] = f"{scratch}/cache"
            parameters = make(name, Path(scratch))
            encoder = load_encoder(scratch)
            embed_photos(encoder, photos[:2])  # converts the tower
            rates = [
                (
                    rate(photos, lambda: embed_photos(encoder, photos)),  # noqa: B023  # at once
                    rate(photos, lambda: embed_photos(starter, photos)),
                )
                for _ in range(ROUNDS)
            ]
        ours, theirs = (median(column) for column in zip(*rates, strict=True))
        ratio = median(a / b for a, b in rates)
        rows.append(row(name, parameters, f"{ours:.1f}", f"{theirs:.1f}", f"{ratio:.2f}"))
        print(name, file=sys.stderr)
    print(table(rows))
    write("models", {"models": rows})


def rate(photos: Sequence[Path], call: Callable[[], object]) -> float:
    """Photos a CPU second."""
    return len(photos) / timed(call).cpu


def row(name: str, parameters: int, ours: str = "", starter: str = "", ratio: str = "") -> Row:
    """Return what is known of a model; no starter is compared with itself."""
    return {
        "model": f"`{name}`",
        "million parameters": f"{parameters / 1e6:.0f}",
        "GB in float32": f"{parameters * 4 / 1e9:.2f}",
        "photos a CPU second": ours,
        "`starter-small`": starter,
        "ratio": ratio,
    }


def make(name: str, folder: Path) -> int:
    """Save a model of the size that a name has on the hub; return its number of parameters."""
    stem, settings = MODELS[name]
    config = getattr(transformers, f"{stem}Config")(**settings)
    torch.manual_seed(0)
    model = getattr(transformers, f"{stem}Model")(config)
    model.save_pretrained(folder)
    ends = (START, END) if stem == "CLIP" else (1000, 1001)
    save_tokenizer(folder, ["kitchen", "sofa"], ends, length=64)
    processor(stem).save_pretrained(folder)
    return count(model)


def count(model: torch.nn.Module) -> int:
    """Count the parameters."""
    return sum(weight.numel() for weight in model.parameters())


def processor(stem: str) -> Any:
    """Return what prepares photos, with the sizes that the hub's models have."""
    if stem == "Align":
        return cast(Any, transformers.EfficientNetImageProcessorPil)(
            size={"height": 346, "width": 346},
            crop_size={"height": 289, "width": 289},
            do_center_crop=True,
            rescale_factor=1 / 127.5,
            rescale_offset=True,
            do_normalize=False,
            include_top=False,
        )
    kind = "CLIP" if stem == "AltCLIP" else stem
    return getattr(transformers, f"{kind}ImageProcessorPil")()


if __name__ == "__main__":
    main()
