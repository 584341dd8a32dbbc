"""Models of the hub in integers: the same answers nearly, kept apart from those in float32."""

from pathlib import Path

import numpy as np
import pytest
import torch

from photosieve.data.dataset import Dataset
from photosieve.encoders import export_encoder, in_precision, load_encoder
from photosieve.encoders.blocks.opening import open_blocks
from photosieve.encoders.embedding import embed_photos, embed_texts
from photosieve.encoders.int8_linear import _limit, quantize_linear
from photosieve.errors import EncoderError
from photosieve.index.index import Index
from photosieve.sieve.sieve import Sieve
from tests.zoo import QUERIES, Zoo

pytestmark = pytest.mark.usefixtures("tower_cache")


def test_linear_layers_are_rounded_to_the_range_of_their_inputs() -> None:
    torch.manual_seed(0)
    tower = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.GELU(), torch.nn.Linear(32, 8))
    x = torch.randn(200, 16)
    with torch.no_grad():
        exact = tower(x)
        quantize_linear(tower, [(x,)])
        found = tower(x)
    assert not torch.equal(found, exact)
    assert torch.nn.functional.cosine_similarity(found, exact).min() > 0.99


def test_values_that_differ_in_their_last_digit_have_the_same_levels() -> None:
    assert _limit(5.000001) == _limit(5.0) == pytest.approx(5.187, abs=1e-3)
    assert _limit(0.0) == 0.0
    assert all(x <= _limit(x) <= 1.1 * x for x in (1e-3, 0.7, 1.0, 3.2, 800.0))


@pytest.mark.parametrize(
    ("name", "precision", "expected"),
    [
        ("starter", "float32", "starter-float32"),
        ("starter-small-float32", "int8", "starter-small"),
        ("starter", "int8", "starter"),
        ("openai/clip-vit-base-patch32", "int8", "openai/clip-vit-base-patch32:int8"),
        ("models/clip:int8", "int8", "models/clip:int8"),
        ("models/clip:int8", "float32", "models/clip"),
    ],
)
def test_an_encoder_has_a_name_in_each_format(name: str, precision: str, expected: str) -> None:
    assert in_precision(name, precision) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("family", ["clip", pytest.param("siglip", marks=pytest.mark.long)])
def test_integers_give_nearly_the_same_photos_and_the_same_texts(zoo: Zoo, family: str) -> None:
    name = str(zoo.path(family))
    exact, int8 = load_encoder(name), load_encoder(f"{name}:int8")
    assert int8.name == f"{name}:int8"
    assert int8.fingerprint != exact.fingerprint
    assert int8.trunk_fingerprint != exact.trunk_fingerprint
    photos = [embed_photos(encoder, zoo.photos).features for encoder in (exact, int8)]
    cosines = (photos[0] * photos[1]).sum(1)
    assert 0.98 < cosines.min() < 0.99999
    np.testing.assert_array_equal(embed_texts(exact, QUERIES), embed_texts(int8, QUERIES))


def test_a_sieve_keeps_its_format(zoo: Zoo, listings: Path, tmp_path: Path) -> None:
    """Through all that a sieve is for: train, save, load, search, index, tune again."""
    model, train = str(zoo.path("clip")), Dataset.load(listings / "train")
    sieve = Sieve.fit(train, f"{model}:int8", recipe="probe")
    sieve.save(tmp_path / "sieve")
    saved = Sieve.load(tmp_path / "sieve")
    assert saved.encoder.name == f"{model}:int8"
    assert "8-bit integers" in (tmp_path / "sieve" / "README.md").read_text("utf-8")
    building = next(path for path in sorted((listings / "test").iterdir()) if path.is_dir())
    found = [one.search("kitchen", building).hits for one in (sieve, saved)]
    assert [hit.path for hit in found[0]] == [hit.path for hit in found[1]]
    np.testing.assert_allclose(
        embed_photos(sieve.encoder, zoo.photos).features,
        embed_photos(saved.encoder, zoo.photos).features,
        atol=1e-6,
    )
    index = Index(tmp_path / "index")
    index.update(tmp_path / "sieve", building)
    assert [hit.path for hit in index.search("kitchen").hits] == [hit.path for hit in found[1]]
    again = saved.retune(train, "recall>=0.9")
    assert again.encoder.fingerprint == saved.encoder.fingerprint


def test_a_sieve_does_not_take_the_model_in_another_format(zoo: Zoo, tmp_path: Path) -> None:
    encoder = load_encoder(f"{zoo.path('clip')}:int8")
    exported = export_encoder(encoder, tmp_path / "model")
    assert exported.name == encoder.name
    assert exported.fingerprint != load_encoder(str(tmp_path / "model")).fingerprint
    assert exported.trunk_fingerprint == encoder.trunk_fingerprint


def test_blocks_cannot_be_trained_in_integers(zoo: Zoo) -> None:
    encoder = load_encoder(f"{zoo.path('clip')}:int8")
    with pytest.raises(EncoderError, match="float32"):
        open_blocks(encoder, 1, 0, trains_text=False)


def test_a_tower_without_linear_layers_is_refused(zoo: Zoo) -> None:
    with pytest.raises(EncoderError, match="no linear layers"):
        load_encoder(f"{zoo.path('align')}:int8")
