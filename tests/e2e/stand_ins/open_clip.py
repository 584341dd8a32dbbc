"""As much of open_clip as docs/vectors.md uses, with a model that knows nothing.

The library itself would download weights.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image

SIDE, LENGTH, WIDTH = 8, 77, 32


class Model:
    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.image = torch.randn(3 * SIDE**2, WIDTH, generator=generator)
        self.text = torch.randn(LENGTH, WIDTH, generator=generator)

    def eval(self) -> "Model":
        return self

    def encode_image(self, image: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        return _scaled(image.flatten(1) @ self.image, normalize)

    def encode_text(self, text: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        return _scaled(text.float() @ self.text, normalize)


def create_model_and_transforms(
    model_name: str, pretrained: str
) -> tuple[Model, None, Callable[[Image.Image], torch.Tensor]]:
    assert (model_name, pretrained) == ("ViT-B-32", "laion2b_s34b_b79k")
    return Model(), None, _preprocess


def get_tokenizer(model_name: str) -> Callable[[Sequence[str]], torch.Tensor]:
    assert model_name == "ViT-B-32"
    return _tokens


def _preprocess(image: Image.Image) -> torch.Tensor:
    pixels = np.array(image.convert("RGB").resize((SIDE, SIDE)), np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1) / 255


def _tokens(texts: Sequence[str]) -> torch.Tensor:
    return torch.tensor([[*text.encode()[:LENGTH].ljust(LENGTH, b"\0")] for text in texts])


def _scaled(rows: torch.Tensor, normalize: bool) -> torch.Tensor:
    return torch.nn.functional.normalize(rows, dim=-1) if normalize else rows
