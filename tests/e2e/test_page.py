"""The page in a real browser, over the real command and the real model."""

import json
import re
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from photosieve.data.dataset import Dataset
from tests.e2e.browsing import no_violation, page_of, serving
from tests.e2e.conftest import SAMPLES

LEARNING = 600_000
"""Milliseconds for a training, on a machine that does other things too."""


def test_a_query_that_was_meant_is_one_press_away(browser: Browser, address: str) -> None:
    with page_of(browser, address) as page:
        page.fill("#query", "kichen \u2212window")
        suggestion = page.locator("#status button")
        expect(page.locator("#status")).to_contain_text("-window took out")
        expect(page.locator("#status")).to_contain_text("Did you mean kitchen -window?")
        no_violation(page)
        suggestion.click()
        expect(page.locator("#query")).to_have_value("kitchen -window")
        expect(page.locator("#status")).to_contain_text("match")
        expect(suggestion).to_have_count(0)


def test_search_and_move_the_cut(browser: Browser, address: str) -> None:
    with page_of(browser, address) as page:
        no_violation(page)
        page.fill("#query", "swimming pool")
        expect(page.locator("#status")).to_contain_text("photos match")
        kept = page.locator(".card:not(.out)")
        before = kept.count()
        assert 3 <= before <= 6
        expect(page.locator(".rule")).to_be_visible()
        no_violation(page)
        page.locator("#threshold").evaluate(
            "(e) => { e.value = 0.02; e.dispatchEvent(new Event('input')) }"
        )
        expect(page.locator("#status")).to_contain_text("in, 0 go out")
        assert kept.count() > before
        page.locator("#threshold").dispatch_event("change")
        expect(page.locator("#status")).to_contain_text("match")
        page.click("#learned")
        expect(kept).to_have_count(before)
        page.fill("#group", "test/fountain-square-3")
        page.press("#group", "Enter")
        expect(page.locator("#status")).to_contain_text("No matches")
        expect(page.locator(".rule")).to_contain_text("the closest photos")
        page.fill("#group", "no such place")
        page.press("#group", "Enter")
        expect(page.locator("#status")).to_contain_text("There is no group")


def test_with_the_keyboard_alone(browser: Browser, address: str) -> None:
    with page_of(browser, address) as page:
        page.keyboard.press("/")
        page.keyboard.type("kitchen")
        expect(page.locator("#status")).to_contain_text("match")
        page.keyboard.press("ArrowDown")
        opened = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert opened.startswith("Open photo-")
        page.keyboard.press("ArrowRight")
        second = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert second != opened
        page.keyboard.press(" ")
        expect(page.locator("#selected")).to_have_text("1 selected")
        no_violation(page)
        page.keyboard.press(" ")
        expect(page.locator("#selection")).to_be_hidden()
        page.keyboard.press("Enter")
        expect(page.locator("#box")).to_be_visible()
        expect(page.locator("#box .side")).to_contain_text("It is in")
        no_violation(page)
        page.keyboard.press("Escape")
        expect(page.locator("#box")).to_be_hidden()
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == second


def test_on_a_phone_in_the_dark(browser: Browser, address: str) -> None:
    options = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
    with page_of(browser, f"{address}?q=sofa", **options) as page:
        expect(page.locator("#status")).to_contain_text("match")
        no_violation(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.locator(".open").first.click()
        expect(page.locator("#box")).to_be_visible()
        assert page.evaluate("document.querySelector('#box').scrollWidth") <= 390


EVIL = "\"'><img src=x onerror=document.title='pwned'>"


def test_names_are_never_read_as_html(browser: Browser, sieve: Path, tmp_path: Path) -> None:
    """Names of photos, buildings and labels, wherever the page shows them, also when it reloads."""
    for number, (source, file) in enumerate(
        (("train/harbour-view", "train_labels.json"), ("test/willow-cottage", "test_labels.json"))
    ):
        building = tmp_path / "photos" / f"{EVIL}{number}"
        shutil.copytree(SAMPLES / source, building)
        labels = json.loads((building / file).read_text())
        name = next(name for name, own in labels.items() if own)
        (building / name).rename(building / f"{EVIL}.jpg")
        labels[f"{EVIL}.jpg"] = [*labels.pop(name), EVIL]
        (building / file).write_text(json.dumps(labels))
    options = ("--sieve", sieve, "--index", tmp_path / "index")

    def harmless(page: Page) -> None:
        assert page.locator("img[src=x], [onerror]").count() == 0
        assert page.title() != "pwned"

    with serving(tmp_path / "photos", *options) as address, page_of(browser, address) as page:
        expect(page.locator("#labels")).to_contain_text(EVIL)
        harmless(page)
        page.fill("#query", EVIL)
        page.fill("#group", f"{EVIL}0")
        page.press("#group", "Enter")
        expect(page.locator("#status")).to_contain_text("<img")
        page.reload()  # with the query and the building in the address
        expect(page.locator("#status")).to_contain_text("<img")
        harmless(page)
        page.get_by_label(f"Open {EVIL}.jpg").click()
        expect(page.locator("#box h2")).to_have_text(f"{EVIL}.jpg")
        harmless(page)
        page.keyboard.press("Escape")
        page.locator(".pick").first.check()
        page.fill("#bulk-label", f"{EVIL} again")
        page.click("button[name=add][value=add]")
        expect(page.locator("#labels")).to_contain_text(f"{EVIL} again")
        harmless(page)
        page.reload()
        expect(page.locator("#labels")).to_contain_text(f"{EVIL} again")
        harmless(page)
        page.click("#show-label")
        expect(page.locator("#labeling")).to_contain_text("Every photo has labels")
        harmless(page)
        page.goto(f"{address}report")
        expect(page.locator("main")).to_contain_text(EVIL)
        harmless(page)


def test_label_ten_photos_learn_keep_and_search_again(browser: Browser, address: str) -> None:
    """A word that means nothing to the model, given to the kitchens."""
    with page_of(browser, address) as page:
        page.fill("#query", "kitchen")
        expect(page.locator("#status")).to_contain_text("match")
        train = page.locator(".card", has=page.locator(".name[title^='train/']"))
        for number in range(7):
            train.nth(number).locator(".pick").check()
        page.fill("#bulk-label", "zorblax")
        page.click("button[name=add][value=add]")
        expect(page.locator("#labels")).to_contain_text("zorblax 7")
        page.fill("#query", "zorblax")
        expect(page.locator("#status")).to_contain_text("no label")
        for number in range(3):
            page.locator(".no").nth(number).click()
        page.click("#learn")
        page.wait_for_selector("text=Keep the new one", timeout=LEARNING)
        no_violation(page)
        expect(page.locator("#lesson")).to_contain_text("New: zorblax")
        expect(page.locator("#lesson")).to_contain_text("kept for testing")
        page.click("text=Keep the new one")
        expect(page.locator("#toast")).to_contain_text("new sieve", timeout=LEARNING)
        expect(page.locator("#status")).to_contain_text("match “zorblax”")
        shown = page.locator(".card:not(.out)")
        assert shown.count() >= 5
        assert page.locator(".card:not(.out) .tag", has_text="kitchen").count() >= 5
    with page_of(browser, f"{address}report") as page:
        expect(page.locator("h1")).to_contain_text("Does it find the right photos")


def test_a_folder_without_labels(browser: Browser, tmp_path: Path) -> None:
    truth = {}
    for labels in sorted((SAMPLES / "train").glob("*/train_labels.json")):
        house = tmp_path / "photos" / labels.parent.name
        house.mkdir(parents=True)
        for photo in sorted(labels.parent.glob("*.jpg"))[:5]:
            shutil.copy(photo, house)
        for name, own in json.loads(labels.read_text()).items():
            truth[f"{labels.parent.name} · {name}"] = own
    sieve = tmp_path / "sieve"
    with (
        serving(tmp_path / "photos", "--sieve", sieve, "--index", tmp_path / "index") as address,
        page_of(browser, address) as page,
    ):
        expect(page.locator("h1")).to_contain_text("These 30 photos have no labels yet")
        page.click("#begin")
        for number in range(24):
            expect(page.locator("#labeling .soft").first).to_contain_text(
                f"{number} labeled" if number else ".jpg"
            )
            if number == 1:
                no_violation(page)
            about = page.locator("#labeling .soft").first.inner_text()
            name = about.partition(".jpg")[0] + ".jpg"
            for chip in page.locator('#labeling .chip[aria-pressed="true"]').all_inner_texts():
                if chip not in truth[name]:  # a wrong guess
                    page.locator("#labeling .chip", has_text=re.compile(f"^{chip}$")).click()
            page.fill("#labeling form input", ", ".join(truth[name]))
            page.press("#labeling form input", "Enter")  # takes the words in
            page.press("#labeling form input", "Enter")  # saves
        expect(page.locator("#labeling .soft").first).to_contain_text("24 labeled")
        page.click("#learn")
        page.wait_for_selector("text=Keep the new one", timeout=LEARNING)
        row = page.locator("#lesson tr", has_text="F1, mean over labels").locator("td")
        before, after = (float(row.nth(column).inner_text()) for column in (0, 1))
        assert after > before
        page.click("text=Keep the new one")
        expect(page.locator("#toast")).to_contain_text("new sieve", timeout=LEARNING)
        page.click("#show-search")
        page.fill("#query", "kitchen")
        expect(page.locator("#status")).to_contain_text("match")
    found = Dataset.load(tmp_path / "photos")  # a labels file in the product's own format
    assert len(found) == 24
    assert found.counts()["kitchen"] >= 3


def test_a_login_page(browser: Browser, tmp_path: Path, sieve: Path) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(SAMPLES / "test" / "willow-cottage", photos)
    options = ("--sieve", sieve, "--index", tmp_path / "index", "--token", "a long secret")
    with serving(photos, *options) as address, page_of(browser, address) as page:
        assert page.url.endswith("/login")
        no_violation(page)
        page.fill("#token", "a long secret")
        page.click("text=Log in")
        expect(page.locator("h1")).to_contain_text("What are you looking for?")
        page.goto(f"{address}report")
        page.click("text=Back to the photos")  # with the cookie of the session
        expect(page.locator("h1")).to_contain_text("What are you looking for?")
        page.get_by_label("More").click()
        page.click("text=Log out")
        assert page.url.endswith("/login")
