"""The page's modules that compute, in a browser and without a server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from photosieve import server

STATIC = Path(server.__file__).with_name("static")


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """An empty page that can import the modules."""

    def answer(route: Route) -> None:
        file = STATIC / route.request.url.rpartition("/static/")[2]
        if file.suffix == ".js":
            route.fulfill(path=file, content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html><title>empty</title>", content_type="text/html")

    context = browser.new_context()
    page = context.new_page()
    page.route("**/*", answer)
    page.goto("http://page.test/")
    yield page
    context.close()


def call(page: Page, module: str, function: str, *given: Any) -> Any:
    """What a function of a module returns."""
    program = "async ([m, f, given]) => (await import(`/static/${m}.js`))[f](...given)"
    return page.evaluate(program, [module, function, list(given)])


def test_an_address_holds_the_view(page: Page) -> None:
    read = call(page, "route", "read", "?q=+sofa&cut=0.30&sort=unsure&in=a%2Fb&view=label")
    shown = {key: value for key, value in read.items() if value}
    assert shown == {"q": "sofa", "cut": "0.30", "sort": "unsure", "in": "a/b", "view": "label"}
    assert call(page, "route", "read", "?like=0123456789abcdef")["like"] == "0123456789abcdef"
    assert call(page, "route", "read", "?like=zzz")["like"] == ""
    assert call(page, "route", "read", f"{call(page, 'route', 'write', read)[1:]}") == read
    assert call(page, "route", "write", call(page, "route", "read", "")) == "."


def test_an_address_that_makes_no_sense_says_nothing(page: Page) -> None:
    read = call(
        page, "route", "read", "?cut=2&sort=x&view=constructor&known=1&cut2=1&labeled=maybe"
    )
    assert not any(read.values())
    assert call(page, "route", "read", "?cut=NaN")["cut"] == ""
    assert len(call(page, "route", "read", "?q=" + "a" * 9999)["q"]) == 500


def test_back_goes_through_queries_not_through_letters(page: Page) -> None:
    steps = page.evaluate(
        """async () => {
        const { go, current, onRoute } = await import("/static/route.js");
        const seen = [];
        onRoute((route) => seen.push(route.q));
        const wait = () => new Promise((d) => addEventListener("popstate", d, { once: true }));
        const before = history.length;
        for (const q of ["s", "so", "sofa"]) go({ q }, { typing: true });
        go({ cut: "0.3" });
        go({ cut: "0.4" }, { replace: true });
        const added = history.length - before;
        history.back(); await wait();
        const back = current();
        history.back(); await wait();
        return { added, back, first: current(), seen };
    }"""
    )
    assert steps["added"] == 2
    assert (steps["back"]["q"], steps["back"]["cut"]) == ("sofa", "")
    assert steps["first"]["q"] == ""
    assert steps["seen"] == ["s", "so", "sofa", "sofa", "sofa", "sofa", ""]


LABELS = [["sofa", "21"], ["sofa bed", "3"], ["kitchen", "9"], ["Living room", "4"]]


def completed(page: Page, text: str, *recent: str) -> list[str]:
    found = call(page, "suggest", "completions", text, LABELS, list(recent))
    return [entry["text"] for entry in found]


def test_the_term_that_is_typed_is_completed(page: Page) -> None:
    assert completed(page, "so") == ["sofa", "sofa bed"]
    assert completed(page, "kitchen -so") == ["kitchen -sofa", "kitchen -sofa bed"]
    assert completed(page, "kitchen + liv") == ["kitchen + Living room"]
    assert completed(page, "TV|ro") == ["TV|Living room"]
    assert completed(page, "sofa") == []  # a label needs no completion
    assert completed(page, "xyz") == []
    assert completed(page, "", "sofa -window", "bath") == ["sofa -window", "bath"]
    assert completed(page, "ki", "kitchen", "kites") == ["kitchen", "kites"]
    (one,) = call(page, "suggest", "completions", "ba", [["bath", "1"]], [])
    assert one["note"] == "1 photo"


def test_the_next_cut_with_more_or_fewer_photos(page: Page) -> None:
    probabilities = [0.9, 0.62, 0.41, 0.33, 0.31, 0.02]
    assert call(page, "next_cut", "nextCut", probabilities, 0.41, 1) == {"cut": 0.3, "photos": 2}
    assert call(page, "next_cut", "nextCut", probabilities, 0.41, -1) == {"cut": 0.45, "photos": 1}
    assert call(page, "next_cut", "nextCut", probabilities, 0.3, 1) is None  # not down to 0
    assert call(page, "next_cut", "nextCut", [0.97], 0.9, -1) is None  # nor up to 1
    assert call(page, "next_cut", "nextCut", [], 0.5, 1) is None


def test_counts_of_a_histogram(page: Page) -> None:
    photos = [{"probability": p, "kept": p > 0.5} for p in (0, 0.24, 0.26, 1)]
    assert call(page, "next_cut", "histogram", photos, 4) == [[0, 2], [0, 1], [0, 0], [1, 0]]


def test_what_this_browser_remembers(page: Page) -> None:
    program = """async () => {
        const m = await import("/static/recent.js");
        localStorage.clear();
        for (let n = 0; n < 30; n += 1) m.remember(`q${n}`);
        m.remember("q29");
        for (const [q, cut] of [[" Sofa ", "0.3"], ["bed", "0.5"], ["bed", ""]]) m.keepCut(q, cut);
        const kept = [m.queries().length, m.queries()[0], m.cutOf("sofa"), m.cutOf("bed")];
        localStorage.setItem("photosieve.cuts", "{broken");
        localStorage.setItem("photosieve.queries", '{"a":1}');
        return [...kept, m.cutOf("sofa"), m.queries()];
    }"""
    assert page.evaluate(program) == [20, "q29", "0.3", "", "", []]


def test_a_zoom_holds_the_point_below_the_pointer(page: Page) -> None:
    place = {"scale": 1, "x": 0, "y": 0}
    assert call(page, "zoom", "zoomed", place, 2, {"x": 100, "y": -50}) == {
        "scale": 2, "x": -100, "y": 50,
    }  # fmt: skip
    far = call(page, "zoom", "zoomed", {"scale": 2, "x": 30, "y": 0}, 0.1, {"x": 9, "y": 9})
    assert far == place
    assert call(page, "zoom", "held", {"scale": 2, "x": 999, "y": -999}, 400, 300) == {
        "scale": 2, "x": 200, "y": -150,
    }  # fmt: skip


def test_a_query_that_was_read_in_another_way_than_meant(page: Page) -> None:
    def said(word: str, *strange: str) -> list[str]:
        return list(call(page, "readings", "readings", [word], ["window"], strange))

    assert said("sofa") == []
    assert said("floor-to-ceiling") == []
    (both,) = said("sofa, window")
    assert "sofa + window" in both
    assert "sofa|window" in both
    (minus,) = said("sofa-window")
    assert "sofa -window" in minus
    (language,) = said("Küche")
    assert "English" in language
    assert said("Küche", "Küche") == [language]
    assert said("Fenster", "sofa") == []
    (language,) = said("Fenster", "Fenster")
    assert "If “Fenster” is not English" in language


def test_words_with_commas_each_once(page: Page) -> None:
    assert call(page, "vocabularies", "split", " Sofa,, sofa ;sea  view\n<b>", ["bed"]) == [
        "Sofa", "sea view", "<b>",
    ]  # fmt: skip
    assert call(page, "vocabularies", "split", "T\u2011Shirt", ["t-shirt"]) == []
    assert len(call(page, "vocabularies", "split", "a" * 500)[0]) == 100


def test_the_labels_of_a_photo_in_words(page: Page) -> None:
    def said(labels: list[str] | None, no: list[str] | None) -> str:
        return str(call(page, "labels", "summary", {"labels": labels, "no": no}))

    assert said(["sofa", "bed"], None) == "sofa, bed"
    assert said(None, None) == said([], []) == "not labeled"
    assert said([], None) == "none of the labels"
    assert said([], ["sofa"]) == "not sofa"
    assert said([], ["a", "b", "c", "d"]) == "none of 4 labels"


def test_labels_keep_the_order_in_which_they_were_chosen(page: Page) -> None:
    labels = ["sofa", "bed", "Kitchen", "lamp"]  # the most frequent first
    chosen = ["kitchen", "sofa", "renamed since"]
    assert call(page, "vocabularies", "inOrder", labels, chosen) == [
        "Kitchen", "sofa", "bed", "lamp",
    ]  # fmt: skip
    assert call(page, "vocabularies", "inOrder", labels, []) == labels


def test_ticks_say_yes_and_no_for_the_labels_shown_alone(page: Page) -> None:
    program = """async () => {
        const { ticks } = await import("/static/ticks.js");
        const labels = Array.from({ length: 70 }, (_, n) => `label ${n}`);
        const facts = [{ label: "label 0", yes: 3, test: 1, wanted: 3 }];
        const added = [];
        const add = (words) => added.push(...words);
        const list = ticks({ name: "a.jpg" }, labels, ["LABEL 1", "label 69"], facts, add);
        list.press(0);
        list.press(1);
        list.take("Label 2, new");
        const { yes, no } = list.answer();
        const text = list.element.firstChild.textContent;
        return { yes, no: no.length, hidden: list.hidden, added, text };
    }"""
    assert page.evaluate(program) == {
        "yes": ["label 0", "label 2", "new"], "no": 58, "hidden": 10, "added": ["new"],
        "text": "1label 02/5",
    }  # fmt: skip
