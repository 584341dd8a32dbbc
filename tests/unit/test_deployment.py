"""The files for containers name what there is. Containers themselves are built elsewhere."""

import json
import re
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from photosieve.cli.commands import app
from photosieve.server.app import create_app
from photosieve.server.library import Library

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def options(line: list[str]) -> dict[str, Any]:
    """Options of a `serve` command, as the command line reads them."""
    command = get_command(app).commands["serve"]  # type: ignore[attr-defined]
    assert line[0] == "serve"
    return dict(command.make_context("serve", line[1:]).params)


def test_every_file_that_is_copied_exists_and_is_sent_to_the_builder(dockerfile: str) -> None:
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
    copied = {name for names in copies for name in names.split()}
    sent = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert copied == {line[1:] for line in sent if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_runs_as_nobody_in_particular(dockerfile: str) -> None:
    uid = re.search(r"--uid (\d+)", dockerfile)
    assert uid
    assert f"USER {uid[1]}:" in dockerfile.rpartition("FROM")[2]


def test_the_command_of_the_image_is_one(dockerfile: str) -> None:
    given = options(json.loads(dockerfile.rpartition("\nCMD ")[2]))
    assert given["host"] == "0.0.0.0"
    exposed = re.search(r"^EXPOSE (\d+)$", dockerfile, re.MULTILINE)
    assert exposed
    assert given["port"] == int(exposed[1])


def test_the_health_check_asks_an_endpoint_without_a_token(dockerfile: str, tmp_path: Path) -> None:
    asked = re.search(r"http://127\.0\.0\.1:8765(/\w+)", dockerfile)
    assert asked
    documented = create_app(Library(tmp_path, str(tmp_path))).openapi()["paths"]
    assert "get" in documented[asked[1]]


@pytest.mark.long
@pytest.mark.parametrize(
    "command",
    [("hadolint", "Dockerfile"), ("caddy", "validate", "--config", "deploy/Caddyfile")],
)
def test_linters_find_nothing(command: tuple[str, ...]) -> None:
    program = SCRIPTS / command[0]
    done = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_server_and_proxy_agree(compose: Any) -> None:
    server, proxy = compose["services"]["photosieve"], compose["services"]["proxy"]
    given = options(shlex.split(server["command"]))
    address = proxy["networks"]["inside"]["ipv4_address"]
    assert [*given["trust_proxy"]] == [address]  # older versions of typer give tuples
    config = (ROOT / "deploy" / "Caddyfile").read_text("utf-8")
    assert f"handle_path {given['root_path']}/*" in config
    assert f"photosieve:{given['port']}" in config
    assert [*given["allow_host"]] == [proxy["environment"]["SITE"]]


def test_containers_can_write_their_volumes_only(compose: Any, dockerfile: str) -> None:
    for service in compose["services"].values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
    server = compose["services"]["photosieve"]
    mounted = [volume.rpartition(":")[2] for volume in server["volumes"]]
    assert mounted == ["/photos", "/state", "/cache"]
    for name in re.findall(r"(?:HOME|CACHE)=(\S+)", dockerfile):
        assert name.startswith("/cache")
