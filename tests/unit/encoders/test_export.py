"""Models with what was trained in them: written as `transformers` reads them, inside of a sieve."""

import base64
import functools
import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from safetensors.torch import load_file, save_file

from photosieve.data.dataset import Dataset
from photosieve.encoders import export_encoder, license_of, load_encoder
from photosieve.encoders.blocks.opening import open_blocks
from photosieve.encoders.embedding import embed_photos, embed_texts
from photosieve.encoders.head import LinearHead
from photosieve.encoders.hub import HubEncoder, load_hub
from photosieve.encoders.prompts import BARE, with_prompts
from photosieve.encoders.protocol import Encoder, Float32Array
from photosieve.errors import SieveError, UsageError
from photosieve.sieve.sieve import Sieve
from photosieve.storage import cache_folder
from photosieve.training.features import prepare
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run
from tests.zoo import FAMILIES, QUERIES, Zoo, theirs

pytestmark = pytest.mark.usefixtures("tower_cache")

ALL = -1
TRAINED = replace(get_recipe("balanced"), blocks=1, epochs=2, learning_rate=1e-3)


@functools.cache
def plain_model(path: Path) -> HubEncoder:
    return load_hub(str(path))


def moved(encoder: Encoder, seed: int = 0) -> Encoder:
    """The encoder with noise in all that training may change."""
    rng = np.random.default_rng(seed)

    def noisy(array: Float32Array) -> Float32Array:
        return (array + rng.normal(0, 0.05, array.shape)).astype(np.float32)

    arrays = encoder.head.arrays()
    return encoder.with_head(
        encoder.head.with_arrays(
            {name: array if "mean" in name else noisy(array) for name, array in arrays.items()}
        )
    )


def embeddings(encoder: Encoder, zoo: Zoo) -> tuple[Float32Array, Float32Array]:
    return embed_photos(encoder, zoo.photos).features, embed_texts(encoder, QUERIES)


@pytest.mark.parametrize("way", ["last block", "everything", "LoRA"])
@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_loads_what_was_trained(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, way: str
) -> None:
    checks_loading = (family, way) == ("altclip", "last block")
    if not checks_loading:  # then there is nothing to convert
        monkeypatch.setitem(sys.modules, "openvino", None)
    plain = plain_model(zoo.path(family))
    blocks, lora_rank = {"last block": (1, 0), "everything": (ALL, 0), "LoRA": (0, 2)}[way]
    trained = moved(open_blocks(plain, blocks, lora_rank, trains_text=True))
    photos, texts = embeddings(trained, zoo)
    before, _ = embeddings(plain, zoo)
    saved = export_encoder(trained, tmp_path)
    for ours, wanted in zip((photos, texts), theirs(family, tmp_path, zoo.photos), strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-5)
    # ALIGN has attention in its text tower alone.
    assert np.allclose(photos, before, atol=1e-4) == (family == "align" and way == "LoRA")
    if checks_loading:
        again = load_encoder(plain.name, tmp_path)
        assert saved.name == again.name == plain.name
        assert saved.fingerprint == again.fingerprint != plain.fingerprint
        assert isinstance(saved.head, LinearHead)
        for ours, wanted in zip((photos, texts), embeddings(saved, zoo), strict=True):
            np.testing.assert_allclose(ours, wanted, atol=1e-5)


@pytest.mark.parametrize("family", ["clip", "align", "siglip", "altclip"])
def test_a_head_becomes_part_of_the_model_where_it_can(
    zoo: Zoo, tmp_path: Path, family: str
) -> None:
    plain = load_hub(str(zoo.path(family)))
    trained = moved(plain)
    photos, texts = embeddings(trained, zoo)
    # What lies below the head is the same, and is not converted again.
    towers = set(cache_folder().glob("hub-*"))
    saved = export_encoder(trained, tmp_path)
    again = load_encoder(plain.name, tmp_path)
    assert again.with_head(saved.head).fingerprint == saved.fingerprint
    for encoder in (saved, again.with_head(saved.head)):
        for ours, wanted in zip((photos, texts), embeddings(encoder, zoo), strict=True):
            np.testing.assert_allclose(ours, wanted, atol=1e-5)
    assert set(cache_folder().glob("hub-*")) == towers
    standard, _ = theirs(family, tmp_path, zoo.photos)
    folded = family in ("clip", "altclip")
    assert np.allclose(standard, photos, atol=1e-5) == folded
    assert (again.head.fingerprint() == saved.head.fingerprint()) == folded


def test_the_rest_of_the_model_stays(zoo: Zoo, tmp_path: Path) -> None:
    trained = moved(open_blocks(plain_model(zoo.path("clip")), 1, 0, trains_text=False))
    export_encoder(trained, tmp_path)
    before = load_file(zoo.path("clip") / "model.safetensors")
    after = load_file(tmp_path / "model.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == trained.head.arrays().keys()
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        assert (tmp_path / name).read_bytes() == (zoo.path("clip") / name).read_bytes()


def test_a_model_in_half_precision_is_written_in_full(zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    save_file({name: w.half() for name, w in weights.items()}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    trained = moved(open_blocks(load_hub(str(folder)), 1, 0, trains_text=True))
    (tmp_path / "out").mkdir()
    export_encoder(trained, tmp_path / "out")
    photos, _ = theirs("clip", tmp_path / "out", zoo.photos)
    np.testing.assert_allclose(embeddings(trained, zoo)[0], photos, atol=1e-5)


# Sieves with a model inside.


def fit(model: Path, listings: Path) -> Sieve:
    encoder = open_blocks(plain_model(model), 1, 0, trains_text=False)
    data = prepare(encoder, Dataset.load(listings / "train"), more_views=True)
    return Sieve.fit_prepared(encoder, data, Run(TRAINED), words=False)


@pytest.fixture(scope="module")
def fitted(zoo: Zoo, listings: Path, tower_cache: None) -> Sieve:  # noqa: ARG001
    return fit(zoo.path("clip"), listings)


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_a_sieve_brings_its_model_along(
    zoo: Zoo, listings: Path, tmp_path: Path, family: str
) -> None:
    model = zoo.copy(family, tmp_path / "model")
    (model / "README.md").write_text("---\nlicense: mit\n---\n")
    sieve = fit(model, listings)
    sieve.save(tmp_path / "sieve")
    (model / "README.md").unlink()
    (tmp_path / "sieve").rename(tmp_path / "elsewhere")
    again = Sieve.load(tmp_path / "elsewhere")
    assert again.encoder.name == str(model)
    house = listings / "test" / "house-8"
    found, wanted = again.search("red", house, top=6).hits, sieve.search("red", house, top=6).hits
    assert [hit.path for hit in found] == [hit.path for hit in wanted]
    np.testing.assert_allclose(
        [hit.score for hit in found], [hit.score for hit in wanted], atol=1e-5
    )
    photos, _ = theirs(family, tmp_path / "elsewhere", zoo.photos)
    np.testing.assert_allclose(embed_photos(again.encoder, zoo.photos).features, photos, atol=1e-5)
    assert license_of(again.encoder) == "mit"  # kept in the sieve
    again.save(tmp_path / "elsewhere")  # over itself, and its model
    third = Sieve.load(tmp_path / "elsewhere")
    assert third.encoder.fingerprint == again.encoder.fingerprint
    assert (tmp_path / "elsewhere" / "model.safetensors").stat().st_mode & 0o044 == (
        (tmp_path / "elsewhere" / "sieve.json").stat().st_mode & 0o044
    )


def test_a_sieve_from_before_there_were_cards(fitted: Sieve, tmp_path: Path) -> None:
    fitted.save(tmp_path / "sieve")
    (tmp_path / "sieve" / "README.md").unlink()
    manifest = json.loads((tmp_path / "sieve" / "sieve.json").read_text("utf-8"))
    del manifest["license"]
    (tmp_path / "sieve" / "sieve.json").write_text(json.dumps(manifest), "utf-8")
    loaded = Sieve.load(tmp_path / "sieve")
    assert license_of(loaded.encoder) == ""
    loaded.save(tmp_path / "sieve")
    assert "not known here" in (tmp_path / "sieve" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_model_that_was_altered_is_refused(
    zoo: Zoo, fitted: Sieve, tmp_path: Path, name: str
) -> None:
    fitted.save(tmp_path / "sieve")
    path = tmp_path / "sieve" / name
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    with pytest.raises(SieveError, match=f"{re.escape(name)}: the file was altered"):
        # The weights are looked at when they are needed, and not before.
        embed_photos(Sieve.load(tmp_path / "sieve").encoder, zoo.photos)
    path.unlink()
    with pytest.raises(SieveError, match=f"{re.escape(name)}: the file is missing"):
        Sieve.load(tmp_path / "sieve")


def test_the_model_that_it_came_from_is_not_replaced(
    zoo: Zoo, listings: Path, fitted: Sieve, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="trained from the model in this folder"):
        fitted.save(zoo.path("clip"))
    with pytest.raises(UsageError, match="something else than a sieve here"):
        fitted.save(zoo.path("align"))
    fitted.save(tmp_path / "sieve")
    encoder = load_hub(str(tmp_path / "sieve"))
    data = prepare(encoder, Dataset.load(listings / "train"))
    second = Sieve.fit_prepared(encoder, data, Run(get_recipe("zero-shot")), words=False)
    with pytest.raises(UsageError, match="trained from the model in this folder"):
        second.save(tmp_path / "sieve")
    second.save(tmp_path / "second")
    assert Sieve.load(tmp_path / "second").encoder.name == str(tmp_path / "sieve")


def test_a_full_disk_leaves_the_old_sieve(fitted: Sieve, tmp_path: Path) -> None:
    fitted.save(tmp_path / "sieve")
    before = {path: path.read_bytes() for path in (tmp_path / "sieve").iterdir()}
    size = (tmp_path / "sieve" / "model.safetensors").stat().st_size
    code = f"""
import resource, signal, sys
from photosieve.errors import UsageError
from photosieve.sieve.sieve import Sieve
from photosieve.training.run import Run
sieve = Sieve.load({str(tmp_path / "sieve")!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for most in ({size - 4096}, 100):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    try:
        sieve.save({str(tmp_path / "sieve")!r})
    except UsageError as error:
        print(error)
"""
    # Of a user whose caches are in the scratch folder.
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={"XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert done.stdout.count("the sieve cannot be saved here (") == 2, done.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "sieve").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["sieve"]
    Sieve.load(tmp_path / "sieve")


# The hub: a local server that takes what it is given.


@dataclass
class FakeHub:
    """The files of each model that was put there, the settings to make one, and how it answers."""

    url: str
    files: dict[str, dict[str, bytes]]
    made: list[dict[str, Any]]
    status: int = 200


@pytest.fixture
def fake_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            path = self.path.partition("?")[0].removeprefix("/api/")
            if hub.status != 200:
                return self.answer({"error": "no"}, hub.status)
            if path == "repos/create":
                hub.made.append(json.loads(body))
                name = f"{hub.made[-1]['organization']}/{hub.made[-1]['name']}"
                return self.answer({"url": f"{hub.url}/{name}", "name": name})
            if path == "validate-yaml":  # the header of the card
                return self.answer({"errors": [], "warnings": []})
            name, action = "/".join(path.split("/")[1:3]), path.split("/")[3]
            if action == "preupload":
                wanted = json.loads(body)["files"]
                files = [
                    {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for f in wanted
                ]
                return self.answer({"files": files})
            lines = [json.loads(line) for line in body.splitlines()]
            hub.files[name] = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            return self.answer({"commitUrl": f"{hub.url}/{name}/commit/a", "commitOid": "a" * 40})

        def do_GET(self) -> None:
            name = "/".join(self.path.split("/")[3:5])
            tree = [{"type": "file", "path": "old", "size": 1, "oid": "0"}]
            self.answer(tree if "/tree/" in self.path else {"id": name, "sha": "a" * 40})

        def answer(self, content: Any, status: int = 200) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = FakeHub(f"http://127.0.0.1:{server.server_port}", {}, [])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
    yield hub
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_sieve_is_put_on_the_hub(fitted: Sieve, tmp_path: Path, fake_hub: FakeHub) -> None:
    address = fitted.push_to_hub("someone/listing-sieve")
    assert address == f"{fake_hub.url}/someone/listing-sieve"
    assert fake_hub.made[0]["visibility"] == "private"
    folder = tmp_path / "fetched"
    folder.mkdir()
    for name, content in fake_hub.files["someone/listing-sieve"].items():
        (folder / name).write_bytes(content)
    again = Sieve.load(folder)
    assert again.tuning == fitted.tuning
    assert "3 labels" in (folder / "README.md").read_text("utf-8")
    for name, content in fake_hub.files["someone/listing-sieve"].items():
        assert str(Path(fitted.encoder.name).parent).encode() not in content, name
    hub, own = load_hub(str(folder)), with_prompts(again.encoder, BARE)
    for name in ("photo", "text"):
        assert_array_equal(hub.head.arrays()[name], own.head.arrays()[name])
    assert hub.with_head(own.head).fingerprint == own.fingerprint  # the sieve knows the center


@pytest.mark.parametrize(
    ("name", "status"), [("someone/sieve", 401), ("no name at all", 200), ("a/b/c", 200)]
)
def test_a_hub_that_does_not_take_it(
    fitted: Sieve, fake_hub: FakeHub, name: str, status: int
) -> None:
    fake_hub.status = status
    with pytest.raises(UsageError, match=f'"{name}" cannot be put on the .*log in') as seen:
        fitted.push_to_hub(name)
    assert "\n" not in str(seen.value)
    assert not fake_hub.files


def test_no_network(fitted: Sieve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UsageError, match=r"cannot be put on the .*connect to the network"):
        fitted.push_to_hub("someone/sieve")
