"""Label mode, the selection, the dialog of labels, uploads and downloads, in a real browser."""

import csv
import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest
from playwright.sync_api import Browser, Page, expect

from photosieve.data.dataset import Dataset
from tests.e2e.browsing import no_violation, page_of, serving
from tests.e2e.conftest import SAMPLES

LEARNING = 240_000
"""Milliseconds for a training, on a machine that does other things too."""

PHOTOS = 60
"""Photos of the long journey."""

WORDS = ["kitchen", "living room", "bedroom", "bathroom", "sofa", "window", "lamp", "garden"]


def copy_unlabeled(folder: Path, count: int) -> dict[str, list[str]]:
    """Copy sample photos without their labels; give the labels by building and name."""
    truth: dict[str, list[str]] = {}
    for file in sorted(SAMPLES.glob("*/*/*_labels.json")):
        for name, own in json.loads(file.read_text()).items():
            if len(truth) < count:
                house = folder / file.parent.name
                house.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.parent / name, house)
                truth[f"{house.name} · {name}"] = own
    return truth


def shown(page: Page) -> str:
    """The building and the name of the photo to be labeled."""
    return page.locator("#labeling .side > p").last.inner_text()


def correct(page: Page, own: list[str]) -> int:
    """Tick what the guesses got wrong; return the number of clicks."""
    clicks = 0
    for number, word in enumerate(WORDS, 1):
        chip = page.locator(f'#labeling [data-tick="{word}"]')
        if (chip.get_attribute("aria-pressed") == "true") != (word in own):
            page.keyboard.press(str(number))
            clicks += 1
    return clicks


def test_unlabeled_photos_to_a_kept_sieve(
    browser: Browser, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """One press for each photo beyond ticking; guesses from the first photo on."""
    truth = copy_unlabeled(tmp_path / "photos", PHOTOS)
    sieve, index = tmp_path / "sieve", tmp_path / "index"
    presses = ticks = right = 0
    begun = monotonic()
    with (
        serving(tmp_path / "photos", "--sieve", sieve, "--index", index) as address,
        page_of(browser, address) as page,
    ):
        expect(page.locator("h1")).to_contain_text(f"These {PHOTOS} photos have no labels yet")
        page.click("#begin")
        page.fill("#own-words", ", ".join(WORDS))
        no_violation(page)
        page.press("#own-words", "Enter")
        presses += 2
        for number in range(PHOTOS):
            progress = page.locator("#labeling .progress")
            expect(progress).to_contain_text(f"{number} of {PHOTOS} photos labeled")
            if number == 5:
                no_violation(page)
                page.click("#show-search")
                expect(page.locator("#start")).to_contain_text(f"5 of {PHOTOS} photos are labeled")
                page.click("#show-label")  # and Enter saves, as before
            guessed = page.locator("#labeling .chip.guess").count()
            assert guessed or number
            wrong = correct(page, truth[shown(page)])
            right += max(guessed - wrong, 0) if number >= 5 else 0
            ticks += wrong
            page.keyboard.press("Enter")
            presses += 1
        expect(page.locator("#labeling")).to_contain_text("Every photo has labels", timeout=60_000)
        page.click("#learn")
        page.wait_for_selector("text=Keep the new one", timeout=LEARNING)
        page.click("text=Keep the new one")
        presses += 2
        expect(page.locator("#toast")).to_contain_text("new sieve", timeout=LEARNING)
        page.click("#show-search")
        page.fill("#query", "kitchen")
        expect(page.locator("#status")).to_contain_text("match")
    seconds = monotonic() - begun  # recorded alone: another machine takes other times
    counts = {"presses": presses, "ticks": ticks, "guessed": right, "seconds": round(seconds)}
    record_property("journey", counts)
    assert presses <= PHOTOS + 4
    assert ticks < PHOTOS * 2  # without guesses, each photo takes three on average
    found = Dataset.load(tmp_path / "photos")  # labels files in the product's own form
    assert len(found) == PHOTOS
    for photo, own, noes in zip(found.photos, found.labels, found.noes, strict=True):
        said = set(truth[f"{photo.parent.name} · {photo.name}"]) & set(WORDS)
        assert set(own) == said
        assert set(noes or ()) == set(WORDS) - said  # nothing is said of other words


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Nine photos without labels: the address of the page, and the folder. Tests may change it."""
    folder = tmp_path_factory.mktemp("small")
    copy_unlabeled(folder / "photos", 9)
    options = ("--sieve", folder / "sieve", "--index", folder / "index")
    with serving(folder / "photos", *options) as address:
        yield address, folder / "photos"


def labels_in(photos: Path) -> dict[str, object]:
    return {
        f"{file.parent.name}/{name}": own
        for file in photos.glob("*/labels.json")
        for name, own in json.loads(file.read_text()).items()
    }


def test_label_mode_with_the_keyboard_alone(browser: Browser, small: tuple[str, Path]) -> None:
    address, photos = small
    before = len(labels_in(photos))
    with page_of(browser, f"{address}?view=label") as page:
        expect(page.locator(".chooser, #labeling .progress").first).to_be_visible()
        if page.locator(".chooser").count():  # the first test of this module to come here
            page.click("text=All of rooms")
            page.click(".chooser .main")
        progress = page.locator("#labeling .progress")
        expect(progress).to_contain_text(f"{before} of 9 photos labeled")
        first = shown(page)
        page.keyboard.press("s")
        expect(page.locator("#labeling .side > p").last).not_to_have_text(first)
        second = shown(page)
        chip = page.locator("#labeling .toggles .chip").first
        was = chip.get_attribute("aria-pressed")
        page.keyboard.press("1")
        expect(chip).not_to_have_attribute("aria-pressed", str(was))
        page.keyboard.press("a")
        page.keyboard.type("zorblax, quux")
        page.keyboard.press("Enter")
        expect(page.locator('[data-tick="quux"][aria-pressed="true"]')).to_be_visible()
        page.keyboard.press("Enter")
        expect(progress).to_contain_text(f"{before + 1} of 9 photos labeled")
        assert len(labels_in(photos)) == before + 1
        page.keyboard.press("b")  # back: it is asked again, with the same ticks
        expect(progress).to_contain_text(f"{before} of 9 photos labeled")
        assert shown(page) == second
        expect(page.locator('[data-tick="quux"][aria-pressed="true"]')).to_be_visible()
        page.keyboard.press("Enter")
        expect(progress).to_contain_text(f"{before + 1} of 9 photos labeled")
        page.select_option("#labeling .progress select", "zorblax")
        expect(page.locator("#labeling h1")).to_contain_text("Does this photo show “zorblax”?")
        no_violation(page)
        page.keyboard.press("n")
        expect(progress).to_contain_text(f"{before + 2} of 9 photos labeled")
    said = [own for own in labels_in(photos).values() if own == {"yes": [], "no": ["zorblax"]}]
    assert len(said) == 1  # nothing about other labels


def test_label_mode_on_a_phone_in_the_dark(browser: Browser, small: tuple[str, Path]) -> None:
    options = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
    with page_of(browser, f"{small[0]}?view=label", **options) as page:
        expect(page.locator(".chooser, #labeling .progress").first).to_be_visible()
        no_violation(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_selection_by_range_by_drawing_and_by_keys(
    browser: Browser, small: tuple[str, Path]
) -> None:
    with page_of(browser, f"{small[0]}?q=window") as page:
        expect(page.locator(".card")).to_have_count(9)
        cards, selected = page.locator(".card"), page.locator("#selected")
        cards.nth(0).hover()
        page.locator(".pick").nth(0).click()
        page.locator(".pick").nth(3).click(modifiers=["Shift"])
        expect(selected).to_have_text("4 selected")
        no_violation(page)
        page.fill("#query", "sofa")  # it stays through another search
        expect(page.locator("#status")).to_contain_text("sofa")
        expect(selected).to_contain_text("4 selected")
        page.locator("#status").click()
        page.keyboard.press("Escape")
        expect(page.locator("#selection")).to_be_hidden()
        page.keyboard.press("Control+a")
        expect(selected).to_have_text("9 selected")
        page.keyboard.press("Escape")
        cards.nth(1).hover()
        start, end = page.locator(".pick").nth(1).bounding_box(), cards.nth(3).bounding_box()
        assert start
        assert end
        page.mouse.move(start["x"] + 8, start["y"] + 8)
        page.mouse.down()
        page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=6)
        page.mouse.up()
        expect(selected).to_have_text("3 selected")
        bar, first = page.locator("#selection").bounding_box(), cards.nth(0).bounding_box()
        assert bar
        assert first
        assert bar["y"] + bar["height"] <= first["y"]  # it covers no photo
        page.click("#save-selected")
        with page.expect_download() as download:
            page.click("#files [data-form=zip]")
        archive = zipfile.ZipFile(download.value.path())
        assert len(archive.namelist()) == 3
        page.fill("#bulk-label", "chosen")
        page.click("button[name=add][value=add]")
        expect(page.locator("#labels")).to_contain_text("chosen 3")


def test_labels_are_renamed_merged_split_and_deleted(
    browser: Browser, small: tuple[str, Path]
) -> None:
    address, photos = small
    with page_of(browser, f"{address}?q=window") as page:
        tab = page.context.new_page()  # it shows what the first tab changes
        tab.goto(f"{address}?q=window")
        expect(tab.locator("#status")).to_contain_text("“window”")
        for number, word in ((0, "couch"), (1, "couch"), (2, "settee")):
            page.locator(".card").nth(number).hover()
            page.locator(".pick").nth(number).click()
            page.fill("#bulk-label", word)
            page.click("button[name=add][value=add]")
            expect(page.locator("#selection")).to_be_hidden()
        before = labels_in(photos)
        expect(tab.locator("#labels [data-label=couch]")).to_contain_text("2")
        expect(tab.locator(".card .tag", has_text="couch")).to_have_count(2)
        expect(tab.locator("#learn")).to_have_text(page.inner_text("#learn"))
        page.click(".more")
        page.click("#vocabulary")
        words = page.locator("#words")
        words.get_by_label("Choose couch").check()
        words.get_by_label("Choose settee").check()
        no_violation(page)
        words.get_by_role("button", name="Merge 2").click()
        words.get_by_label("Name").fill("sofa")
        words.get_by_role("button", name="Merge", exact=True).click()
        expect(words.locator('[data-word="sofa"]')).to_contain_text("3")
        for shows in (page, tab):
            expect(shows.locator(".card .tag", has_text="sofa")).to_have_count(3)
        words.get_by_label("Rename sofa").click()
        words.get_by_label("Name").fill("couch")
        words.get_by_label("Name").press("Enter")
        expect(words.locator('[data-word="couch"]')).to_contain_text("3")
        words.get_by_label("Split couch").click()
        words.locator(".cell").first.click()
        words.get_by_label("Name").fill("armchair")
        words.get_by_role("button", name="Split").click()
        expect(words.locator('[data-word="armchair"]')).to_contain_text("1")
        words.get_by_label("Delete couch").click()
        words.get_by_role("button", name="Delete").click()
        expect(words.locator('[data-word="couch"]')).to_have_count(0)
        for _ in range(4):
            words.get_by_text("Undo the last change").click()
            expect(words.get_by_role("status")).to_contain_text("Undone")
            expect(words.get_by_text("Undo the last change")).to_be_enabled()
        expect(words.locator('[data-word="settee"]')).to_contain_text("1")
    assert labels_in(photos) == before


def drop(page: Page, file: Path) -> None:
    """Drop a file on the page, as from the desktop."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 9, "y": 300, "data": data})


def test_photos_and_labels_go_in_and_out(
    browser: Browser, small: tuple[str, Path], tmp_path: Path
) -> None:
    address, photos = small
    picture = next(photos.glob("*/*.jpg"))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(picture.read_bytes()[:500])
    with page_of(browser, address) as page:
        # The scripts that take what is dropped have run when they have made this.
        expect(page.get_by_role("group", name="Photos").get_by_role("link").first).to_be_visible()
        drop(page, picture)
        expect(page.locator("#uploads")).to_contain_text("1 file dropped")
        page.fill("#upload-group", "a new house")
        drop(page, broken)
        expect(page.locator("#uploads")).to_contain_text("2 files dropped")
        no_violation(page)
        page.click("#uploads .main")
        expect(page.locator("#uploads .failed")).to_contain_text("the upload cannot be used")
        expect(page.locator("#uploads [role=status]")).to_contain_text(
            "1 new photo can be found now", timeout=120_000
        )
        page.keyboard.press("Escape")
        expect(page.locator(".tile", has_text="a new house")).to_be_visible()
        assert (photos / "a new house" / picture.name).read_bytes() == picture.read_bytes()

        labels = tmp_path / "labels.json"
        labels.write_text(json.dumps({f"a new house/{picture.name}": ["imported"], "x.jpg": []}))
        page.click(".more")
        page.click("#import-labels")
        page.set_input_files("#labels-file", labels)
        no_violation(page)
        page.click("#files .main")
        expect(page.locator("#files")).to_contain_text("1 of 1 photos got other labels")
        expect(page.locator("#files li")).to_contain_text("x.jpg: there is no such photo")
        page.keyboard.press("Escape")
        expect(page.locator("#labels")).to_contain_text("imported 1")

        page.click(".more")
        page.click("#export-labels")
        with page.expect_download() as exported:
            page.click("#files [data-form=columns]")
        assert "imported" in exported.value.path().read_text().partition("\n")[0]
        page.keyboard.press("Escape")
        page.fill("#query", "imported")
        expect(page.locator("#status")).to_contain_text(re.compile("1 photo matches|photos match"))
        page.locator("#status").click()
        page.click(".more")
        page.click("#download")
        with page.expect_download() as table:
            page.click("#files [data-form=csv]")
        rows = csv.DictReader(io.StringIO(table.value.path().read_text()))
        assert picture.name in [row["photo"] for row in rows]
    (photos / "a new house" / picture.name).unlink()
