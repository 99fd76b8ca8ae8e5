"""What a person can do on the page: it asks first, posts once with the word of the page, and says the result."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from selenium.webdriver.common.keys import Keys

from tests.support.browser import Browser
from tests.support.overviews import make_row, make_waiting
from tests.support.page import CSRF, PageStandIn, Posted
from tests.support.waiting import wait_until

FOCUS = "return document.activeElement.id"
ACTIONS: list[tuple[str, str, str, str, str, Any]] = [
    ("+7 900", "hand-over", "Hand over now?", "Hand over", "hand-over", {"batch_key": "79001234567"}),
    ("+7 900", "discard", "Discard 4 messages?", "Discard 4 messages", "discard", {"batch_key": "79001234567"}),
    ("+7 900", "hold", "Hold +7 900 •••67?", "Hold", "hold", {"phone": "79001234567", "for": "1h", "note": ""}),
    ("+49 15", "hold", "Hold +49 15 •••78?", "Hold", "hold", {"phone": "4915112345678|support", "for": "1h", "note": ""}),
    ("telegram", "hold", "Release @•••?", "Release", "release", {"phone": "@a1", "discard": False}),
    ("bullmq", "pause", "Pause bot?", "Pause", "pause", {"sink": "bot", "note": ""}),
    ("redis", "pause", "Resume audit?", "Resume", "resume", {"sink": "audit"}),
    ("503 since", "retry", "Retry crm now?", "Retry now", "resume", {"sink": "crm"}),
    ("503 since", "resend", "Resend 4 dead messages?", "Resend", "resend", {"sink": "crm"}),
    ("did not take", "resend crm", "Resend 4 dead messages?", "Resend", "resend", {"sink": "crm"}),
    ("41 attempts have", "resume", "Retry crm now?", "Retry now", "resume", {"sink": "crm"}),
]  # fmt: skip
"""The row, its button, the title of the question, what it asks for, and the name and body of the request."""


@pytest.fixture(autouse=True)
def opened(browser: Browser, page: PageStandIn) -> None:
    browser.open(page.url)
    browser.wait_for_text("#word", "FAILING")
    wait_until(lambda: page.streams)


def click(browser: Browser, row: str, action: str) -> None:
    """Click an action of the first row that has this text."""
    script = """[...document.querySelectorAll('li')].find((row) => row.innerText.includes(arguments[0])
        ).querySelector(`[data-name='${arguments[1]}']`).click()"""
    browser.run(script, row, action)
    browser.wait_until(lambda: browser.is_shown("#ask"))


def test_each_action_asks_then_posts_then_says_what_came_of_it(browser: Browser, page: PageStandIn) -> None:
    for row, action, title, button, name, body in ACTIONS:
        page.answers[name] = (200, {"done": f"done as the server says: {title}"})
        page.posted.clear()
        browser.run("document.getElementById('heard').textContent = ''")  # two of them come to the same words
        click(browser, row, action)
        assert (browser.read("#ask-title"), browser.read("#ask-go")) == (title, button)
        assert browser.run(FOCUS) == "ask-cancel"
        assert page.posted == []
        browser.find("#ask-go").click()
        browser.wait_until(lambda: not browser.is_shown("#ask"))
        browser.wait_for_text("#heard", f"done as the server says: {title}")
        assert page.posted == [Posted(name, CSRF, body)]
        assert browser.is_shown("#toast")


def test_fields_of_an_action_are_posted(browser: Browser, page: PageStandIn) -> None:
    click(browser, "+7 900", "hold")
    browser.find("#ask [name=for]").send_keys("1 day")
    browser.find("#ask [name=note]").send_keys("  we talk ", Keys.ENTER)
    wait_until(lambda: page.posted)
    assert page.posted[0].body == {"phone": "79001234567", "for": "24h", "note": "we talk"}
    browser.wait_until(lambda: not browser.is_shown("#ask"))
    click(browser, "telegram", "hold")
    assert "3 messages would be lost" in browser.read("#ask-fields")
    browser.find("#ask [name=discard]").click()
    browser.find("#ask-go").click()
    wait_until(lambda: len(page.posted) == 2)
    assert page.posted[1].body == {"phone": "@a1", "discard": True}


def test_first_key_cancels(browser: Browser, page: PageStandIn) -> None:
    for key in (Keys.ESCAPE, Keys.ENTER):
        click(browser, "+7 900", "discard")
        browser.press(key)
        browser.wait_until(lambda: not browser.is_shown("#ask"))
        assert page.posted == []
        assert not browser.is_shown("#toast")


def test_focus_goes_to_the_heading_when_the_row_ends(browser: Browser, page: PageStandIn) -> None:
    browser.press("n")  # by keyboard: the focus can be seen
    click(browser, "+79001234567", "discard")
    browser.press(Keys.TAB, Keys.ENTER)
    browser.wait_for_text("#heard", "discard: done")
    browser.wait_until(lambda: browser.run(FOCUS) == "waiting-title")
    page.show(msgspec.structs.replace(page.overview, waiting=make_waiting()))
    browser.wait_until(lambda: not browser.find_all(".batch"))


def test_focus_stays_on_a_button_that_turns_to_its_contrary(browser: Browser, page: PageStandIn) -> None:
    browser.run("document.querySelector('.sink [data-name=pause]').focus()")
    browser.press(Keys.ENTER, Keys.TAB, Keys.ENTER)
    browser.wait_for_text("#heard", "pause: done")
    bot, *others = page.overview.sinks
    paused = msgspec.structs.replace(bot, is_paused=True, state="paused")
    page.show(msgspec.structs.replace(page.overview, sinks=(paused, *others)))
    browser.wait_until(lambda: browser.run("return document.activeElement.textContent") == "Resume bot")


def test_focus_goes_back_to_the_button_that_asked(browser: Browser, page: PageStandIn) -> None:
    browser.run("document.querySelector('.batch [data-name=discard]').focus()")
    browser.press(Keys.ENTER)
    browser.wait_until(lambda: browser.is_shown("#ask"))
    for _ in range(6):  # the focus stays within the dialog, or is the browser's own
        browser.press(Keys.TAB)
        assert browser.run("return document.activeElement.closest('#ask, body').id || document.activeElement.tagName") in {"ask", "BODY"}  # fmt: skip
    browser.press(Keys.ESCAPE)
    browser.wait_until(lambda: not browser.is_shown("#ask"))
    assert browser.run("return document.activeElement.dataset.name") == "discard"


def test_number_of_lost_messages_is_true_while_the_question_is_open(
    browser: Browser, page: PageStandIn
) -> None:
    click(browser, "+7 900", "discard")
    assert browser.read("#ask-words").startswith("4 messages of +7 900 •••67 are lost for good.")
    grown = make_waiting(make_row("79001234567", "and more", size=5))
    page.show(msgspec.structs.replace(page.overview, waiting=grown))
    browser.wait_for_text("#ask-go", "Discard 5 messages")
    assert browser.read("#ask-words").startswith("5 messages")
    page.show(msgspec.structs.replace(page.overview, waiting=make_waiting()))
    browser.wait_for_text("#ask-words", "They do not wait any more")
    assert not browser.find("#ask-go").is_enabled()
    browser.press(Keys.ESCAPE)
    browser.wait_until(lambda: not browser.is_shown("#ask"))
    assert page.posted == []


def test_error_is_shown_in_the_words_of_the_server(browser: Browser, page: PageStandIn) -> None:
    problem = {"success": False, "error": "sink bot is paused already", "next": "rfctl resume bot"}
    page.answers["pause"] = (409, problem)
    click(browser, "bullmq", "pause")
    browser.find("#ask-go").click()
    browser.wait_for_text("#ask-problem", "sink bot is paused already: rfctl resume bot")
    assert browser.is_shown("#ask")
    del page.answers["pause"]
    browser.find("#ask-go").click()
    browser.wait_for_text("#heard", "pause: done")
    browser.take_problems()  # it complains of the 409


def test_action_without_an_answer_is_not_called_done(browser: Browser, page: PageStandIn) -> None:
    click(browser, "bullmq", "pause")
    page.break_off()
    browser.find("#ask-go").click()
    browser.wait_for_text("#ask-problem", "nobody knows whether it was done")
    assert not browser.is_shown("#toast")
    browser.take_problems()  # it complains of the broken connections


def test_command_is_copied(browser: Browser) -> None:
    browser.driver.execute_cdp_cmd("Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]})  # fmt: skip
    browser.find(".copy").click()
    browser.wait_for_text("#heard", "Copied: rfctl source try salon")
    assert browser.run("return navigator.clipboard.readText()") == "rfctl source try salon"


def test_command_is_copied_where_the_browser_has_no_clipboard_for_pages(browser: Browser) -> None:
    browser.run("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    browser.find(".copy").click()
    browser.wait_until(lambda: browser.read("#heard").endswith(": rfctl source try salon"))
    assert browser.run("return getSelection().toString()") == "rfctl source try salon"


def test_keys_find_show_numbers_and_help_unless_they_are_off(browser: Browser, page: PageStandIn) -> None:
    browser.press("n")
    assert browser.read(".batch .phone") == "+79001234567"
    browser.press("n")
    assert browser.read(".batch .phone") == "+7 900 •••67"
    browser.press("/")
    assert browser.run(FOCUS) == "phone"
    browser.press("n/?")
    assert browser.run("return document.activeElement.value") == "n/?"
    browser.run("document.activeElement.blur()")
    browser.press("?")
    browser.wait_until(lambda: browser.is_shown("#help"))
    browser.find("#keys").click()
    browser.press(Keys.ESCAPE)
    browser.wait_until(lambda: not browser.is_shown("#help"))
    browser.press("n")
    assert browser.read(".batch .phone") == "+7 900 •••67"


def test_person_is_found_with_what_became_of_their_messages(browser: Browser, page: PageStandIn) -> None:
    page.persons["+7 900 123-45-67"] = {
        "phone": "79001234567", "batches": [], "held": [], "complete": False,
        "timeline": [
            {"at": "2026-01-01T02:40:00.000Z", "event": "handed_over", "line": "handed over as 1-0: 3 → 1 (quiet)", "outcomes": [
                {"sink": "bot", "state": "delivered", "at": "2026-01-01T02:41:07.000Z", "attempts": 1, "took_ms": 8, "error": None, "behind": None, "next": None},
                {"sink": "crm", "state": "waiting", "at": None, "attempts": 3, "took_ms": None, "error": "HTTP 503", "behind": None, "next": "attempt 4 in 80 s"},
            ]},
            {"at": "2026-01-01T02:42:00.000Z", "event": "pending", "text": "hi", "outcomes": []},
        ],
    }  # fmt: skip
    browser.press("/")
    browser.press("+7 900 123-45-67", Keys.ENTER)
    browser.wait_for_text("#timeline", "handed over as 1-0")
    lines = browser.run(
        "return [...document.querySelectorAll('#timeline .line')].map((node) => node.textContent)"
    )
    assert lines == ["pending: hi", "handed over as 1-0: 3 → 1 (quiet)"]
    assert browser.run("return document.querySelector('#timeline time').title").startswith("Thursday")
    assert "waiting · 3 attempts · HTTP 503 · attempt 4 in 80 s" in browser.read(".outcomes li:nth-child(2)")
    assert browser.is_shown("#answer-more")
    assert browser.read("#heard") == "2 events of this person, 0 batches pending."
    browser.find("#answer-buttons [data-name=hold]").click()
    browser.find("#ask-go").click()
    wait_until(lambda: page.posted)
    assert page.posted[0].body["phone"] == "79001234567"
    browser.wait_until(lambda: not browser.is_shown("#ask"))
    browser.wait_for_text("#heard", "2 events")  # it is looked up once more
    browser.press(Keys.ESCAPE)
    assert not browser.is_shown("#answer")
    assert browser.run(FOCUS) == "phone"
