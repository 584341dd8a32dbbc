"""Random two-layer models of each family, saved as the hub would give them, and photos."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoImageProcessor, AutoTokenizer

WORDS = ["a", "photo", "of", "red", "green", "blue", "kitchen", "garden", "sofa", "two", "chairs"]
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
PAD, EOS, BOS, UNK, _ = range(len(SPECIAL))
LENGTH = 32
SIDE = 32

SMALL = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
}  # fmt: skip
TEXT = SMALL | {
    "vocab_size": 64, "max_position_embeddings": LENGTH, "bos_token_id": BOS, "eos_token_id": EOS,
    "pad_token_id": PAD,
}  # fmt: skip
VISION = SMALL | {"hidden_size": 40, "image_size": SIDE, "patch_size": 8}
EFFICIENT = {
    "image_size": SIDE, "hidden_dim": 24, "kernel_sizes": [3, 3], "in_channels": [32, 16],
    "out_channels": [16, 24], "depthwise_padding": [], "strides": [1, 2],
    "num_block_repeats": [1, 1], "expand_ratios": [1, 2], "width_coefficient": 1.0,
    "depth_coefficient": 1.0,
}  # fmt: skip
SQUARE = {"height": SIDE, "width": SIDE}
CROPPED = {"size": {"shortest_edge": SIDE}, "crop_size": SQUARE}
ALIGN_PHOTOS = {
    "size": {"height": 40, "width": 40}, "crop_size": SQUARE, "do_center_crop": True,
    "rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False,
    "include_top": False,
}  # fmt: skip

# Of each family: the start of its classes' names, its configuration, and its image processor.
FAMILIES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "clip": ("CLIP", {"vision_config": VISION, "projection_dim": 24}, "CLIP", CROPPED),
    "align": (
        "Align", {"vision_config": EFFICIENT, "projection_dim": 24}, "EfficientNet", ALIGN_PHOTOS,
    ),
    "siglip": (
        "Siglip", {"vision_config": VISION | {"hidden_size": 32}}, "Siglip", {"size": SQUARE},
    ),
    "siglip2": (
        "Siglip2", {"vision_config": SMALL | {"patch_size": 8, "num_patches": 16}}, "Siglip2",
        {"patch_size": 8, "max_num_patches": 24},
    ),
    "chinese_clip": (
        "ChineseCLIP", {"vision_config": VISION, "projection_dim": 24}, "ChineseCLIP", CROPPED,
    ),
    "altclip": ("AltCLIP", {"vision_config": VISION, "projection_dim": 24}, "CLIP", CROPPED),
}  # fmt: skip
PADDED = {"siglip", "siglip2"}

QUERIES = ["red", "a photo of two blue chairs", "kitchen", "Green garden"]


@dataclass(frozen=True)
class Zoo:
    """A folder of saved models, and a folder of photos of different shapes."""

    folder: Path
    photos: list[Path]

    def path(self, family: str) -> Path:
        return self.folder / family

    def copy(self, family: str, to: Path) -> Path:
        return Path(shutil.copytree(self.path(family), to))


def save_tokenizer(family: str, folder: Path) -> None:
    if family == "siglip2":  # its class builds its own kind of tokenizer: one token a letter
        letters = [*SPECIAL, "▁", *"abcdefghijklmnopqrstuvwxyz"]
        vocabulary = {token: index for index, token in enumerate(letters)}
        # On the right as in the hub's models; the class by itself pads on the left.
        made: Any = transformers.Siglip2Tokenizer(
            vocabulary, [], model_max_length=LENGTH, padding_side="right"
        )
    else:
        vocabulary = {word: index for index, word in enumerate([*SPECIAL, *WORDS])}
        inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        inner.normalizer = normalizers.Lowercase()
        inner.pre_tokenizer = pre_tokenizers.Whitespace()
        inner.post_processor = processors.TemplateProcessing(
            single="<bos> $A <eos>", special_tokens=[("<bos>", BOS), ("<eos>", EOS)]
        )
        made = cast(Any, transformers.PreTrainedTokenizerFast)(
            tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>", model_max_length=LENGTH
        )
    made.save_pretrained(folder)


def save_model(family: str, folder: Path) -> None:
    stem, settings, processor, photos = FAMILIES[family]
    text = TEXT | {"project_dim": 20}  # only AltCLIP knows the last one
    config = getattr(transformers, f"{stem}Config")(text_config=text, **settings)
    torch.manual_seed(0)
    model = getattr(transformers, f"{stem}Model")(config)
    for name, weight in model.named_parameters():
        # As models start, all inputs look alike to them, and a bias would not be missed.
        if weight.ndim > 1 or "projection.bias" in name:
            torch.nn.init.normal_(weight, std=0.2)
    for part in model.modules():
        if isinstance(part, torch.nn.Embedding) and part.padding_idx is not None:
            part.weight.data[part.padding_idx] = 0  # as training leaves it
    model.save_pretrained(folder)
    save_tokenizer(family, folder)
    getattr(transformers, f"{processor}ImageProcessorPil")(**photos).save_pretrained(folder)


def build(folder: Path) -> Zoo:
    """Save a model of each family, and the photos."""
    cast(Any, transformers.utils.logging).disable_progress_bar()
    for family in FAMILIES:
        save_model(family, folder / family)
    rng = np.random.default_rng(0)
    photos = []
    for number, (width, height) in enumerate([(64, 48), (48, 64), (100, 40), (32, 32), (9, 70)]):
        noise = rng.normal(0, 40, (height, width, 3)) + rng.uniform(0, 255, 3)
        pixels = noise.clip(0, 255).astype(np.uint8)
        photos.append(folder / f"{number}.png")
        Image.fromarray(pixels).resize((width * 3, height * 3)).save(photos[-1])
    return Zoo(folder, photos)


def normalize(rows: torch.Tensor) -> NDArray[np.float32]:
    return cast(NDArray[np.float32], torch.nn.functional.normalize(rows, dim=-1).numpy())


@torch.no_grad()
def theirs(family: str, folder: Path, paths: list[Path]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Embeddings of photos and queries as the documentation of `transformers` gets them."""
    model = getattr(transformers, f"{FAMILIES[family][0]}Model").from_pretrained(folder).eval()
    processor = cast(Any, AutoImageProcessor).from_pretrained(folder, backend="pil")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    images = [Image.open(path).convert("RGB") for path in paths]
    photos = model.get_image_features(**processor(images=images, return_tensors="pt"))
    if family in PADDED:
        tokens = tokenizer(
            QUERIES, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
        )
        texts = model.get_text_features(input_ids=tokens["input_ids"])
    else:
        tokens = tokenizer(QUERIES, padding=True, return_tensors="pt")
        texts = model.get_text_features(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        )
    return normalize(photos.pooler_output), normalize(texts.pooler_output)
