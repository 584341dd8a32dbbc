"""Finding photos on the page: the wall, buildings, Back, the cut, a large photo, the report."""

import re

from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import no_violation, page_of


def kept(page: Page) -> int:
    return page.locator(".card:not(.out)").count()


def test_the_first_screen_shows_photos(browser: Browser, address: str) -> None:
    with page_of(browser, address) as page:
        tiles = page.locator(".tile")
        expect(tiles).to_have_count(14)
        expect(tiles.first.locator("img")).to_be_visible()
        expect(tiles.first).to_contain_text("7 photos, all labeled")
        no_violation(page)
        page.locator(".tile", has_text="harbour-view").click()
        expect(page.locator(".card")).to_have_count(8)
        expect(page).to_have_url(re.compile(r"in=train%2Fharbour-view"))
        page.go_back()
        expect(tiles).to_have_count(14)
        page.select_option("#sort", "name")
        expect(page.locator("#status")).to_contain_text("113 photos")
        page.locator(".card").nth(99).scroll_into_view_if_needed()
        expect(page.locator(".card")).to_have_count(113)  # the second page of photos came, too
        names = page.locator(".card .open").evaluate_all("all => all.map((e) => e.ariaLabel)")
        assert names == sorted(names, key=lambda name: name.split()[1])


def test_a_unique_part_of_a_name_chooses_a_building(browser: Browser, address: str) -> None:
    with page_of(browser, address) as page:
        page.fill("#group", "Fountain")
        expect(page.locator("#group-list li")).to_have_count(1)
        no_violation(page)
        page.press("#group", "Enter")
        expect(page.locator("#group")).to_have_value("test/fountain-square-3")
        expect(page.locator(".card")).to_have_count(9)
        page.fill("#group", "mill")
        page.press("#group", "Enter")
        expect(page.locator("#status")).to_contain_text("2 buildings have “mill” in their name")
        expect(page.locator("#group-list li")).to_have_count(2)
        page.press("#group", "ArrowDown")
        page.press("#group", "Enter")
        expect(page).to_have_url(re.compile("in=test%2Fmill-lane-6"))


def test_words_are_suggested_while_typing(browser: Browser, address: str) -> None:
    with page_of(browser, address) as page:
        page.fill("#query", "sofa -win")
        page.press("#query", "ArrowDown")
        page.press("#query", "Enter")
        expect(page.locator("#query")).to_have_value("sofa -window")
        expect(page.locator("#status")).to_contain_text("-window took out")
        page.fill("#query", "Küche")
        expect(page.locator("#status")).to_contain_text("may not be English")


def test_back_returns_to_each_view(browser: Browser, address: str) -> None:
    with page_of(browser, address) as page:
        page.fill("#query", "sofa")
        expect(page.locator("#status")).to_contain_text("match “sofa”")
        before = kept(page)
        page.select_option("#sort", "unsure")
        expect(page.locator(".rule")).to_have_count(0)
        page.locator(".open").first.click()
        page.click("text=Photos like this")
        expect(page.locator("#status")).to_contain_text("most alike first")
        expect(page.locator("#query")).to_have_value("")
        page.reload()  # the address holds it
        expect(page.locator("#status")).to_contain_text("most alike first")
        page.go_back()
        expect(page.locator("#query")).to_have_value("sofa")
        expect(page.locator("#sort")).to_have_value("unsure")
        page.go_back()
        expect(page.locator("#sort")).to_have_value("")
        expect(page.locator(".card:not(.out)")).to_have_count(before)
        page.go_back()
        expect(page.locator(".tile")).to_have_count(14)


def test_a_cut_is_remembered_and_can_be_set_for_a_label(browser: Browser, address: str) -> None:
    with page_of(browser, f"{address}?q=lamp") as page:
        expect(page.locator("#status")).to_contain_text("match “lamp”")
        learned = page.locator("#value").inner_text()
        page.locator("#threshold").fill("0.9")
        expect(page.locator("#value")).not_to_have_text(learned)
        moved, fewer = page.locator("#value").inner_text(), kept(page)
        page.goto(f"{address}?q=rug")
        expect(page.locator("#status")).to_contain_text("match “rug”")
        page.goto(f"{address}?q=lamp")
        expect(page.locator("#status")).to_contain_text(f"Your cut of {moved} is used again")
        expect(page.locator(".card:not(.out)")).to_have_count(fewer)
        page.click("#own-cut")
        expect(page.locator("#toast")).to_contain_text(f"The cut of “lamp” is {moved}")
        with page_of(browser, f"{address}?q=lamp") as other:  # somebody else sees it
            expect(other.locator("#status")).to_contain_text(f"label is set to {moved}")
            expect(other.locator(".card:not(.out)")).to_have_count(fewer)
        page.goto(f"{address}report")
        expect(page.locator("header")).to_contain_text(f"“lamp” {moved}")
        page.goto(f"{address}?q=lamp")
        page.click("#learned")
        expect(page.locator("#value")).to_have_text(learned)


def test_a_photo_called_wrong_leaves_the_answer_at_once(browser: Browser, address: str) -> None:
    with page_of(browser, f"{address}?q=kitchen&review=yes") as page:
        first = page.locator(".card").first
        second = page.locator(".open").nth(1).get_attribute("aria-label")
        expect(first.locator(".mark.yes")).to_be_visible()
        status = page.locator("#status")
        expect(status).to_contain_text("17 photos match")
        expect(page.locator("#more-photos")).to_be_hidden()  # no cut lets in a known wrong
        page.locator(".open").first.focus()
        page.keyboard.press("n")
        expect(status).to_contain_text("16 photos match")
        expect(first).to_have_class(re.compile(r"\bout\b"))
        expect(first.locator(".mark.no")).to_be_visible()
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == second
        page.keyboard.press("Control+z")
        expect(first).not_to_have_class(re.compile(r"\bout\b"))
        expect(first.locator(".mark.yes")).to_be_visible()


def test_a_large_photo_with_keys_and_mouse(browser: Browser, address: str) -> None:
    with page_of(browser, f"{address}?q=kitchen") as page:
        page.locator(".open").first.click()
        box, image = page.locator("#box"), page.locator("#box .stage img")
        expect(box.locator(".facts")).to_contain_text("pixels")
        expect(box.locator(".before")).to_be_hidden()
        first = box.locator("h2").inner_text()
        page.keyboard.press("+")
        assert "scale(1.5)" in str(image.get_attribute("style"))
        page.mouse.move(400, 400)
        page.mouse.wheel(0, -100)
        assert "scale(1.8)" in str(image.get_attribute("style"))
        page.keyboard.press("0")
        expect(image).to_have_attribute("style", "")  # nor does the small picture stand in any more
        page.keyboard.press("ArrowRight")
        expect(box.locator(".before")).to_be_visible()
        page.keyboard.press("ArrowLeft")
        expect(box.locator("h2")).to_have_text(first)
        no_violation(page)
        page.mouse.click(500, 4)  # beside the picture
        expect(box).to_be_hidden()
        page.keyboard.press("?")
        expect(page.locator("#keys")).to_contain_text("type a query")
        no_violation(page)
        page.keyboard.press("Escape")
        expect(page.locator("#keys")).to_be_hidden()


def test_a_phone_shows_photos_not_controls(browser: Browser, address: str) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with page_of(browser, f"{address}?q=window", **phone) as page:
        expect(page.locator("#status")).to_contain_text("match “window”")
        columns = "getComputedStyle(results).gridTemplateColumns.split(' ').length"
        assert page.evaluate(columns) == 2
        page.evaluate("scrollTo(0, 600)")
        free = """() => document.querySelector('#cut').getBoundingClientRect().top
            - document.querySelector('.first').getBoundingClientRect().bottom"""
        assert page.evaluate(free) >= 844 - 120
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.locator(".open").nth(8).tap()
        picture = page.locator("#box .stage img")
        first = picture.get_attribute("src") or ""
        swipe = """(stage) => {
            const touch = { pointerId: 1, pointerType: "touch", bubbles: true, clientY: 200 };
            const at = (x) => ({ ...touch, clientX: x });
            stage.setPointerCapture = () => {};
            for (const [name, x] of [["down", 300], ["move", 200], ["up", 120]])
              stage.querySelector("img").dispatchEvent(new PointerEvent(`pointer${name}`, at(x)));
        }"""
        page.locator("#box .stage").evaluate(swipe)
        expect(picture).not_to_have_attribute("src", first)
        no_violation(page)


def test_the_report_by_building_and_on_paper(browser: Browser, address: str) -> None:
    with page_of(browser, f"{address}report") as page:
        panel = page.locator("#explore .panel")
        expect(panel).to_be_visible()
        page.locator("#explore summary").click()
        expect(panel).to_be_hidden()
        page.select_option("#only", label="test/parkside-8")
        shown = page.locator(".query .building:visible .where").all_inner_texts()
        assert len(shown) == page.locator(".query").count()
        assert all(text.startswith("test/parkside-8") for text in shown)
        page.emulate_media(media="print")
        expect(page.locator("#explore")).to_be_hidden()
        page.emulate_media(media="screen")
        page.click("text=Back to the photos")
        expect(page.locator(".tile")).to_have_count(14)
