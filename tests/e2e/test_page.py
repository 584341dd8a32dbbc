"""The page in a real browser, over the real command and the real model."""

import json
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

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
        page.fill("#query", "couch")  # known answers stay, wherever the cut is
        expect(page.locator("#status")).to_contain_text("“couch”")
        before = kept.count()
        page.locator("#threshold").evaluate(
            "(e) => { e.value = 0.02; e.dispatchEvent(new Event('input')) }"
        )
        expect(page.locator("#status")).to_contain_text("in, 0 go out")
        assert kept.count() > before
        page.locator("#threshold").dispatch_event("change")
        expect(page.locator("#status")).to_contain_text("match")
        page.click("#learned")
        expect(kept).to_have_count(before)
        page.fill("#query", "submarine")
        expect(page.locator("#status")).to_contain_text("“submarine”")
        page.fill("#group", "test/fountain-square-3")
        page.press("#group", "Enter")
        expect(page.locator("#status")).to_contain_text("No matches for “submarine” in 9 photos")
        expect(page.locator(".rule")).to_contain_text("the closest photos")
        page.fill("#group", "no such place")
        page.press("#group", "Enter")
        expect(page.locator("#status")).to_contain_text("There is no building")


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
