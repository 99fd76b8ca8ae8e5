"""What Discard, or a release, threw away is shown once more: it is the last copy. No text of a stranger is too long or too clever for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from tests.support.browser import Browser
from tests.support.page import PageStandIn
from tests.support.waiting import wait_until

FOCUS = "return document.activeElement.id"
AT_MS = 1_790_000_000_000


@pytest.fixture(autouse=True)
def opened(browser: Browser, page: PageStandIn) -> None:
    browser.open(page.url)
    browser.wait_for_text("#word", "FAILING")
    wait_until(lambda: page.streams)


def discard(browser: Browser, page: PageStandIn, messages: Sequence[Any]) -> None:
    done = f"{len(messages)} messages discarded"
    page.answers["discard"] = (200, {"done": done, "count": len(messages), "messages": messages})
    browser.run("ask('discard', page.overview.waiting.rows[0])")
    browser.find("#ask-go").click()
    browser.wait_until(lambda: browser.is_shown("#gone"))


def test_last_copy_is_shown_and_saved_as_it_came(browser: Browser, page: PageStandIn, tmp_path: Path) -> None:
    evil = "<img src=x onerror=\"document.title='taken'\">\nb\u202e\x1b[2J"
    messages = [{"message": evil, "receivedAt": AT_MS}, "words of another program", {"odd": [1]}]
    discard(browser, page, messages)
    assert not browser.is_shown("#ask")
    assert browser.run(FOCUS) == "gone-title"
    assert browser.read("#gone-title") == "Discarded: 3 messages of +7 900 •••67"
    rows = "return [...document.querySelectorAll('#gone-list bdi')].map((node) => node.textContent)"
    assert browser.run(rows) == [
        "<img src=x onerror=\"document.title='taken'\">\nb\\u202e\\u001b[2J",
        '"words of another program"',
        '{"odd":[1]}',
    ]
    assert browser.find_all("#gone-list img") == []
    assert not browser.is_shown("#gone-more")
    browser.save_downloads_in(tmp_path)
    browser.press(Keys.TAB, Keys.TAB)
    assert browser.run(FOCUS) == "gone-save"
    browser.press(Keys.ENTER)
    saved = tmp_path / "discarded-79001234567.json"
    browser.wait_until(saved.exists)
    assert json.loads(saved.read_text()) == {
        "done": "3 messages discarded",
        "count": 3,
        "messages": messages,
    }
    assert browser.is_shown("#gone"), "it stays until somebody closes it"


def test_closing_forgets_it_and_the_focus_goes_to_the_heading(browser: Browser, page: PageStandIn) -> None:
    discard(browser, page, [{"message": "hello"}])
    browser.press(Keys.ESCAPE)
    browser.wait_until(lambda: not browser.is_shown("#gone"))
    browser.wait_until(lambda: browser.run(FOCUS) == "waiting-title")
    assert "hello" not in browser.run("return document.getElementById('gone').textContent")
    assert browser.run("return document.getElementById('gone-save').hasAttribute('href')") is False


def test_huge_texts_are_cut_on_the_screen_alone(browser: Browser, page: PageStandIn) -> None:
    discard(browser, page, [{"message": "x" * 65_536}] * 300)
    assert len(browser.find_all("#gone-list li")) == 200
    assert browser.run("return document.getElementById('gone-list').textContent.length") < 500_000
    assert browser.is_shown("#gone-more")
    for width in (360, 1600):
        browser.resize(width)
        assert browser.run("return document.documentElement.scrollWidth") == width
        assert browser.run(
            "const box = document.getElementById('gone').getBoundingClientRect(); return box.bottom <= innerHeight"
        )
    browser.press(Keys.TAB, Keys.PAGE_DOWN)
    browser.wait_until(lambda: browser.run("return document.getElementById('gone-list').scrollTop"))
    browser.press(Keys.TAB, Keys.TAB, Keys.ENTER)  # the file, and Close
    browser.wait_until(lambda: not browser.is_shown("#gone"))


def test_release_that_discards_shows_the_last_copy(browser: Browser, page: PageStandIn) -> None:
    release(browser, page, {"done": "released: 1 message handed over", "count": 1, "ids": ["1-0"]})
    assert not browser.is_shown("#gone")
    release(
        browser, page, {"done": "released: 1 message discarded", "count": 1, "messages": [{"message": "hi"}]}
    )
    browser.wait_until(lambda: browser.is_shown("#gone"))
    assert browser.read("#gone-list").strip().endswith("hi")


def release(browser: Browser, page: PageStandIn, answer: dict[str, Any]) -> None:
    page.answers["release"] = (200, answer)
    browser.run("ask('release', page.overview.waiting.rows[0])")
    browser.find("#ask-go").click()
    browser.wait_until(lambda: answer["done"] in browser.read("#toast"))
