"""Pictures of every state of the page: `python -m tests.screenshots ADDRESS FOLDER [STATE ...]`.

ADDRESS is that of a running `photosieve serve`; nothing in it is changed. Each state is taken in
four widths, in light and in dark, all of them on one sheet: FOLDER/STATE.png.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

SIZES = {390: 844, 820: 1180, 1440: 900, 2560: 1440}
SHEET_HEIGHT = 700


def open_first(page: Page) -> None:
    page.locator(".open").first.click()


def type_part(page: Page) -> None:
    page.locator("#query").press_sequentially("be")


def choose(entry: str) -> Callable[[Page], object]:
    """Press an entry of the menu."""

    def act(page: Page) -> None:
        page.get_by_label("More").click()
        page.click(entry)

    return act


def select_some(page: Page) -> None:
    for number in range(3):
        page.locator(".card").nth(number).hover()
        page.locator(".pick").nth(number).check()


STATES: dict[str, tuple[str, Callable[[Page], object] | None]] = {
    "wall": ("", None),
    "names": ("?sort=name", None),
    "building": ("", lambda page: page.locator(".tile").first.click()),
    "answer": ("?q=kitchen", None),
    "hover": ("?q=kitchen", lambda page: page.locator(".card").first.hover()),
    "review": ("?q=kitchen&sort=unsure&review=yes", None),
    "cut": ("?q=kitchen&cut=0.9", None),
    "scrolled": ("?q=window", lambda page: page.evaluate("scrollTo(0, 700)")),
    "none": ("?q=zorblax", None),
    "notes": ("?q=Küche, sofa -window", None),
    "error": ("?q=-sofa", None),
    "suggestions": ("", type_part),
    "menu": ("", lambda page: page.get_by_label("More").click()),
    "keys": ("", lambda page: page.keyboard.press("?")),
    "photo": ("?q=kitchen", open_first),
    "selection": ("?q=kitchen", select_some),
    "download": ("?q=kitchen", choose("#download")),
    "upload": ("", choose("#upload")),
    "labels": ("", choose("#vocabulary")),
    "import": ("", choose("#import-labels")),
    "export": ("", choose("#export-labels")),
    "versions": ("", choose("#show-versions")),
    "label": ("?view=label", None),
    "report": ("report", None),
}


def main(address: str, folder: Path, *only: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for state in only or STATES:
            path, act = STATES[state]
            shots = []
            for dark in (False, True):
                for width, height in SIZES.items():
                    page = browser.new_page(
                        viewport={"width": width, "height": height},
                        color_scheme="dark" if dark else "light",
                        has_touch=width < 500,
                    )
                    page.goto(f"{address}{path}", wait_until="networkidle", timeout=120_000)
                    if act:
                        act(page)
                    page.wait_for_load_state("networkidle")
                    page.wait_for_timeout(400)
                    file = folder / f"{state}-{'dark' if dark else 'light'}-{width}.png"
                    page.screenshot(path=file)
                    shots.append(Image.open(file).convert("RGB"))
                    page.close()
            sheet(shots, folder / f"{state}.png")
        browser.close()


def sheet(shots: list[Image.Image], file: Path) -> None:
    """Join the pictures of both themes, a row each."""
    half = len(shots) // 2
    small = [s.resize((round(s.width * SHEET_HEIGHT / s.height), SHEET_HEIGHT)) for s in shots]
    width = sum(s.width + 8 for s in small[:half])
    joined = Image.new("RGB", (width, 2 * SHEET_HEIGHT + 8), "magenta")
    for row, part in enumerate((small[:half], small[half:])):
        left = 0
        for shot in part:
            joined.paste(shot, (left, row * (SHEET_HEIGHT + 8)))
            left += shot.width + 8
    joined.save(file)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
