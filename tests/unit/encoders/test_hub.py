"""Encoders from the hub: random two-layer models of each family, saved as the hub would give them.

What the encoder makes of photos and texts is compared with what the model itself, in plain torch
and with its own processor, makes of them. Nothing here needs the network: the hub is a local
server or a hand-made cache.
"""

import compileall
import hashlib
import http.server
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import photosieve
from photosieve.data.dataset import Dataset
from photosieve.encoders import license_of, load_encoder, towers
from photosieve.encoders.embedding import embed_photos, embed_texts, photo_features
from photosieve.encoders.hub import load_hub
from photosieve.errors import EncoderError
from photosieve.sieve.sieve import Sieve
from photosieve.storage import CACHE
from tests.zoo import FAMILIES, LENGTH, QUERIES, Zoo, theirs

pytestmark = pytest.mark.usefixtures("tower_cache")


@pytest.mark.parametrize("family", FAMILIES)
def test_embeddings_are_the_models_own(zoo: Zoo, family: str) -> None:
    encoder = load_encoder(str(zoo.path(family)))
    photos, texts = theirs(family, zoo.path(family), zoo.photos)
    found = embed_photos(encoder, zoo.photos)
    assert found.kept.tolist() == [0, 1, 2, 3, 4]
    assert (found.features * photos).sum(1).min() > 0.9999
    assert (embed_texts(encoder, QUERIES) * texts).sum(1).min() > 0.9999
    # The towers tell photos and texts apart: equal vectors would pass all of the above.
    assert np.triu(photos @ photos.T, 1).max() < 0.9999
    assert np.triu(texts @ texts.T, 1).max() < 0.9999


@pytest.mark.parametrize("family", ["clip", "chinese_clip", "altclip"])
def test_projections_are_the_head(zoo: Zoo, family: str) -> None:
    weights = load_file(zoo.path(family) / "model.safetensors")
    head = load_encoder(str(zoo.path(family))).head
    assert np.array_equal(head.arrays()["photo"], weights["visual_projection.weight"].numpy().T)
    assert np.array_equal(head.arrays()["text"], weights["text_projection.weight"].numpy().T)
    assert not head.arrays()["photo_mean"].any()
    assert not head.arrays()["text_mean"].any()


@pytest.mark.parametrize("family", ["align", "siglip", "siglip2"])
def test_a_model_without_plain_projections_starts_with_the_identity(zoo: Zoo, family: str) -> None:
    head = load_encoder(str(zoo.path(family))).head
    assert np.array_equal(head.arrays()["photo"], np.eye(len(head.arrays()["photo"])))
    assert np.array_equal(head.arrays()["text"], np.eye(len(head.arrays()["text"])))


def test_a_text_is_the_same_alone_and_beside_others(zoo: Zoo) -> None:
    encoder = load_encoder(str(zoo.path("clip")))
    together = encoder.text_features(QUERIES * 20)  # more than a batch
    alone = np.concatenate([encoder.text_features([query]) for query in QUERIES])
    np.testing.assert_allclose(together, np.tile(alone, (20, 1)), atol=1e-5)


def test_a_converted_tower_is_used_again(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embed_photos(load_encoder(str(zoo.path("clip"))), zoo.photos).features
    monkeypatch.setattr(transformers.CLIPModel, "from_pretrained", None)
    again = embed_photos(load_encoder(str(zoo.path("clip"))), zoo.photos).features
    np.testing.assert_allclose(again, first, atol=1e-6)


def test_without_openvino_torch_gives_the_same(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder(str(zoo.path("align")))
    monkeypatch.setitem(sys.modules, "openvino", None)
    plain = load_encoder(str(zoo.path("align")))
    assert plain.fingerprint == encoder.fingerprint
    ours, torchs = (embed_photos(model, zoo.photos).features for model in (encoder, plain))
    assert (ours * torchs).sum(1).min() > 0.9999


def test_a_package_without_source_files(zoo: Zoo, tmp_path: Path) -> None:
    """Neither the whole towers nor their fronts need the source of the code that builds them."""
    package = Path(photosieve.__file__).parent
    shutil.copytree(package, tmp_path / "photosieve", ignore=shutil.ignore_patterns("__pycache__"))
    assert compileall.compile_dir(tmp_path / "photosieve", quiet=1, legacy=True)
    for source in (tmp_path / "photosieve").rglob("*.py"):
        source.unlink()
    code = f"""
from pathlib import Path
import photosieve
from photosieve.encoders import load_encoder
from photosieve.encoders.blocks.opening import open_blocks
from photosieve.encoders.embedding import embed_photos
assert photosieve.__file__ == {str(tmp_path / "photosieve" / "__init__.pyc")!r}
plain = load_encoder({str(zoo.path("clip"))!r})
for encoder in (plain, open_blocks(plain, 1, 0, trains_text=False)):
    print(embed_photos(encoder, [Path({str(zoo.photos[0])!r})]).features.shape)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, CACHE: str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["(1, 24)", "(1, 24)", ""]
    assert len(list((tmp_path / "cache").glob("hub-*"))) == 2  # a whole tower, and a front


def test_batches_for_a_graphics_card(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one = embed_photos(load_encoder(str(zoo.path("siglip2"))), zoo.photos).features
    monkeypatch.setattr(towers, "accelerator", lambda: "cpu")
    monkeypatch.setattr(towers, "GPU_BATCH", 2)
    encoder = load_hub(str(zoo.path("siglip2")))
    steps: list[int] = []
    found = photo_features(encoder, zoo.photos, progress=lambda _, done, __: steps.append(done))
    assert encoder.trunk.batch == 2
    assert steps == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(encoder.head.project_photos(found.features), one_by_one, atol=1e-5)
    assert encoder.text_features(QUERIES).shape == (4, 32)


def test_nothing_to_embed(zoo: Zoo) -> None:
    encoder = load_encoder(str(zoo.path("clip")))
    assert embed_photos(encoder, []).features.shape == (0, 24)
    assert embed_texts(encoder, []).shape == (0, 24)


def test_a_bad_photo_is_skipped(zoo: Zoo, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    steps: list[tuple[int, int]] = []
    encoder = load_encoder(str(zoo.path("clip")))
    found = photo_features(
        encoder,
        [zoo.photos[0], bad, zoo.photos[1]],
        progress=lambda _, done, total: steps.append((done, total)),
    )
    assert found.kept.tolist() == [0, 2]
    assert [(skipped.path, "known format" in skipped.reason) for skipped in found.skipped] == [
        (bad, True)
    ]
    assert steps[-1] == (3, 3)
    good = photo_features(encoder, zoo.photos[:2])
    np.testing.assert_allclose(found.features, good.features, atol=1e-6)
    huge = photo_features(encoder, zoo.photos[:1], max_pixels=100)
    assert "the cap is 100" in huge.skipped[0].reason


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_a_long_text_is_cut_with_a_warning(zoo: Zoo, family: str) -> None:
    encoder = load_encoder(str(zoo.path(family)))
    words = ["sofa"] * (LENGTH - 2)  # with the marks of start and end that is all
    fits, long, longer = " ".join(words), " ".join([*words, "red"]), "blue " * 1000
    whole = encoder.text_features([fits])
    with pytest.warns(UserWarning, match='"sofa sofa .*" and 1 more is longer than the 32') as seen:
        cut = encoder.text_features(["red", long, longer])
    assert len(seen) == 1
    assert seen[0].filename == __file__
    np.testing.assert_allclose(cut[1], whole[0], atol=1e-5)


def test_siglip_reads_no_capitals(zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo.copy("siglip", tmp_path / "model")
    settings = json.loads((folder / "tokenizer.json").read_text())
    settings["normalizer"] = None  # as in SigLIP 2 models with a tokenizer made for others
    (folder / "tokenizer.json").write_text(json.dumps(settings))
    encoder = load_encoder(str(folder))
    small, capitals = encoder.text_features(["red sofa", "Red SOFA"])
    np.testing.assert_allclose(small, capitals, atol=1e-6)


def test_siglip_needs_no_sentencepiece(zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo.copy("siglip", tmp_path / "model")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["tokenizer_class"] = "SiglipTokenizer"  # as the hub's models have it
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    before = load_encoder(str(zoo.path("siglip")))
    after = load_encoder(str(folder))
    np.testing.assert_allclose(embed_texts(after, QUERIES), embed_texts(before, QUERIES), atol=1e-5)


# What decides an embedding is in the fingerprint, and nothing else.


def test_the_fingerprint_follows_weights_preparation_and_head(zoo: Zoo, tmp_path: Path) -> None:
    encoder = load_encoder(str(zoo.path("clip")))
    same = zoo.copy("clip", tmp_path / "same")
    (same / "README.md").write_text("words about the model")
    assert load_encoder(str(same)).fingerprint == encoder.fingerprint

    other = zoo.copy("clip", tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    weights["vision_model.post_layernorm.bias"] += 0.1
    save_file(weights, other / "model.safetensors")
    gray = zoo.copy("clip", tmp_path / "gray")
    settings = json.loads((gray / "preprocessor_config.json").read_text())
    settings["image_mean"] = [0.0, 0.0, 0.0]
    (gray / "preprocessor_config.json").write_text(json.dumps(settings))
    trained = encoder.with_head(encoder.with_head(encoder.head).head)
    assert trained.fingerprint == encoder.fingerprint
    arrays = encoder.head.arrays() | {"photo_mean": encoder.head.arrays()["photo_mean"] + 1}
    moved = encoder.with_head(type(encoder.head)(**arrays))
    prints = {load_encoder(str(folder)).fingerprint for folder in (other, gray)}
    assert len(prints | {encoder.fingerprint, moved.fingerprint}) == 4


# Weights in other files than one model.safetensors.


def as_pickle(folder: Path, state: object) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")


def same_embeddings(zoo: Zoo, folder: Path) -> bool:
    original, other = load_encoder(str(zoo.path("clip"))), load_encoder(str(folder))
    ours, others = (embed_photos(model, zoo.photos).features for model in (original, other))
    return bool(np.allclose(ours, others, atol=1e-6))


def test_weights_in_the_older_form(zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    as_pickle(folder, load_file(folder / "model.safetensors"))
    assert same_embeddings(zoo, folder)


def test_weights_in_the_oldest_form(zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    assert same_embeddings(zoo, folder)


def test_weights_in_half_precision(zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    halves = {name: weight.half() for name, weight in weights.items()}
    save_file(halves, folder / "model.safetensors")
    ours, others = (
        embed_photos(load_encoder(str(path)), zoo.photos).features
        for path in (zoo.path("clip"), folder)
    )
    assert (ours * others).sum(1).min() > 0.999


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_weights_in_shards(zoo: Zoo, tmp_path: Path, ending: str) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    for number, part in enumerate([names[::2], names[1::2]], 1):
        shard = {name: weights[name] for name in part}
        if ending == "safetensors":
            save_file(shard, folder / f"model-0000{number}-of-00002.safetensors")
        else:
            torch.save(shard, folder / f"pytorch_model-0000{number}-of-00002.bin")
    assert same_embeddings(zoo, folder)
    next(folder.glob("*-00002-of-*")).unlink()
    with pytest.raises(EncoderError, match=r"has no weights .* in full"):
        load_encoder(str(folder))


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_that_holds_more_than_tensors_is_not_run(zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    weights: dict[str, Any] = dict(load_file(folder / "model.safetensors"))
    sprung = tmp_path / "sprung"
    as_pickle(folder, weights | {"extra": Trap(sprung)})
    with pytest.raises(EncoderError, match=r"pytorch_model.bin .* holds more than tensors") as seen:
        load_encoder(str(folder))
    assert not sprung.exists()
    assert "\n" not in str(seen.value)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(sprung), protocol=2))
    with pytest.raises(EncoderError, match=r"pytorch_model.bin .* holds more than tensors"):
        load_encoder(str(folder))
    assert not sprung.exists()
    # Beside weights in the safe form it is not even opened.
    shutil.copy(zoo.path("clip") / "model.safetensors", folder)
    assert same_embeddings(zoo, folder)


@pytest.mark.parametrize("state", [{"epoch": 3}, [1, 2], {1: torch.zeros(2)}])
def test_a_pickle_of_something_else(zoo: Zoo, tmp_path: Path, state: object) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    as_pickle(folder, state)
    with pytest.raises(EncoderError, match="something other than named tensors"):
        load_encoder(str(folder))


# Models that cannot be used: a sentence each.


def edit(path: Path, **changes: Any) -> None:
    """Change values of a JSON file; a name like text_config__hidden_size goes one level down."""
    settings = json.loads(path.read_text())
    for name, value in changes.items():
        *outer, last = name.split("__")
        inner = settings
        for key in outer:
            inner = inner[key]
        inner[last] = value
    path.write_text(json.dumps(settings))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", "{", r"config.json is damaged \(Expecting"),
        ("config.json", "[" * 100_000, r"config.json is damaged \("),
        ("config.json", b"\xff\xfe", r"config.json is damaged \("),
        ("config.json", "[]", "config.json is not a JSON object"),
        ("config.json", "{}", r"config.json cannot be used \(Unrecognized model"),
        ("config.json", '{"model_type": "bert"}', 'kind "bert", which does not put'),
        ("config.json", '{"model_type": "clip_text_model"}', "does not put photos and texts"),
        ("config.json", '{"model_type": "magic"}', r"config.json cannot be used \("),
        ("preprocessor_config.json", "{", "preprocessor_config.json is damaged"),
        ("preprocessor_config.json", '{"size": "large"}', "preprocessor_config.json cannot be"),
        ("tokenizer.json", "{", "the tokenizer cannot be used"),
        ("tokenizer_config.json", "no", "tokenizer_config.json is damaged"),
        ("model.safetensors", b"", "model.safetensors is damaged"),
        ("model.safetensors", b"\xff" * 100, "model.safetensors is damaged"),
    ],
)
def test_damaged_files(
    zoo: Zoo, tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(EncoderError, match=message) as seen:
        load_encoder(str(folder))
    assert str(folder) in str(seen.value)
    assert "\n" not in str(seen.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", "has no config.json"),
        ("preprocessor_config.json", "has no preprocessor_config.json"),
        ("tokenizer.json", "has no tokenizer.json"),
        ("model.safetensors", "has no weights"),
    ],
)
def test_missing_files(zoo: Zoo, tmp_path: Path, name: str, message: str) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(EncoderError, match=f"{message}.*; give a model of photos and text"):
        load_encoder(str(folder))


@pytest.mark.parametrize(
    "name", ["config.json", "preprocessor_config.json", "tokenizer_config.json"]
)
def test_code_that_comes_with_a_model_is_never_run(zoo: Zoo, tmp_path: Path, name: str) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    edit(folder / name, auto_map={"AutoModel": "code.Model"})
    sprung = tmp_path / "sprung"
    (folder / "code.py").write_text(f"open({str(sprung)!r}, 'w')")
    with pytest.raises(EncoderError, match=f"{name} asks to run code that comes with the model"):
        load_encoder(str(folder))
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text_config__intermediate_size": 50}, r"hold text_model\S+ as \(.*48.*says \(.*50"),
        ({"projection_dim": 25}, r"hold text_projection.weight as \(24, 32\) where it says \(25"),
        ({"text_config__num_hidden_layers": 3}, r"weights lack text_model\S+layers.2"),
        ({"text_config__hidden_size": 2**20}, "describes a much larger model"),
        ({"vision_config__num_hidden_layers": 10**9}, "describes a much larger model"),
        ({"text_config__hidden_size": 33}, "cannot be used"),
        ({"vision_config__hidden_size": "many"}, "cannot be used"),
    ],
)
def test_a_configuration_that_does_not_fit_the_weights(
    zoo: Zoo, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    edit(folder / "config.json", **changes)
    with pytest.raises(EncoderError, match=message):
        load_encoder(str(folder))


def test_weights_that_lack_a_part_are_not_filled_with_noise(zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights["vision_model.pre_layrnorm.weight"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(EncoderError, match=r"the weights lack vision_model.pre_layrnorm.weight"):
        load_encoder(str(folder))


def test_photos_that_keep_their_shape_are_refused(zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    edit(folder / "preprocessor_config.json", do_center_crop=False)
    with pytest.raises(EncoderError, match="each photo in a size of its own"):
        load_encoder(str(folder))


@pytest.mark.parametrize(
    "name",
    [
        *("startr", "", "no/such/folder", "./nothing", "../a/b", "a b/c", "x" * 5000),
        *("a/..", "a/.", "a/b--c", "a--b/c", "a/b..c", "a/-b", "a/b.", "a/b.git", "a/" + "b" * 97),
        *("a/", "/a", "a//b", "a/b/c", "a/b\n", "a/\udcff", "a/b\0"),
    ],
)
def test_a_name_that_is_nothing(name: str) -> None:
    with pytest.raises(
        EncoderError, match=re.escape(f'there is no encoder "{name}"; give "starter"')
    ):
        load_encoder(name)


# The hub: a local server that speaks as much of its language as a download needs.


@dataclass
class FakeHub:
    """Serves folders as models; `gated` ones may be listed but not downloaded."""

    url: str
    folders: dict[str, Path]
    gated: set[str]
    asked: list[str]


@pytest.fixture
def fake_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    commit = "a" * 40

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].strip("/").removeprefix("api/models/")
            found.asked.append(path)
            name, rest = "/".join(path.split("/")[:2]), path.split("/")[2:]
            if name not in found.folders:
                return self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
            folder = found.folders[name]
            files = sorted(file for file in folder.rglob("*") if file.is_file())
            if rest[:1] == ["resolve"]:
                if name in found.gated:
                    return self.answer(403, b"", {"X-Error-Code": "GatedRepo"})
                content = folder.joinpath(*rest[2:]).read_bytes()
                tag = hashlib.sha256(content).hexdigest()
                return self.answer(200, content, {"ETag": f'"{tag}"', "X-Repo-Commit": commit})
            if rest[:1] == ["tree"]:
                tree = [
                    {
                        "type": "file",
                        "path": file.relative_to(folder).as_posix(),
                        "size": file.stat().st_size,
                        "oid": "0",
                    }
                    for file in files
                ]
                return self.answer(200, json.dumps(tree).encode(), {})
            names = [{"rfilename": file.relative_to(folder).as_posix()} for file in files]
            about = {"id": name, "sha": commit, "siblings": names}
            return self.answer(200, json.dumps(about).encode(), {})

        do_HEAD = do_GET

        def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = FakeHub(f"http://127.0.0.1:{server.server_port}", {}, set(), [])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", found.url)
    template = f"{found.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def test_a_model_is_downloaded_once(zoo: Zoo, fake_hub: FakeHub, tmp_path: Path) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    as_pickle(folder, {"epoch": 3})  # not wanted, as the same is there in the safe form
    shutil.copy(zoo.path("clip") / "model.safetensors", folder)
    (folder / "flax_model.msgpack").write_bytes(b"large")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    fake_hub.folders["someone/small-clip"] = folder
    encoder = load_encoder("someone/small-clip")
    assert encoder.name == "someone/small-clip"
    assert license_of(encoder) == "mit"
    assert encoder.fingerprint == load_encoder(str(zoo.path("clip"))).fingerprint
    fetched = {path.rpartition("/")[2] for path in fake_hub.asked if "/resolve/" in path}
    assert "model.safetensors" in fetched
    assert not fetched & {"pytorch_model.bin", "flax_model.msgpack"}

    fake_hub.asked.clear()
    again = load_encoder("someone/small-clip")
    assert again.fingerprint == encoder.fingerprint
    assert fake_hub.asked == []


def test_hub_models_that_cannot_be_had(zoo: Zoo, fake_hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"no/model is no folder here, and no model .* may see"):
        load_encoder("no/model")
    fake_hub.folders["meta/gated"] = zoo.path("clip")
    fake_hub.gated.add("meta/gated")
    with pytest.raises(EncoderError, match=r"accepted its terms.*meta/gated.*hf auth login"):
        load_encoder("meta/gated")
    text_only = zoo.copy("clip", tmp_path / "text-only")
    (text_only / "preprocessor_config.json").unlink()
    fake_hub.folders["google/text-only"] = text_only
    with pytest.raises(EncoderError, match=r"google/text-only has no preprocessor_config.json"):
        load_encoder("google/text-only")
    assert not any("text-only/resolve" in path for path in fake_hub.asked)


def test_no_network(fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(EncoderError, match=r"cannot be fetched from the .*connect to the network"):
        load_encoder("openai/clip-vit-base-patch32")
    assert fake_hub.asked == []


@pytest.mark.usefixtures("offline")
def test_a_cached_model_works_offline(zoo: Zoo, fake_hub: FakeHub) -> None:
    cache = Path(huggingface_hub.constants.HF_HUB_CACHE) / "models--someone--cached"
    with pytest.raises(EncoderError, match="connect to the network once"):
        load_encoder("someone/cached")
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("abc")
    snapshot = zoo.copy("clip", cache / "snapshots" / "abc")
    encoder = load_encoder("someone/cached")
    assert encoder.fingerprint == load_encoder(str(zoo.path("clip"))).fingerprint
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(EncoderError, match=r"its cached copy has no weights .*connect to the net"):
        load_encoder("someone/cached")
    assert fake_hub.asked == []


def test_a_sieve_finds_its_model_again(
    zoo: Zoo, listings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(zoo.folder)
    sieve = Sieve.fit(Dataset.load(*sorted((listings / "train").iterdir())), "clip")
    sieve.save(tmp_path / "sieve")
    monkeypatch.chdir(tmp_path)
    again = Sieve.load(tmp_path / "sieve")
    photos = listings / "test" / "house-8"
    assert again.search("red", photos).hits == sieve.search("red", photos).hits
