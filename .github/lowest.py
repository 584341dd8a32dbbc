"""Print the lowest version of each direct dependency that pyproject.toml allows, as constraints.

The job of that name in .github/workflows/test.yml installs with them, so that a bound that is too
low fails there and not at a user's. torch keeps its tested version: an older one may bring
gigabytes of CUDA builds.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def lowest(requirements: list[str], tested: list[str]) -> list[str]:
    """Turn ``name>=1.2`` into ``name==1.2``; torch comes from the tested versions."""
    pinned = [re.sub(r"\[.*?\]", "", line).replace(">=", "==") for line in requirements]
    torch = [line for line in tested if line.startswith("torch==")]
    return torch + [line for line in pinned if not line.startswith("torch==")]


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    constraints = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    print(*lowest(project["dependencies"], constraints), sep="\n")
