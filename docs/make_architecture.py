"""Draw docs/architecture.svg from the imports of the package: `python docs/make_architecture.py`.

Each package is a box with its modules, and lies on the line where the import rule puts it. An arrow
goes down to what a package imports; one that follows from two others is left out.
"""

from __future__ import annotations

import ast
import functools
import textwrap
from collections.abc import Mapping
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / "src" / "photosieve"
PAGE = Path(__file__).with_name("architecture.svg")

LINES: tuple[dict[str, tuple[int, int]], ...] = (
    {"cli": (0, 900)},
    {"server": (0, 900)},
    {"index": (0, 442), "report": (458, 900)},
    {"sieve": (0, 900)},
    {"training": (0, 900)},
    {"encoders": (180, 900)},
    {"decision": (0, 402), "data": (418, 780), "cache": (796, 900)},
    {"checksums": (0, 160), "errors": (176, 500), "storage": (516, 700), "progress": (716, 900)},
)
"""The eight lines of the import rule, and where each box begins and ends."""

SHOWN_LIBRARIES = ("torch", "transformers", "lancedb", "fastapi", "typer")

MARGIN, GAP, HEAD, LINE, LETTER = 20, 34, 46, 17, 7.0

STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1c2126}.name{font-size:15px;font-weight:700}"
    ".note{fill:#5b6670;font-size:12px}.modules{font:12px ui-monospace,monospace;fill:#0f6b5c}"
    ".box{fill:#f2f7f5;stroke:#0f6b5c;stroke-width:1.2}"
    ".arrow{stroke:#5b6670;stroke-width:1.6;marker-end:url(#head)}"
)


@functools.cache
def rooms() -> dict[str, dict[str, ast.Module]]:
    """Read the sources: each package or root module, with its modules by name."""
    found: dict[str, dict[str, ast.Module]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        *folders, name = path.relative_to(ROOT).with_suffix("").parts
        room, inside = (folders[0], folders[1:]) if folders else (name, [])
        found.setdefault(room, {})["/".join([*inside, name])] = ast.parse(path.read_text("utf-8"))
    return found


def imported(module: ast.Module) -> set[str]:
    """Return the full names that a module imports anywhere, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def arrows(house: Mapping[str, Mapping[str, ast.Module]]) -> dict[str, set[str]]:
    """Return for each room the rooms that it imports."""
    return {
        room: {
            name.split(".")[1]
            for module in modules.values()
            for name in imported(module)
            if name.startswith("photosieve.")
        }
        - {room}
        for room, modules in house.items()
    }


def floors(uses: Mapping[str, set[str]]) -> int:
    """Return how many rooms the longest chain of imports goes through."""

    def height(room: str) -> int:
        return 1 + max(map(height, uses[room]), default=0)

    return max(map(height, uses))


def counts() -> str:
    """Say how large the house is."""
    house = rooms()
    uses = arrows(house)
    return (
        f"{len(house)} rooms, {floors(uses)} floors, {sum(map(len, uses.values()))} arrows; "
        f"{sum(map(len, house.values()))} modules"
    )


def page() -> str:
    """Draw the picture."""
    house = rooms()
    uses = arrows(house)
    boxes, y = {}, MARGIN
    for line in LINES:
        height = max(_height(house[room], span) for room, span in line.items())
        boxes |= {room: (*span, y, y + height) for room, span in line.items()}
        y += height + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {900 + 2 * MARGIN} {y + 24}" '
        'role="img" aria-label="The packages of photosieve and the imports between them">',
        f"<style>{STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#5b6670"/></marker></defs>',
        f'<rect width="{900 + 2 * MARGIN}" height="{y + 24}" fill="#fff"/>',
        f'<g transform="translate({MARGIN} 0)">',
        *(
            _arrow(boxes, above, below)
            for above in boxes
            for below in boxes
            if below in uses[above] and not _follows(uses, above, below)
        ),
        *(_box(room, house[room], boxes[room]) for room in boxes),
        _text(0, y - 4, f"{counts()}. Each line imports only from lines below it.", "note"),
        _text(
            0, y + 13,
            "Left out: arrows that follow from two others, and the two rooms that nothing imports: "
            "__init__ (every public name) and __main__.",
            "note",
        ),
        "</g>",
        "</svg>\n",
    ]  # fmt: skip
    return "\n".join(parts)


def _follows(uses: Mapping[str, set[str]], above: str, below: str) -> bool:
    """Tell whether a longer way of imports leads to the same room."""
    return any(below in uses[room] or _follows(uses, room, below) for room in uses[above])


def _modules(modules: Mapping[str, ast.Module], left: int, right: int) -> list[str]:
    names = [name for name in modules if not name.endswith("__init__")]
    if "__init__" not in modules:  # it is a module of the root, whose name is in the heading
        return []
    return textwrap.wrap(", ".join(names), int((right - left - 24) / 7.4), break_on_hyphens=False)


def _purpose(modules: Mapping[str, ast.Module], left: int, right: int) -> list[str]:
    text = (ast.get_docstring(next(iter(modules.values()))) or "").partition("\n\n")[0]
    return textwrap.wrap(text, int((right - left - 24) / LETTER))


def _height(modules: Mapping[str, ast.Module], span: tuple[int, int]) -> int:
    return HEAD + LINE * (len(_purpose(modules, *span)) + len(_modules(modules, *span)) - 1)


def _box(room: str, modules: Mapping[str, ast.Module], box: tuple[int, int, int, int]) -> str:
    left, right, top, bottom = box
    names = {name.split(".")[0] for module in modules.values() for name in imported(module)}
    libraries = ", ".join(library for library in SHOWN_LIBRARIES if library in names)
    lines = [(line, "") for line in _purpose(modules, left, right)]
    lines += [(line, "modules") for line in _modules(modules, left, right)]
    return "\n".join(
        [
            f'<rect class="box" x="{left}" y="{top}" width="{right - left}" '
            f'height="{bottom - top}" rx="6"/>',
            _text(left + 12, top + 20, room, "name"),
            _text(right - 12, top + 20, libraries, "note", "end"),
            *(
                _text(left + 12, top + 20 + LINE * row, line, kind)
                for row, (line, kind) in enumerate(lines, 1)
            ),
        ]
    )


def _arrow(boxes: Mapping[str, tuple[int, int, int, int]], above: str, below: str) -> str:
    """Draw an arrow straight down, through a column that no box between the two stands in."""
    left, right, _, start = boxes[above]
    low, high, end, _ = boxes[below]
    between = [(a, b) for a, b, top, bottom in boxes.values() if start < top and bottom < end]
    free = [
        x
        for x in range(max(left, low) + 20, min(right, high) - 19, 10)
        if not any(a - 8 <= x <= b + 8 for a, b in between)
    ]
    x = free[len(free) // 2] if free else (left + right) // 2
    foot = x if free else (low + high) // 2
    return f'<line class="arrow" x1="{x}" y1="{start}" x2="{foot}" y2="{end - 1}"/>'


def _text(x: int, y: int, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    print(counts())  # noqa: T201
