"""Indexes on the real command line, with the real starter model."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from photosieve.index.index import Index
from tests.e2e.conftest import SAMPLES, Run
from tests.library import rows

QUERIES = ("sofa", "kitchen", "swimming pool", "sofa -window", "giraffe")


@pytest.fixture(scope="module")
def index(run: Run, sieve: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("indexes") / "index"
    done = run("index", SAMPLES / "test", "--sieve", sieve, "--index", folder, "--json")
    assert (done.status, done.err) == (0, "")
    found = done.json
    assert found.pop("seconds") > 0
    assert found == {
        "photos": 63, "added": 63, "changed": 0, "moved": 0, "deleted": 0, "skipped": [],
        "metadata": None,
    }  # fmt: skip
    return folder


@pytest.mark.parametrize("query", QUERIES)
def test_an_index_answers_as_its_folder(run: Run, sieve: Path, index: Path, query: str) -> None:
    found = run("search", query, "--index", index, "--json").json
    wanted = run("search", query, SAMPLES / "test", "--sieve", sieve, "--json").json
    assert [hit["path"] for hit in found["hits"]] == [hit["path"] for hit in wanted["hits"]]
    assert found["hidden"] == wanted["hidden"]
    np.testing.assert_allclose(
        [hit["probability"] for hit in found["hits"]],
        [hit["probability"] for hit in wanted["hits"]],
        atol=1e-4,
    )


def test_a_search_loads_little(index: Path) -> None:
    """A first answer within a second: neither torch nor what writes indexes is loaded."""
    code = f"""
import sys
from photosieve.cli.commands import app
sys.argv = ["photosieve", "search", "sofa", "--index", {str(index)!r}]
try:
    app()
except SystemExit as stop:
    assert not stop.code
heavy = ("torch", "transformers", "lancedb", "pyarrow", "faiss", "pandas", "sklearn", "scipy")
print(*(name for name in heavy if name in sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "photos match" in done.stdout
    assert done.stderr.strip() == ""


def test_a_second_run_and_what_a_person_sees(run: Run, index: Path, sieve: Path) -> None:
    done = run("index", "--index", index)
    assert done.status == 0
    assert done.out.startswith(f"{index}: 63 photos, nothing new, in ")
    status = run("index", "--status", "--index", index)
    assert status.out.splitlines()[0] == f"{index}: 63 photos in 8 buildings"
    assert f"sieve:   {sieve} (starter)" in status.out
    assert run("index", "--status", "--index", index, "--json").json["photos"] == 63
    verified = run("index", "--verify", "--index", index)
    assert (verified.status, verified.out) == (0, "63 photos, 0 problems\n")
    assert run("index", "--compact", "--index", index).status == 0
    explained = run("search", "sofa", "--index", index, "--in", "fountain-square-3", "--explain")
    assert "1 of 9 photos match; 8 left out" in explained.out
    assert "sofa: a label" in explained.out


def test_photos_of_all_kinds(run: Run, sieve: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(SAMPLES / "test" / "fountain-square-3", tmp_path / "l" / "house")
    (folder / "bad.jpg").write_text("no photo")
    (folder / "photo-01.jpg").rename(folder / "first.jpg")
    csv = tmp_path / "listing.csv"
    csv.write_text("group,price\nhouse,250000\n")
    index = tmp_path / "index"
    done = run("index", folder.parent, "--sieve", sieve, "--index", index, "--metadata", csv)
    assert done.status == 0
    assert f"{index}: 9 photos, 9 added; 1 skipped, in " in done.out
    assert "bad.jpg: it is not a photo" in done.err
    for where, count in (("price < 300000", 9), ("price > 300000", 0), ("width > height", 9)):
        found = run("search", "kitchen", "--index", index, "--where", where, "--json").json
        assert len(found["hits"]) + found["hidden"] == count, where
    page = tmp_path / "sheet.html"
    assert run("search", "kitchen", "--index", index, "--html", page).status == 0
    assert "data:image" in page.read_text()
    (folder / "first.jpg").write_text("bad now")
    assert run("index", "--verify", "--index", index).status == 1


def test_bad_input(run: Run, sieve: Path, index: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    run("search", "sofa", "--index", nothing).assert_one_sentence(1, "there is no index here")
    run("search", "sofa").assert_one_sentence(
        2, "name folders to search and a sieve, or an index: photosieve search QUERY FOLDER --sieve"
    )
    run("search", "sofa", SAMPLES, "--index", index).assert_one_sentence(2, "use --in")
    run("search", "sofa", SAMPLES, "--sieve", sieve, "--in", "x").assert_one_sentence(2, "--index")
    run("search", "sofa", "--index", index, "--in", "fountain").assert_one_sentence(
        2, 'no building "fountain"', "fountain-square-3"
    )
    run("search", "sofa", "--index", index, "--where", "price < 3").assert_one_sentence(
        2, 'no column "price"', "the columns are"
    )
    run("index", SAMPLES, "--index", tmp_path / "i").assert_one_sentence(1, "no index here")
    run("index", nothing, "--sieve", sieve, "--index", tmp_path / "i").assert_one_sentence(
        2, "does not exist"
    )
    run("index", "--status", "--verify", "--index", index).assert_one_sentence(2, "stand alone")
    run("index", SAMPLES, "--sieve", sieve, "--index", "/proc/x").assert_one_sentence(
        2, "cannot be written here"
    )
    run("index", "--index", index, "--metadata", nothing).assert_one_sentence(2, "cannot be read")
    assert not nothing.exists()


CLUSTER = """
import json, sys, warnings
import psutil, ray
from ray.cluster_utils import Cluster

from photosieve.index.cluster import embed_on
from photosieve.index.index import Index

address, sieve, folder = sys.argv[1:]
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
cluster.add_node(num_cpus=1)
killed = []

def kill(stage, done, total):
    if stage.startswith("indexing") and not killed:
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or ()  # None of one that is just ending
            if str(command[:1]).startswith("['ray::MapWorker") and not killed:
                process.kill()
                killed.append(process.pid)

done = Index(address).update(sieve, folder, embed=embed_on(cluster.address), progress=kill)
print(json.dumps({**done.to_dict(), "killed": len(killed), "nodes": len(ray.nodes())}))
ray.shutdown()
cluster.shutdown()
"""


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Four times the samples, no two files the same, and a bad one."""
    for number in range(4):
        for path in sorted((SAMPLES / "test").rglob("*.jpg")):
            target = tmp_path / "l" / f"{path.parent.name}-{number}" / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes() + bytes([number]))
    (tmp_path / "l" / "bad.jpg").write_text("no photo")
    return tmp_path / "l"


def test_a_cluster_that_loses_a_worker(many: Path, sieve: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLUSTER, str(tmp_path / "cluster"), str(sieve), str(many)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env={**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"},
    )
    assert done.returncode == 0, done.stderr
    # Ray itself says there, too, that a worker died.
    (found,) = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert found["nodes"] == 2
    assert found["killed"] == 1
    assert (found["added"], found["photos"], len(found["skipped"])) == (252, 252, 1)
    here = Index(tmp_path / "here")
    here.update(sieve, many)
    there = Index(tmp_path / "cluster")
    assert rows(there) == rows(here)
    np.testing.assert_allclose(there.snapshot.vectors, here.snapshot.vectors, atol=1e-4)
