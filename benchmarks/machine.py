"""The machine that figures come from, the time that work takes on it, and the file they go to.

Each script here prints its figures and writes them to `results/NAME.json`, which is committed. The
tables in the documentation are made from these files by `docs/make_figures.py`.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(os.environ.get("BENCHMARK_RESULTS", Path(__file__).with_name("results")))

Row = Mapping[str, float | str]
Figure = float | str | Sequence[Row]
"""A number, a text, or a table: a list of rows, each a mapping from column to value."""

_TELLING = r"avx512\w*|avx\w*|amx\w*|fma|sse4_2|neon|asimd\w*|sve2?|i8mm|bf16"
"""Instruction sets that decide how fast a model runs."""

_LIMITS = "OMP_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"
"""Environment variables that keep libraries from using all of a processor."""


@dataclass
class Clock:
    """Seconds that something took.

    Parameters
    ----------
    wall : float
        From start to end.
    cpu : float
        Of processors, in user and system mode, by this process and by the processes that it started
        and that have ended. It hardly depends on what else the machine does.
    """

    wall: float = math.nan
    cpu: float = math.nan

    def __str__(self) -> str:
        return f"{self.cpu:.2f} CPU s, {self.wall:.2f} s on the clock"


@contextmanager
def clock() -> Iterator[Clock]:
    """Measure a block: read the clock after it."""
    measured = Clock()
    wall, cpu = time.perf_counter(), _cpu_seconds()
    yield measured
    measured.wall, measured.cpu = time.perf_counter() - wall, _cpu_seconds() - cpu


def timed(call: Callable[[], object]) -> Clock:
    """Measure a call."""
    with clock() as measured:
        call()
    return measured


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of the processes that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


_BEGUN = time.perf_counter()


def instruction_sets() -> list[str]:
    """Return the instruction sets of this processor that speed up models; none if unknown."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return []
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.M)
    return sorted(set(re.findall(rf"\b(?:{_TELLING})\b", flags[1]))) if flags else []


def machine() -> dict[str, Any]:
    """Describe this machine, for JSON."""
    try:
        found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return {
        "processor": found[1] if found else platform.processor() or platform.machine(),
        "instruction_sets": instruction_sets(),
        "cores": len(os.sched_getaffinity(0)),
        "limits": {name: os.environ[name] for name in _LIMITS if name in os.environ},
    }


def isa_suffix() -> str:
    """End the name of results where libraries are kept from using all of the processor."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    return f"-{limit.lower()}" if limit else ""


def products() -> dict[str, float]:
    """Measure matrix products: operations in a CPU second, by precision.

    The limit of any model on this machine: a precision that its processor lacks is slow here.
    """
    import torch

    def measure(multiply: Callable[[], object], side: int = 1024) -> float:
        multiply()
        return 2 * side**3 / min(timed(multiply).cpu for _ in range(3))

    left, right = torch.randn(2, 1024, 1024)
    half = left.bfloat16(), right.bfloat16()
    small = (50 * left).to(torch.int8), (50 * right).to(torch.int8)
    return {
        "float32": measure(lambda: torch.mm(left, right)),
        "bfloat16": measure(lambda: torch.mm(*half)),
        "int8": measure(lambda: torch._int_mm(*small)),
    }


def write(name: str, figures: Mapping[str, Figure]) -> None:
    """Write figures to `results/NAME.json`.

    Those of other parts of a script stay if they come from the same machine, and are dropped if
    they do not.

    Parameters
    ----------
    name : str
        Of the script.
    figures : mapping of str to figure
        Numbers are rounded to three digits.

    Prints the processor, and the time since this module was loaded.
    """
    here, file = machine(), RESULTS / f"{name}.json"
    old = json.loads(file.read_text("utf-8")) if file.exists() else {}
    kept = old["figures"] if old.get("machine") == here else {}
    saved = {"machine": here, "figures": {**kept, **rounded(figures)}}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(saved, indent=1, ensure_ascii=False) + "\n", "utf-8")
    sets = ", ".join(here["instruction_sets"])
    took = Clock(time.perf_counter() - _BEGUN, _cpu_seconds())
    print(f"\n{here['processor']} ({sets}), {here['cores']} cores: {took}: written to {file.name}")


def table(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table, as the documentation has them."""
    lines = [list(rows[0]), ["---", *["---:"] * (len(rows[0]) - 1)]]
    lines += [[str(rounded(value)) for value in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def by_row(columns: Mapping[str, Mapping[str, str]]) -> list[dict[str, float | str]]:
    """Return a table of some columns, with a dash where a column lacks a row."""
    names = dict.fromkeys(name for column in columns.values() for name in column)
    return [
        {"": name, **{title: column.get(name, "-") for title, column in columns.items()}}
        for name in names
    ]


def mean_and_range(values: Sequence[float]) -> str:
    """Return mean, lowest and highest of some fractions as text; a dash if there is none."""
    if not any(math.isfinite(value) for value in values):
        return "-"
    mean = sum(values) / len(values)
    return f"{mean:.3f} ({min(values):.3f} to {max(values):.3f})"


def rounded(value: Any) -> Any:
    """Round all numbers in a value to three digits, as `write` does."""
    if isinstance(value, Mapping):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    if isinstance(value, str | int):
        return value
    number = float(f"{value:.3g}")
    return int(number) if abs(number) >= 100 else number
