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
    limit = min(tokenizer.model_max_length, config.text_config.max_position_embeddings)
    return Tokens(tokenizer, limit, config.model_type in PADDED)


def load_preparation(
    files: ModelFiles, model_class: Any
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
    taken = inspect.signature(model_class.get_image_features).parameters
    wide, high = (
        processor(images=Image.new("RGB", size), return_tensors="np")
        for size in ((640, 480), (480, 640))
    )
    names = tuple(name for name in wide if name in taken)
    if any(wide[name].shape != high[name].shape for name in names):
        raise EncoderError(
            f"{files.name} wants each photo in a size of its own, which photosieve does not "
            "support; set do_center_crop in its preprocessor_config.json, or choose another"
        )

    def prepare(photo: Image.Image) -> Arrays:
        found = processor(images=photo, return_tensors="np")
        return tuple(found[name] for name in names)

    return names, prepare
