"""The scripts behind the README's figures run, and what they print supports what it says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the one whose figures the documentation has."""
    monkeypatch.setenv("BENCHMARK_RESULTS", str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_quality() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/quality.py", "--seeds", "1", "--data", "none",
         "--sets", "samples", "listings"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    labels, words = done.stdout.split("Other words")
    row = re.compile(r"^\| ([^|]+) \| (0\.\d+) \[.*?\] \| (0\.\d+) \[", re.M)
    f1 = {name: float(value) for name, _, value in row.findall(labels)}
    assert len(f1) == 5
    assert f1["probe, the default"] >= f1["notebooks' loss, cut by hand"] + 0.10
    assert f1["probe, the default"] == max(f1.values())
    precision = {name: float(value) for name, value, _ in row.findall(words)}
    assert precision["probe, the default"] >= precision["zero-shot"]
    assert "listings left out: there is no folder none/listings" in done.stdout


@pytest.mark.slow
def test_speed(results: Path) -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/speed.py"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^ratio +[\d.]+$", done.stdout, re.M)) == 1
    figures = json.loads((results / "speed.json").read_text("utf-8"))["figures"]
    assert len(figures["embedding"]) == 6


@pytest.mark.slow
def test_losses(results: Path) -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/losses.py", "--seeds", "1", "--houses", "none"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split("## Anchors")
    rows = dict(re.findall(r"^\| ([\w-]+) \| (0\.\d+) ", first, re.M))
    f1 = {name: float(value) for name, value in rows.items()}
    assert f1["probe"] > max(value for name, value in f1.items() if name != "probe")
    assert f1["zero-shot"] < min(f1["balanced"], f1["multi-positive"], f1["notebook"])
    assert "| balanced, anchors, interpolated |" in second
    figures = json.loads((results / "losses.json").read_text("utf-8"))["figures"]
    assert figures["recipes"][0]["listings: macro F1"] == rows["balanced"]


@pytest.mark.slow
def test_training() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/training.py", "--rounds", "1"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^\| (?:the last|everything).*\|$", done.stdout, re.M)) == 3
    assert "embedding: " in done.stdout


@pytest.mark.slow
def test_index() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/index.py", "--parts", "abd", "--photos", "20000"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    scopes = re.findall(r"^photosieve, a group of 30 photos .* p95 +([\d.]+)$", done.stdout, re.M)
    assert len(scopes) == 3
    assert max(map(float, scopes)) < 5  # milliseconds
    again, cold = map(float, re.findall(r"^ratio  +([\d.]+)$", done.stdout, re.M))
    assert again < 3
    assert cold < 1


@pytest.mark.slow
def test_scale() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/scale.py"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "the table, GB  " in done.stdout


@pytest.mark.slow
def test_proposals() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/proposals.py", "--listings", "none"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "nothing to measure: there is no folder none\n"


@pytest.mark.slow
def test_proof(results: Path) -> None:
    command = [sys.executable, "benchmarks/proof.py", "--seeds", "1", "--data", "none"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "houses left out: there is no folder none/houses" in done.stderr
    figures = json.loads((results / "proof.json").read_text("utf-8"))["figures"]
    accuracy = {
        record["method"]: record["value"]
        for record in figures["records"]
        if record["figure"] == "as_notebooks"
    }
    assert 0.7 < accuracy["always empty"] < accuracy["notebooks' loss, cut by hand"]
    assert accuracy["notebooks' loss, cut by hand"] < accuracy["probe, the default"]
    resumed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert resumed.stdout in done.stdout  # nothing is measured again


@pytest.mark.slow
def test_learning_curve(results: Path) -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/learning_curve.py", "--draws", "1", "--data", "none"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    curve = json.loads((results / "learning_curve.json").read_text("utf-8"))["figures"]["curve"]
    f1 = [float(row["rendered samples: macro F1"] or "nan") for row in curve]
    assert f1[0] < f1[2] < f1[4]
