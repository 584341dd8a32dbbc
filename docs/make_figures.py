"""Write the measured figures into the pages: `python docs/make_figures.py`.

They come from `benchmarks/results/NAME.json`. A page has a figure between two comments, the first
of which names it:

    takes <!-- index/unchanged_ratio -->1.9<!-- / --> times as long

A new table starts as both comments on a line of their own. A place stays as it is until there is a
file of that name. `NAME/machine` is the processor, its
cores and its instruction sets.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"

PLACE = re.compile(
    r"(?P<start><!-- (?P<name>[\w-]+)/(?P<figure>\w+) -->).*?(?P<end><!-- / -->)", re.S
)


def pages() -> dict[Path, str]:
    """Return each page that has figures, and its text with the figures of today."""
    found = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    texts = {page: page.read_text("utf-8") for page in found}
    return {page: PLACE.sub(_filled, text) for page, text in texts.items() if PLACE.search(text)}


def _filled(place: re.Match[str]) -> str:
    file = RESULTS / f"{place['name']}.json"
    if not file.exists():
        return place[0]
    saved = json.loads(file.read_text("utf-8"))
    if place["figure"] == "machine":
        value = _machine(**saved["machine"])
    elif place["figure"] in saved["figures"]:
        value = saved["figures"][place["figure"]]
    else:
        raise SystemExit(f"no figure {place['figure']}: run python benchmarks/{place['name']}.py")
    text = f"\n\n{_table(value)}\n\n" if isinstance(value, list) else _text(value)
    return f"{place['start']}{text}{place['end']}"


def _machine(
    processor: str, instruction_sets: list[str], cores: int, limits: dict[str, str]
) -> str:
    """Describe a machine; of its instruction sets those that tell generations apart."""
    telling = {
        "AMX": "amx_int8", "AVX-512": "avx512f", "VNNI": "avx512_vnni avx_vnni",
        "bfloat16": "avx512_bf16 amx_bf16",
    }  # fmt: skip
    named = [name for name, any_of in telling.items() if {*any_of.split()} & {*instruction_sets}]
    if not named:
        named = ["AVX2"] if "avx2" in instruction_sets else []
    limited = [f"`{name}={value}`" for name, value in limits.items()]
    return ", ".join([f"{processor} ({', '.join(named)})", f"{cores} cores", *limited])


def _table(rows: list[dict[str, Any]]) -> str:
    columns = list(rows[0])
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)]]
    lines += [[_text(row[column]) for column in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,}"


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, "utf-8")
