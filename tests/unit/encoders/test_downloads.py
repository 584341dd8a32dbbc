"""Names of models: which are those of the hub, and who decides that one is downloaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from photosieve.encoders import load_encoder
from photosieve.encoders.downloads import ALLOW_DOWNLOAD, is_hub_id, local_only
from photosieve.errors import EncoderError


@pytest.mark.parametrize("name", ["a/b", "openai/clip-vit-base-patch32", "_a/B_c.1", "a0/b-c"])
def test_ids_of_the_hub(name: str) -> None:
    assert is_hub_id(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "a", "a/", "/b", "a/..", "a/.", "../b", "./b", "a/b/c", "a//b", "a/b..c", "a--b/c",
        "a/b--c", "-a/b", "a/-b", "a/b-", "a/b.", "a/.b", "a/b.git", "a/b\n", "a/b c", "a/b\0",
        "\u00e4/b", "a/\uff42", "~/b", "a\\b/c", f"a/{'b' * 97}", "https://huggingface.co/a/b",
        "a/b@main", "a/b:c",
    ],
)  # fmt: skip
def test_odd_names_are_no_models(name: str) -> None:
    assert not is_hub_id(name)
    with pytest.raises(EncoderError, match="there is no encoder"):
        load_encoder(name)


def test_a_sieve_does_not_download_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is an address that nothing answers, so that each try to reach it is told apart."""
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: 1 / 0)
    with local_only(), pytest.raises(EncoderError, match="add --allow-download"):
        load_encoder("somebody/model-that-is-not-here")
    with pytest.raises(EncoderError, match="cannot be fetched"):  # whoever names one means it
        load_encoder("somebody/model-that-is-not-here")
    monkeypatch.setenv(ALLOW_DOWNLOAD, "1")
    with local_only(), pytest.raises(EncoderError, match="cannot be fetched"):
        load_encoder("somebody/model-that-is-not-here")


@pytest.mark.long
def test_a_cache_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code = "from photosieve import load_encoder; load_encoder('a/b')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", "HF_HUB_CACHE": str(tmp_path / "file" / "x"), "HF_HUB_OFFLINE": "1"}
        | {"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert "EncoderError: a/b is no folder here" in done.stderr.splitlines()[-1]
