"""Opened encoders: their parts are the whole, and training moves what it should and no more."""

import dataclasses
import functools
import re
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from photosieve.encoders import embedding, towers
from photosieve.encoders.blocks import ends
from photosieve.encoders.blocks.block_head import BlockHead
from photosieve.encoders.blocks.ends import PooledBlock
from photosieve.encoders.blocks.fronts import blocks_of
from photosieve.encoders.blocks.opening import open_blocks
from photosieve.encoders.embedding import photo_features
from photosieve.encoders.head import LinearHead
from photosieve.encoders.hub import HubEncoder, load_hub
from photosieve.encoders.model import PHOTOS, TEXTS
from photosieve.encoders.protocol import Encoder
from photosieve.errors import EncoderError
from photosieve.storage import cache_folder
from tests.zoo import FAMILIES, QUERIES, Zoo, theirs

pytestmark = pytest.mark.usefixtures("tower_cache")

ALL = -1


def opened(
    zoo: Zoo, family: str, blocks: int = 1, lora_rank: int = 0, trains_text: bool = True
) -> HubEncoder:
    return remembered(zoo.path(family), blocks, lora_rank, trains_text)


@functools.cache
def plain(path: Path) -> HubEncoder:
    return load_hub(str(path))


@functools.cache
def remembered(path: Path, blocks: int, lora_rank: int, trains_text: bool) -> HubEncoder:
    found = open_blocks(plain(path), blocks, lora_rank, trains_text=trains_text)
    assert isinstance(found, HubEncoder)
    return found


def start(encoder: Encoder) -> BlockHead:
    assert isinstance(encoder.head, BlockHead)
    return encoder.head


def in_full(encoder: Encoder) -> BlockHead:
    """Its head, which trains in float32 on every machine."""
    return dataclasses.replace(start(encoder), half_precision=False)


def trained(zoo: Zoo, encoder: Encoder, *, trains_text: bool = True) -> BlockHead:
    """The head after two steps that bring photos and queries together."""
    student = encoder.head.student(trains_text=trains_text)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    photos = torch.from_numpy(photo_features(encoder, zoo.photos[:4]).features)
    texts = torch.from_numpy(encoder.text_features(QUERIES))
    for _ in range(2):  # in the first, one factor of a low-rank change is still zero
        optimizer.zero_grad()
        scores = functional.cosine_similarity(student.photos(photos), student.texts(texts))
        (-scores.sum()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return start(encoder).with_arrays(student.arrays())


@pytest.mark.parametrize("blocks", [1, 2, ALL, "LoRA"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_parts_are_the_whole(zoo: Zoo, family: str, blocks: int | str) -> None:
    encoder = opened(zoo, family, *((0, 2) if blocks == "LoRA" else (int(blocks), 0)))
    photos, texts = theirs(family, zoo.path(family), zoo.photos)
    found = photo_features(encoder, zoo.photos)
    rows = encoder.text_features(QUERIES)
    np.testing.assert_allclose(encoder.head.project_photos(found.features), photos, atol=1e-5)
    np.testing.assert_allclose(encoder.head.project_texts(rows), texts, atol=1e-5)
    student = in_full(encoder).student(trains_text=True)
    for vectors, wanted in (
        (student.photos(torch.from_numpy(found.features)), photos),
        (student.texts(torch.from_numpy(rows)), texts),
    ):
        unit = functional.normalize(vectors, dim=-1).detach()
        np.testing.assert_allclose(unit, wanted, atol=1e-5)


@pytest.mark.parametrize("blocks", [1, ALL])
def test_views_and_nothing_at_all(zoo: Zoo, blocks: int) -> None:
    encoder = opened(zoo, "clip", blocks)
    found, wanted = (
        model.head.project_photos(photo_features(model, zoo.photos, more_views=True).more_views)
        for model in (encoder, plain(zoo.path("clip")))
    )
    assert found.shape == (5, 5, 24)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    few = photo_features(encoder, zoo.photos[:2])
    assert encoder.head.project_photos(few.more_views).shape == (2, 0, 24)
    assert encoder.head.project_photos(photo_features(encoder, []).features).shape == (0, 24)
    assert encoder.head.project_texts(encoder.text_features([])).shape == (0, 24)
    student = encoder.head.student(trains_text=True)
    views = torch.from_numpy(photo_features(encoder, zoo.photos, more_views=True).more_views)
    with torch.no_grad():
        assert student.photos(views).shape == (5, 5, 24)
        assert student.texts(torch.from_numpy(encoder.text_features([]))).shape == (0, 24)


def test_batches_for_a_graphics_card(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one = opened(zoo, "siglip2")
    monkeypatch.setattr(towers, "accelerator", lambda: "cpu")
    monkeypatch.setattr(towers, "GPU_BATCH", 2)
    encoder = open_blocks(load_hub(str(zoo.path("siglip2"))), 1, 0, trains_text=True)
    rows, wanted = (photo_features(model, zoo.photos).features for model in (encoder, one_by_one))
    np.testing.assert_allclose(rows, wanted, atol=1e-5)
    rows = encoder.text_features(QUERIES)
    np.testing.assert_allclose(rows, one_by_one.text_features(QUERIES), atol=1e-5)


@pytest.mark.parametrize("family", ["clip", "align", "siglip"])
def test_a_text_is_the_same_beside_longer_ones(zoo: Zoo, family: str) -> None:
    encoder = opened(zoo, family)
    together = encoder.text_features([*QUERIES * 17, "a " * 20])  # more than a batch
    alone = np.concatenate(
        [encoder.head.project_texts(encoder.text_features([query])) for query in QUERIES]
    )
    found = encoder.head.project_texts(together)[: len(QUERIES)]
    np.testing.assert_allclose(found, alone, atol=1e-5)


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_texts_that_are_not_trained_are_embedded_once(zoo: Zoo, family: str) -> None:
    encoder = opened(zoo, family, trains_text=False)
    _, texts = theirs(family, zoo.path(family), zoo.photos[:1])
    rows = encoder.text_features(QUERIES)
    assert rows.shape == texts.shape
    np.testing.assert_allclose(encoder.head.project_texts(rows), texts, atol=1e-5)
    student = encoder.head.student(trains_text=False)
    assert student.texts(torch.from_numpy(rows)).numpy() is not None
    np.testing.assert_array_equal(student.texts(torch.from_numpy(rows)), rows)
    assert not [name for name in encoder.head.arrays() if name.startswith("text_")]
    with pytest.raises(ValueError, match="opened for photos alone"):
        encoder.head.student(trains_text=True)


BERT = "text_model.encoder.layer.1"
CLIP_PHOTOS = "vision_model.encoder.layers.1 visual_projection"
SIGLIP = (
    "vision_model.encoder.layers.1 vision_model.head text_model.encoder.layers.1 text_model.head"
)
LAST_BLOCK = {
    "clip": f"{CLIP_PHOTOS} text_model.encoder.layers.1 text_projection",
    "align": f"vision_model.encoder.blocks.1 {BERT} text_projection",
    "siglip": SIGLIP,
    "siglip2": SIGLIP,
    "chinese_clip": f"{CLIP_PHOTOS} {BERT} text_projection",
    "altclip": (
        f"{CLIP_PHOTOS} text_model.roberta.encoder.layers.1 text_model.transformation "
        "text_projection"
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_trained_of_the_last_block(zoo: Zoo, family: str) -> None:
    names = opened(zoo, family).head.arrays()
    model = plain(zoo.path(family)).model.load(PHOTOS, TEXTS)
    wanted = [f"{part}." for part in LAST_BLOCK[family].split()]
    assert sorted(names) == sorted(
        name for name, _ in model.named_parameters() if name.startswith(tuple(wanted))
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_trained_of_everything(zoo: Zoo, family: str) -> None:
    model = plain(zoo.path(family)).model.load(PHOTOS, TEXTS)
    left = {name for name, _ in model.named_parameters()} - opened(
        zoo, family, ALL
    ).head.arrays().keys()
    # Nothing that an embedding depends on.
    assert all(re.match(r"logit_|temperature|text_model\.pooler\.", name) for name in left)


@pytest.mark.parametrize("blocks", [1, ALL])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_moves_all_that_is_to_be_trained_and_nothing_else(
    zoo: Zoo, family: str, blocks: int
) -> None:
    encoder = opened(zoo, family, blocks)
    before = {name: array.copy() for name, array in encoder.head.arrays().items()}
    frozen = {
        name: weight.clone()
        for end in (start(encoder).photo_end, start(encoder).text_end)
        if end
        for name, weight in [*end.model.named_parameters(), *end.model.named_buffers()]
    }
    after = trained(zoo, encoder).arrays()
    still = [name for name, array in after.items() if np.array_equal(array, before[name])]
    # A softmax does not see what is added to all keys.
    assert all(re.search(r"(k_proj|key)\.bias$", name) for name in still)
    for end in (start(encoder).photo_end, start(encoder).text_end):
        assert end
        for name, weight in [*end.model.named_parameters(), *end.model.named_buffers()]:
            assert torch.equal(weight, frozen[name])
    photos, _ = theirs(family, zoo.path(family), zoo.photos)
    rows = photo_features(encoder, zoo.photos).features
    np.testing.assert_allclose(encoder.head.project_photos(rows), photos, atol=1e-5)


def test_photos_alone_are_trained_where_texts_are_open_too(zoo: Zoo) -> None:
    encoder = opened(zoo, "clip")
    before, after = encoder.head.arrays(), trained(zoo, encoder, trains_text=False).arrays()
    assert {name.split("_")[0] for name in after if (after[name] != before[name]).any()} == {
        "vision",
        "visual",
    }


@pytest.mark.parametrize(
    ("family", "sides"), [("clip", "vision text"), ("altclip", "vision"), ("siglip", "text")]
)
def test_the_last_block_is_worked_out_for_the_token_that_is_read(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch, family: str, sides: str
) -> None:
    short = opened(zoo, family, 2)
    short = short.with_head(in_full(short))
    ours = trained(zoo, short).arrays()
    monkeypatch.setattr(ends, "POOLED", {PHOTOS: (), TEXTS: ()})
    full = open_blocks(plain(zoo.path(family)), 2, 0, trains_text=True)
    full = full.with_head(in_full(full))
    for encoder, wanted_sides in ((short, sides), (full, "")):
        pooled = [
            end.layout.side.tower
            for end in (start(encoder).photo_end, start(encoder).text_end)
            if end and any(type(part) is PooledBlock for part in end.modules())
        ]
        assert pooled == [f"{side}_model" for side in wanted_sides.split()]
    wanted = trained(zoo, full).arrays()
    assert ours.keys() == wanted.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(array, wanted[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("eos", [1, 2])
def test_both_ways_to_find_the_end_of_a_text(zoo: Zoo, tmp_path: Path, eos: int) -> None:
    folder = zoo.copy("clip", tmp_path / "model")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(
        config.replace('"eos_token_id": 1', f'"eos_token_id": {eos}')
    )
    encoder = open_blocks(load_hub(str(folder)), 1, 0, trains_text=True)
    _, texts = theirs("clip", folder, zoo.photos[:1])
    found = encoder.head.project_texts(encoder.text_features(QUERIES))
    np.testing.assert_allclose(found, texts, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "names"),
    [
        (
            "clip",
            r"(vision|text)_model\.encoder\.layers\.[01]\.self_attn\.(q|k|v|out)_proj\.weight",
        ),
        ("align", r"text_model\.encoder\.layer\.[01]\.attention\.self\.(query|key|value)\.weight"),
    ],
)
def test_low_rank_training(zoo: Zoo, family: str, names: str) -> None:
    encoder = opened(zoo, family, 0, 2)
    before, after = encoder.head.arrays(), trained(zoo, encoder).arrays()
    assert all(re.fullmatch(names, name) for name in before)
    assert len(before) == (16 if family == "clip" else 6)
    ranks = {np.linalg.matrix_rank(after[name] - before[name], tol=1e-6) for name in before}
    assert max(ranks) <= 2
    assert min(ranks) > 0
    again = trained(zoo, encoder).arrays()
    assert all(np.array_equal(again[name], after[name]) for name in after)
    student = start(encoder).with_arrays(after).student(trains_text=True)  # goes on from there
    assert all(np.array_equal(student.arrays()[name], after[name]) for name in after)


def test_a_head_between_two_others(zoo: Zoo) -> None:
    encoder = opened(zoo, "siglip", 2)
    end = trained(zoo, encoder)
    before, after = encoder.head.arrays(), end.arrays()
    half_way = {name: np.float32(0.5) * (before[name] + after[name]) for name in before}
    middle = start(encoder).with_arrays(half_way)
    rows = photo_features(encoder, zoo.photos).features
    first, half, last = (head.project_photos(rows) for head in (encoder.head, middle, end))
    assert ((first * half).sum(1) > (first * last).sum(1)).all()
    assert len({head.fingerprint() for head in (encoder.head, middle, end)}) == 3
    assert encoder.with_head(end).fingerprint != encoder.fingerprint


def test_half_precision(zoo: Zoo) -> None:
    encoder = opened(zoo, "clip", ALL)
    rows = torch.from_numpy(photo_features(encoder, zoo.photos).features)
    in_half = dataclasses.replace(start(encoder), half_precision=True)
    half = in_half.student(trains_text=True).photos(rows)
    full = in_full(encoder).student(trains_text=True).photos(rows)
    assert half.dtype == full.dtype == torch.float32
    assert not torch.equal(half, full)
    assert functional.cosine_similarity(half, full).min() > 0.99
    # Scores are always in float32.
    scored = encoder.head.project_photos(rows.numpy())
    np.testing.assert_allclose(scored, functional.normalize(full, dim=-1).detach(), atol=1e-5)


def test_threads_do_not_see_each_others_texts(zoo: Zoo) -> None:
    encoder = opened(zoo, "clip")
    sets = [[query] * 3 for query in QUERIES]
    wanted = [encoder.head.project_texts(encoder.text_features(texts)) for texts in sets]
    rows = [encoder.text_features(texts) for texts in sets]
    wrong: list[int] = []

    def ask(number: int) -> None:
        for _ in range(30):
            found = encoder.head.project_texts(rows[number])
            if not np.allclose(found, wanted[number], atol=1e-5):
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(sets))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# What cannot be opened.


def test_nothing_to_open(zoo: Zoo) -> None:
    encoder = plain(zoo.path("clip"))
    assert open_blocks(encoder, 0, 0, trains_text=True) is encoder


@pytest.mark.parametrize("family", ["clip", "align"])
def test_more_blocks_than_there_are(zoo: Zoo, family: str) -> None:
    with pytest.raises(
        EncoderError, match="has 2 blocks in its vision_model, not 3; set blocks to 2"
    ):
        opened(zoo, family, 3)


def test_a_tower_without_attention(zoo: Zoo) -> None:
    with pytest.raises(EncoderError, match="no attention in what is to be trained"):
        opened(zoo, "align", 0, 4, trains_text=False)


def test_a_trained_encoder_is_not_opened(zoo: Zoo) -> None:
    encoder = opened(zoo, "clip")
    with pytest.raises(EncoderError, match="only a pretrained encoder can be opened"):
        open_blocks(encoder, 1, 0, trains_text=False)


def test_a_model_of_another_build(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends.HiddenStates, "forward", lambda *_, **__: torch.ones(1, 17, 40))
    with pytest.raises(EncoderError, match="not built like those that photosieve can take apart"):
        open_blocks(plain(zoo.path("clip")), 1, 0, trains_text=True)
    with pytest.raises(EncoderError, match="the blocks of a Linear cannot be told"):
        blocks_of(torch.nn.Linear(1, 1), PHOTOS)


# Features that are too large for memory.


def test_large_features_are_kept_in_a_file(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = opened(zoo, "clip")
    bad = zoo.folder / "none.jpg"
    small = photo_features(encoder, [bad, *zoo.photos], more_views=True)
    monkeypatch.setattr(embedding, "MOST_MEMORY", 1000)
    before = set(cache_folder().iterdir())
    large = photo_features(encoder, [bad, *zoo.photos], more_views=True)
    np.testing.assert_array_equal(large.features, small.features)
    np.testing.assert_array_equal(large.more_views, small.more_views)
    np.testing.assert_array_equal(
        encoder.head.project_photos(large.more_views), encoder.head.project_photos(small.more_views)
    )
    assert backing(large.features) is np.memmap
    assert backing(small.features) is np.ndarray
    # Nothing is left on the disk when it is no longer wanted.
    assert not [
        path for path in set(cache_folder().iterdir()) - before if not path.name.startswith("hub-")
    ]


def backing(array: object) -> type:
    kinds = []
    while isinstance(array, np.ndarray):
        kinds.append(type(array))
        array = array.base
    return np.memmap if np.memmap in kinds else np.ndarray


def test_features_that_fit_nowhere(zoo: Zoo) -> None:
    @dataclasses.dataclass(frozen=True)
    class Wide(LinearHead):
        photo_width = 2**42

    encoder = plain(zoo.path("clip"))
    with pytest.raises(EncoderError, match=r"^5 photos take [\d.]+ GiB .* no room .*; take fewer"):
        photo_features(encoder.with_head(Wide(**encoder.head.arrays())), zoo.photos)
