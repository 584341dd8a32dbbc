"""A sieve with a model inside answers in words without opening the model."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photosieve.data.dataset import Dataset
from photosieve.encoders import export_encoder
from photosieve.encoders.blocks.opening import open_blocks
from photosieve.encoders.embedding import embed_photos, embed_texts
from photosieve.encoders.hub import load_hub
from photosieve.encoders.stored import StoredEncoder
from photosieve.errors import SieveError
from photosieve.sieve.sieve import Sieve
from photosieve.storage import cache_folder
from photosieve.training.features import prepare
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run
from tests.zoo import Zoo

pytestmark = pytest.mark.usefixtures("tower_cache")

WORDS = ("red", "A Garden with Walls", "sofa -window", "red|blue", "K\u00fcche \u53a8\u623f")


@pytest.fixture(scope="module", params=["clip", "siglip"])
def saved(
    request: pytest.FixtureRequest,
    zoo: Zoo,
    listings: Path,
    tmp_path_factory: pytest.TempPathFactory,
    tower_cache: None,  # noqa: ARG001
) -> Path:
    """The folder of a sieve of a small model, its projections trained."""
    folder = tmp_path_factory.mktemp("stored") / str(request.param)
    encoder = load_hub(str(zoo.path(request.param)))
    data = prepare(encoder, Dataset.load(listings / "train"))
    recipe = get_recipe("projection", {"epochs": "2"})
    fitted = Sieve.fit_prepared(encoder, data, Run(recipe), words=False)
    fitted.save(folder)
    # What photos are made of is the same for every head.
    again = Sieve.load(folder)
    assert again.encoder.trunk_fingerprint == encoder.trunk_fingerprint
    assert again.encoder.fingerprint != encoder.fingerprint
    return folder


def vectors(folder: Path) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], list[str]]:
    """Vectors of words in a process of its own, and which heavy modules that loaded."""
    code = f"""
import json, sys
from photosieve.sieve.sieve import Sieve
from photosieve.training.run import Run
scorer = Sieve.load({str(folder)!r}).scorer
found = [reading.vector.tolist() for word in {WORDS!r} for reading in scorer.read(word)]
print(json.dumps([found, [name for name in ("torch", "transformers") if name in sys.modules]]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found, heavy = json.loads(done.stdout)
    return np.array(found, np.float32), heavy


def test_the_second_process_opens_no_model(zoo: Zoo, saved: Path) -> None:
    for file in cache_folder().glob("texts-*.json"):
        file.unlink()
    slow, heavy = vectors(saved)
    assert heavy == ["torch", "transformers"]
    quick, heavy = vectors(saved)
    assert heavy == []
    assert np.array_equal(quick, slow)
    # An altered weights file does not change what was made of the right one.
    weights = saved / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    try:
        assert np.array_equal(vectors(saved)[0], slow)
        with pytest.raises(SieveError, match="the file was altered"):
            embed_photos(Sieve.load(saved).encoder, zoo.photos)
    finally:
        weights.write_bytes(content)


@pytest.mark.long
@pytest.mark.parametrize("damage", ["no notes", "empty notes", "other notes", "no tower"])
def test_a_damaged_cache_is_made_again(saved: Path, damage: str) -> None:
    wanted = embed_texts(Sieve.load(saved).encoder, ["red"])
    (notes,) = [f for f in cache_folder().glob("texts-*.json") if _belongs(f, saved)]
    if damage == "no tower":
        shutil.rmtree(cache_folder() / json.loads(notes.read_text())["tower_name"])
    elif damage == "no notes":
        notes.unlink()
    elif damage == "other notes":  # of a byte that a disk has changed, still JSON
        notes.write_text(notes.read_text().replace('"limit": ', '"limit": 1', 1))
    else:
        notes.write_text("{")
    again = Sieve.load(saved).encoder
    assert np.array_equal(embed_texts(again, ["red"]), wanted)
    assert isinstance(again, StoredEncoder)
    assert "model" in vars(again)
    third = Sieve.load(saved).encoder
    assert np.array_equal(embed_texts(third, ["red"]), wanted)
    assert "model" not in vars(third)


def _belongs(notes: Path, folder: Path) -> bool:
    encoder = Sieve.load(folder).encoder
    assert isinstance(encoder, StoredEncoder)
    return notes.name == f"texts-{encoder.key[:16]}.json"


def test_long_texts_are_named(saved: Path) -> None:
    encoder = Sieve.load(saved).encoder
    embed_texts(encoder, ["red"])
    for model in (encoder, Sieve.load(saved).encoder):  # slow, perhaps, and quick
        with pytest.warns(UserWarning, match=r'"sofa sofa .* is longer than the \d+ tokens'):
            embed_texts(model, ["red", "sofa " * 300])


def test_everything_else_opens_the_model(saved: Path, zoo: Zoo, tmp_path: Path) -> None:
    encoder = Sieve.load(saved).encoder
    assert isinstance(encoder, StoredEncoder)
    assert "model" not in vars(encoder)
    found = embed_photos(encoder, zoo.photos).features
    assert found.shape[0] == len(zoo.photos)
    assert encoder.with_head(encoder.head).fingerprint == encoder.fingerprint
    assert open_blocks(encoder, 0, 0, trains_text=True).name == encoder.name
    streamed = list(encoder.stream(zoo.photos[:2], lambda path: [_open(path)], _never))
    np.testing.assert_allclose(
        encoder.head.project_photos(np.concatenate([rows for _, rows in streamed])),
        found[:2],
        atol=1e-6,
    )
    assert export_encoder(encoder, tmp_path).name == encoder.name


def _open(path: Path) -> Image.Image:
    from photosieve.data.photos import decode

    return decode(path)


def _never(item: object, other: object) -> None:
    raise AssertionError((item, other))
