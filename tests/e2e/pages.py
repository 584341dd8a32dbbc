"""What stands on a page, and whether a program prints that."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    line: int
    language: str
    text: str

    def session(self) -> list[tuple[str, str]]:
        """Each command of a console with what stands below it."""
        parts = self.text.removeprefix("$ ").split("\n$ ")
        return [(command, output) for command, _, output in (p.partition("\n") for p in parts)]


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text("utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [Block(text[: m.start()].count("\n") + 1, m[1], m[2]) for m in found]


def without_digits(text: str) -> str:
    """Text as it is on any machine: seconds always differ, scores in the last place."""
    return re.sub(r" *[-+]?\d[\d.]*", " 0", re.sub(r" +$", "", text, flags=re.M)).strip()


def assert_printed(printed: str, shown: str, where: str) -> None:
    """Compare but for digits; where a page leaves something out, it says so with three dots."""
    shown = shown.rstrip("\n") + "\n"
    if "\n...\n" not in f"\n{shown}":
        assert without_digits(printed) == without_digits(shown), where
    for line in shown.replace("...\n", "").splitlines():
        assert without_digits(line) in without_digits(printed), (where, line)
