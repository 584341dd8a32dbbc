"""Image towers in integers: calibrated without photos, and within what all processors can add."""

import pytest
import torch

from photosieve.encoders.efficientnet import EfficientNetLite, build_image_tower
from photosieve.encoders.quantized import Int8Convolution, Spread

LARGEST_SUM = 2**15 - 1
"""Of the numbers of 16 bits in which processors without VNNI add two products."""


def test_the_mean_after_clipping_is_that_of_many_draws() -> None:
    spread = Spread(torch.tensor([-1.0, 0.5, 5.0]), torch.tensor([0.25, 4.0, 9.0]))
    torch.manual_seed(0)
    draws = spread.mean + spread.variance.sqrt() * torch.randn(200_000, 3)
    found = spread.mean_after_relu6()
    torch.testing.assert_close(found, draws.clamp(0, 6).mean(0), atol=0.02, rtol=0)


def test_values_within_four_deviations_are_not_clipped() -> None:
    spread = Spread(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 4.0]))
    assert spread.range() == (-7.0, 9.0)


@pytest.mark.long
def test_no_two_products_are_too_large_for_any_processor() -> None:
    tower = build_image_tower((EfficientNetLite(0, 384, int8=True),))
    found = [layer for layer in tower.modules() if isinstance(layer, Int8Convolution)]
    assert len(found) == 47  # all but the first two
    for layer in found:
        alone = layer.convolution.groups > 1  # then products are not added in pairs
        reached = min(255, round(6 / layer.step)) if layer.zero == 0 else 255
        assert layer.largest in (63, 127)
        assert alone or 2 * reached * layer.largest <= LARGEST_SUM


def test_rounding_moves_no_channel_in_the_mean() -> None:
    """Of inputs with the mean that was told, as rounding errors of weights are subtracted."""
    from efficientnet_lite_pytorch.utils import Conv2dStaticSamePadding

    torch.manual_seed(0)
    plain = Conv2dStaticSamePadding(64, 8, kernel_size=1, image_size=4)
    x = torch.rand(500, 64, 4, 4) * 6
    with torch.no_grad():
        exact = plain(x)
        rounded = Int8Convolution(plain, x.mean((0, 2, 3)).double(), 0.0, 6.0, bits=4)(x)
    moved = (rounded - exact).mean((0, 2, 3)).abs()
    assert (rounded - exact).abs().mean() > 0.05  # 4 bits are few
    assert moved.max() < 0.01
