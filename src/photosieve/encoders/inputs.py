"""Inputs of a hub model's towers: photos through its own image processor, texts as its tokens."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photosieve.encoders.files import ModelFiles
from photosieve.errors import EncoderError

Arrays = tuple[NDArray[Any], ...]

HUB_INPUTS_VERSION = 1
"""Raise it when pixels or tokens are prepared differently: older cuts are then refused."""

PADDED = ("siglip", "siglip2")
"""Families that were trained on texts padded to full length, and read the padding as words."""


@dataclass(frozen=True)
class Tokens:
    """Turns texts into the text tower's inputs.

    Parameters
    ----------
    tokenizer : object
        The model's own tokenizer.
    limit : int
        How many tokens the model reads.
    padded : bool
        Whether the model belongs to one of the families in `PADDED`.
    """

    tokenizer: Any
    limit: int
    padded: bool

    def __call__(self, texts: Sequence[str]) -> Arrays:
        """Return token ids, (m, t), and except for `PADDED` families the mask of real tokens."""
        padding = "max_length" if self.padded else "longest"
        found = self.tokenizer(
            self._written(texts), padding=padding, truncation=True, max_length=self.limit
        )
        ids = np.array(found["input_ids"], np.int64)
        return (ids,) if self.padded else (ids, np.array(found["attention_mask"], np.int64))

    def warn_of_long(self, texts: Sequence[str]) -> None:
        """Warn, once, when texts are longer than the model reads."""
        if not texts:
            return
        found = self.tokenizer(self._written(texts), verbose=False)["input_ids"]
        long = [text for text, ids in zip(texts, found, strict=True) if len(ids) > self.limit]
        warn_of_long(long, self.limit)

    def _written(self, texts: Sequence[str]) -> list[str]:
        # These families were trained on lower case, but some of their tokenizers keep capitals.
        return [text.lower() if self.padded else text for text in texts]


def warn_of_long(texts: Sequence[str], limit: int) -> None:
    """Warn, once, of texts with more tokens than a model reads, if there are any."""
    if texts:
        others = f" and {len(texts) - 1} more" if len(texts) > 1 else ""
        warnings.warn(
            f'the text "{texts[0][:60]}..."{others} is longer than the {limit} tokens '
            "that the model reads; the rest is left out",
            stacklevel=4,
        )


def load_tokens(files: ModelFiles, config: Any) -> Tokens:
    """Load a model's tokenizer; `config` is the model's configuration."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    # SigLIP's own class needs one more library; its tokenizer.json gives the same tokens.
    ready = config.model_type == "siglip" and (files.folder / "tokenizer.json").exists()
    tokenizer = (PreTrainedTokenizerFast if ready else AutoTokenizer).from_pretrained(
        files.folder, trust_remote_code=False, local_files_only=True
    )
    # Text towers read from the left, and give a text another vector where padding comes first.
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    padded = config.model_type in PADDED
    if tokenizer.pad_token is None:
        # Padding is masked, so that any token will do; these families read it, and it would not.
        other = None if padded else tokenizer.eos_token or tokenizer.unk_token
        if other is None:
            raise EncoderError(
                f"{files.name}: the tokenizer has no pad_token; name it in tokenizer_config.json"
            )
        tokenizer.pad_token = other
    limit = min(tokenizer.model_max_length, config.text_config.max_position_embeddings)
    return Tokens(tokenizer, limit, padded)


def load_preparation(
    files: ModelFiles, config: Any, model_class: Any
) -> tuple[tuple[str, ...], Callable[[Image.Image], Arrays]]:
    """Load a model's image processor, in its Pillow form.

    Returns
    -------
    names : tuple of str
        The image tower's inputs.
    prepare : callable
        Makes them of one photo, each (1, ...).
    """
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
        files.folder, backend="pil", trust_remote_code=False, local_files_only=True
    )
    if 0 in np.ravel(getattr(processor, "image_std", 1)):
        raise EncoderError(
            f"{files.name}: preprocessor_config.json divides pixels by an image_std of 0; "
            "get the file again"
        )
    taken = inspect.signature(model_class.get_image_features).parameters
    with np.errstate(all="ignore"):  # what comes out is looked at
        wide, high = (
            processor(images=Image.new("RGB", size, "gray"), return_tensors="np")
            for size in ((640, 480), (480, 640))
        )
    names = tuple(name for name in wide if name in taken)
    if any(wide[name].shape != high[name].shape for name in names):
        raise EncoderError(
            f"{files.name} wants each photo in a size of its own, which photosieve does not "
            "support; set do_center_crop in its preprocessor_config.json, or choose another"
        )

    _check_side(files, config, wide["pixel_values"])

    def prepare(photo: Image.Image) -> Arrays:
        found = processor(images=photo, return_tensors="np")
        return tuple(found[name] for name in names)

    return names, prepare


def _check_side(files: ModelFiles, config: Any, pixels: NDArray[Any]) -> None:
    """Refuse photos of another size than the model reads, or with pixels that are no numbers."""
    if not np.isfinite(pixels).all():
        raise EncoderError(
            f"{files.name}: preprocessor_config.json makes pixels that are no numbers; "
            "get the file again"
        )
    settings = config.vision_config
    # Models without patches, such as ALIGN, and those that count patches read any size.
    side = getattr(settings, "image_size", None) if hasattr(settings, "patch_size") else None
    wanted = (side, side) if isinstance(side, int) else side
    if wanted and pixels.shape[-2:] != tuple(wanted):
        made, read = (" x ".join(map(str, size)) for size in (pixels.shape[-2:], wanted))
        raise EncoderError(
            f"{files.name}: preprocessor_config.json makes photos of {made} pixels, and the model "
            f"reads {read}; take both files from the same place"
        )
