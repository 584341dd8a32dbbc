"""Models as people have them: other files, other names, other settings; each works or says why.

Models are made on the spot; see `tests.zoo`.
"""

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from photosieve.data.dataset import Dataset
from photosieve.encoders import load_encoder
from photosieve.encoders.embedding import embed_photos, embed_texts
from photosieve.encoders.protocol import Float32Array
from photosieve.errors import EncoderError
from photosieve.sieve.sieve import Sieve
from tests.unit.encoders.test_hub import FakeHub, edit, fake_hub  # noqa: F401  # a fixture
from tests.zoo import QUERIES, Zoo

pytestmark = pytest.mark.usefixtures("tower_cache")


def embeddings(zoo: Zoo, name: str | Path) -> tuple[Float32Array, Float32Array]:
    encoder = load_encoder(str(name))
    return embed_photos(encoder, zoo.photos).features, embed_texts(encoder, QUERIES)


def assert_same(zoo: Zoo, name: str | Path, family: str = "clip") -> None:
    for ours, theirs in zip(embeddings(zoo, name), embeddings(zoo, zoo.path(family)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def refused(folder: Path, message: str) -> None:
    with pytest.raises(EncoderError, match=message) as seen:
        load_encoder(str(folder))
    assert "\n" not in str(seen.value)


# Texts.


@pytest.mark.parametrize("family", ["clip", "align", "chinese_clip", "siglip"])
def test_padding_is_on_the_right(zoo: Zoo, tmp_path: Path, family: str) -> None:
    folder = zoo.copy(family, tmp_path / "model")
    edit(folder / "tokenizer_config.json", padding_side="left", truncation_side="left")
    assert_same(zoo, folder, family)
    encoder = load_encoder(str(folder))
    alone = np.concatenate([embed_texts(encoder, [query]) for query in QUERIES])
    np.testing.assert_allclose(embed_texts(encoder, QUERIES), alone, atol=1e-5)


def without_pad_token(folder: Path) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "special_tokens_map.json").unlink(missing_ok=True)


@pytest.mark.parametrize("family", ["clip", "align"])
def test_a_tokenizer_without_pad_token(zoo: Zoo, tmp_path: Path, family: str) -> None:
    folder = zoo.copy(family, tmp_path / "model")
    without_pad_token(folder)
    assert_same(zoo, folder, family)


def test_siglip_reads_its_pad_token(zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo.copy("siglip", tmp_path / "model")
    without_pad_token(folder)
    refused(folder, "the tokenizer has no pad_token; name it in tokenizer_config.json")


# Photos.


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_photos_of_another_size_than_the_model_reads(zoo: Zoo, tmp_path: Path, family: str) -> None:
    folder = zoo.copy(family, tmp_path / "model")
    square = {"height": 24, "width": 24}
    sizes = {"crop_size": square} if family == "clip" else {"size": square}
    edit(folder / "preprocessor_config.json", **sizes)
    refused(folder, "makes photos of 24 x 24 pixels, and the model reads 32 x 32")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_std": [0.5, 0.0, 0.5]}, "divides pixels by an image_std of 0"),
        ({"image_std": 0}, "divides pixels by an image_std of 0"),
        ({"image_std": 1e-300}, "makes pixels that are no numbers"),
        ({"image_mean": [float("nan")] * 3}, "makes pixels that are no numbers"),
        ({"rescale_factor": 1e300}, "makes pixels that are no numbers"),
    ],
)
def test_pixels_that_are_no_numbers(
    zoo: Zoo, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    edit(folder / "preprocessor_config.json", **settings)
    refused(folder, message)


# Weights.


def renamed(folder: Path, change: Callable[[str], str]) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(
        {change(name): weight for name, weight in weights.items()}, folder / "model.safetensors"
    )


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "clip."]
)
def test_prefixes_of_training_tools(zoo: Zoo, tmp_path: Path, prefix: str) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    renamed(folder, lambda name: prefix + name)
    assert_same(zoo, folder)


def test_a_training_checkpoint(zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    state = {f"model.{name}": weight for name, weight in weights.items()}
    torch.save(
        {"epoch": 3, "state_dict": state | {"loss": torch.ones(1)}}, folder / "pytorch_model.bin"
    )
    assert_same(zoo, folder)


def in_shards(folder: Path, ending: str) -> list[Path]:
    """Divide the weights into two files with names of their own, and list them."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    listed: dict[str, str] = {}
    for shard, part in (("first", names[::2]), ("second", names[1::2])):
        own = {name: weights[name] for name in part}
        file = folder / f"{shard}.{ending}"
        save_file(own, file) if ending == "safetensors" else torch.save(own, file)
        listed |= dict.fromkeys(part, file.name)
    stem = {"safetensors": "model", "bin": "pytorch_model"}[ending]
    listing = folder / f"{stem}.{ending}.index.json"
    listing.write_text(json.dumps({"metadata": {}, "weight_map": listed}))
    return [listing, folder / f"first.{ending}", folder / f"second.{ending}"]


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_shards_follow_their_index(zoo: Zoo, tmp_path: Path, ending: str) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    listing, first, _ = in_shards(folder, ending)
    assert_same(zoo, folder)
    first.unlink()
    refused(folder, rf"names first\.{ending}, which is missing; get the model again")
    listing.write_text('{"weight_map": {"a": "../model.safetensors"}}')
    refused(folder, "does not list the files of the weights")
    listing.write_text("[]")
    refused(folder, "does not list the files of the weights")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(zoo: Zoo, tmp_path: Path, value: float) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights["vision_model.post_layernorm.bias"][3] = value
    save_file(weights, folder / "model.safetensors")
    refused(folder, r"hold NaN or infinity in .*vision_model.post_layernorm.bias: the training")


def test_weights_that_are_all_nan(zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    save_file({n: torch.full_like(w.half(), float("nan")) for n, w in weights.items()},
              folder / "model.safetensors")  # fmt: skip
    refused(folder, "the weights hold NaN or infinity in ")


# Folders of sentence-transformers.


def sentence_folder(zoo: Zoo, folder: Path, *others: str, path: str = "0_CLIPModel") -> Path:
    zoo.copy("clip", folder / path)
    parts = [("0", path, "sentence_transformers.models.CLIPModel")]
    parts += [(str(n), f"{n}_{kind}", f"sentence_transformers.models.{kind}")
              for n, kind in enumerate(others, 1)]  # fmt: skip
    modules = [{"idx": n, "name": name, "path": where, "type": kind}
               for n, (name, where, kind) in enumerate(parts)]  # fmt: skip
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


def test_a_folder_of_sentence_transformers(zoo: Zoo, tmp_path: Path) -> None:
    assert_same(zoo, sentence_folder(zoo, tmp_path / "plain"))
    assert_same(zoo, sentence_folder(zoo, tmp_path / "normalized", "Normalize"))
    encoder = load_encoder(str(tmp_path / "plain"))
    assert encoder.name == str(tmp_path / "plain")
    folder = sentence_folder(zoo, tmp_path / "dense", "Pooling", "Dense")
    refused(folder, "has a part Pooling after the model, which photosieve does not run")
    (folder / "modules.json").write_text('[{"path": "../plain/0_CLIPModel", "type": "x"}]')
    refused(folder, "names a model outside of its folder")
    (folder / "modules.json").write_text("{}")
    refused(folder, r"modules.json is damaged")


def test_a_hub_model_of_sentence_transformers(
    zoo: Zoo,
    tmp_path: Path,
    fake_hub: FakeHub,  # noqa: F811
) -> None:
    folder = sentence_folder(zoo, tmp_path / "model")
    in_shards(folder / "0_CLIPModel", "safetensors")
    fake_hub.folders["sentence-transformers/clip"] = folder
    assert_same(zoo, "sentence-transformers/clip")
    fake_hub.asked.clear()
    assert_same(zoo, "sentence-transformers/clip")
    assert fake_hub.asked == []


# Adapters.


def adapter(zoo: Zoo, folder: Path, base: str, **settings: Any) -> peft.PeftModel:
    """Save an adapter with random changes, and return the model with it."""
    model: Any = transformers.CLIPModel.from_pretrained(zoo.path("clip"))
    model.eval()
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], **settings)
    with warnings.catch_warnings(action="ignore"):  # peft trails transformers
        adapted = peft.get_peft_model(model, config)
    torch.manual_seed(1)
    for name, weight in adapted.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            torch.nn.init.normal_(weight, std=0.3)
    adapted.save_pretrained(str(folder))
    edit(folder / "adapter_config.json", base_model_name_or_path=base)
    return adapted


@torch.no_grad()
def test_an_adapter_is_merged(zoo: Zoo, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    saved = ["text_projection"]
    adapted: Any = adapter(zoo, folder, str(zoo.path("clip")), modules_to_save=saved)
    photos, texts = embeddings(zoo, folder)
    merged = adapted.merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    for name in zoo.path("clip").iterdir():
        if not (tmp_path / "merged" / name.name).exists():
            shutil.copy(name, tmp_path / "merged")
    wanted_photos, wanted_texts = embeddings(zoo, tmp_path / "merged")
    np.testing.assert_allclose(photos, wanted_photos, atol=1e-5)
    np.testing.assert_allclose(texts, wanted_texts, atol=1e-5)
    plain, _ = embeddings(zoo, zoo.path("clip"))
    assert (photos * plain).sum(1).min() < 0.999  # the adapter changes something
    encoder = load_encoder(str(folder))
    assert encoder.name == str(folder)
    assert encoder.fingerprint == load_encoder(str(tmp_path / "merged")).fingerprint


def test_an_adapter_on_the_hub(zoo: Zoo, tmp_path: Path, fake_hub: FakeHub) -> None:  # noqa: F811
    adapter(zoo, tmp_path / "adapter", "someone/clip")
    fake_hub.folders |= {"someone/clip": zoo.path("clip"), "me/adapter": tmp_path / "adapter"}
    encoder = load_encoder("me/adapter")
    assert encoder.name == "me/adapter"
    assert encoder.fingerprint != load_encoder("someone/clip").fingerprint


def test_adapters_that_cannot_be_used(zoo: Zoo, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    adapter(zoo, folder, str(zoo.path("clip")))
    settings = folder / "adapter_config.json"

    def with_settings(name: str, **changes: Any) -> Path:
        copy = Path(shutil.copytree(folder, tmp_path / name))
        edit(copy / settings.name, **changes)
        return copy

    refused(with_settings("a", base_model_name_or_path=None), "does not say for which model")
    refused(with_settings("b", base_model_name_or_path="./none"),
            "is an adapter for another model: there is no encoder")  # fmt: skip
    refused(with_settings("c", base_model_name_or_path=str(folder)), "an adapter for an adapter")
    refused(with_settings("d", r=10**9), "has a rank of 1000000000")
    refused(with_settings("e", target_modules=["k_proj"]), "does not fit the model .* it ")
    refused(with_settings("f", peft_type="MAGIC"), "the adapter cannot be used")
    refused(with_settings("g", megatron_config={"a": 1}), "asks to run code")
    refused(with_settings("h", r=2), "the adapter cannot be used")
    shutil.copytree(zoo.path("clip"), folder, dirs_exist_ok=True)
    refused(folder, "has a whole model and an adapter, adapter_config.json: remove")
    empty = with_settings("i")
    (empty / "config.json").unlink()
    (empty / "adapter_model.safetensors").unlink()
    refused(empty, "has no adapter_model.safetensors")


# Models of other libraries.


def test_other_kinds_say_what_to_do(tmp_path: Path) -> None:
    for name, message in {
        "open_clip_config.json": "is a model of open_clip: use it from Python with VectorEncoder",
        "clip-q4.gguf": "is a model in GGUF form, which is for llama.cpp: take its original form",
    }.items():
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_text("{}")
        refused(folder, message)
        refused(folder / name, "is a file: give the folder of a model with its config.json")


def test_a_sieve_holds_the_merged_model(zoo: Zoo, listings: Path, tmp_path: Path) -> None:
    adapter(zoo, tmp_path / "adapter", str(zoo.path("clip")))
    train = Dataset.load(*sorted((listings / "train").iterdir()))
    sieve = Sieve.fit(train, str(tmp_path / "adapter"))
    sieve.save(tmp_path / "sieve")
    shutil.rmtree(tmp_path / "adapter")
    photos = listings / "test" / "house-8"
    again = Sieve.load(tmp_path / "sieve")
    assert again.search("red", photos).hits == sieve.search("red", photos).hits
