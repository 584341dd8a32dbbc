"""A word is taught, an answer is corrected, and nothing of it is lost, in a real browser."""

import re

from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import no_violation, page_of

LEARNING = 240_000
"""Milliseconds for a training, on a machine that does other things too."""


def ask(page: Page, query: str) -> None:
    page.fill("#query", query)
    expect(page.locator("#status")).to_contain_text(f"“{query}”")


def test_a_new_word_and_a_wrong_answer_are_learned(browser: Browser, address: str) -> None:
    with page_of(browser, address) as page:
        ask(page, "kitchen")
        train = page.locator(".card", has=page.locator(".name[title^='train/']"))
        for number in range(5):
            train.nth(number).locator(".pick").check()
        page.fill("#bulk-label", "zorblax")
        page.click("button[name=add][value=add]")
        expect(page.locator("#labels")).to_contain_text("zorblax 5")

        ask(page, "zorblax")
        status = page.locator("#status")
        expect(status).to_contain_text("labeled on 5 photos, not learned yet")
        expect(page.locator(".card:not(.out) .mark.yes")).to_have_count(5)  # they are in the answer
        expect(page.locator(".mark.no")).to_have_count(0)  # nobody said no to any photo
        page.click("#review")
        card = page.locator(".card", has_not=page.locator(".mark.yes")).first
        wrong = page.locator(f".card[data-photo='{card.get_attribute('data-photo')}']")
        wrong.locator(".no").click()
        expect(wrong).to_have_class("card out")
        no_violation(page)

        page.click("#learn")
        page.reload()  # in the middle of it
        pill = page.locator("#job")
        expect(pill).to_contain_text("Result is ready", timeout=LEARNING)
        expect(page.locator("#learn")).to_be_hidden()  # the pill does the same
        with page_of(browser, address) as other:  # another tab, opened later
            expect(other.locator("#job")).to_contain_text("Result is ready")
            pill.click()
            lesson = page.locator("#lesson")
            expect(lesson).to_contain_text("zorblax: new, not tested yet")
            expect(lesson.locator(".outcome")).to_have_text(
                re.compile("No clear difference|The new sieve is (better|worse)")
            )
            no_violation(page)
            lesson.locator("summary", has_text="Figures").click()
            expect(lesson).to_contain_text("kept for testing")
            page.click("text=Keep the new one")
            expect(page.locator("#toast")).to_contain_text("new sieve", timeout=LEARNING)
            expect(pill).to_be_hidden()
            other.reload()
            expect(other.locator("#results .tile").first).to_be_visible()
            expect(other.locator("#job")).to_be_hidden()
        expect(status).to_contain_text("match “zorblax”")
        expect(status).not_to_contain_text("not learned yet")
        assert page.locator(".card:not(.out) .tag", has_text="kitchen").count() >= 5

        page.click(".more")
        page.click("#show-versions")
        first = page.locator("#versions li", has_text="before the first learning")
        expect(page.locator("#versions li", has_text="40 labels")).to_contain_text("in use")
        no_violation(page)
        first.get_by_role("button").click()
        expect(page.locator("#toast")).to_contain_text(
            "Searches use the sieve of", timeout=LEARNING
        )
        expect(status).to_contain_text("labeled on 5 photos, not learned yet")


def test_learning_is_stopped_from_the_pill(browser: Browser, address: str) -> None:
    with page_of(browser, address) as page:
        page.click("#learn")
        page.click("text=Go on working")
        page.click("#job")
        page.click("text=Stop learning")
        expect(page.locator("#job")).to_be_hidden()
        expect(page.locator("#lesson")).to_be_hidden()
        page.reload()
        expect(page.locator("#results .tile").first).to_be_visible()
        expect(page.locator("#job")).to_be_hidden()
