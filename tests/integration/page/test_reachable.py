"""axe-core's rules (WCAG 2.2 AA and good practice) find nothing: each theme, narrow and wide, page, dialogs, login.

`scripts/test` fetches axe-core and names its file in TEST_AXE.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.support.browser import Browser
from tests.support.overviews import make_quiet_overview
from tests.support.page import PageStandIn
from tests.support.waiting import wait_until

AXE = Path(os.environ.get("TEST_AXE", "none"))
pytestmark = pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core (npm): scripts/test fetches it")

EXAMINE = """const done = arguments[arguments.length - 1];
const isUnsure = ({any}) => !/Obscured|Obscuring|nonBmp/.test(any[0]?.data?.messageKey ?? '');
axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(
  ({violations, incomplete, passes}) => done([passes.length, [...violations, ...incomplete.filter(({id, nodes}) => id === 'color-contrast' && nodes.some(isUnsure))].map(
    ({id, nodes}) => `${id}: ${nodes.map(({html, any}) => html.slice(0, 120) + (any[0]?.message ?? '')).join(' | ')}`)]),
  (problem) => done([0, [String(problem)]]))"""


def examine(browser: Browser) -> None:
    """Run all rules over what is shown, in a page that has axe-core. Raises AssertionError with each violation.

    A contrast that axe-core cannot tell counts as one, unless the edge of a dialog cuts the text,
    or it is a sign: the words beside it have its colour.
    """
    browser.driver.set_script_timeout(45)
    passes, violations = browser.driver.execute_async_script(EXAMINE)
    assert violations == []
    assert passes > 10


LOOKS = [(width, theme) for width in (360, 1600) for theme in ("light", "dark")]


def test_page_violates_no_rule_narrow_and_wide_in_each_theme(browser: Browser, page: PageStandIn) -> None:
    open_page(browser, page)
    browser.run(AXE.read_text())
    for width, theme in LOOKS:
        browser.resize(width)
        browser.prefer("prefers-color-scheme", theme)
        examine(browser)


def test_login_violates_no_rule(browser: Browser, page: PageStandIn) -> None:
    examine_login(browser, page, 360, "dark")


@pytest.mark.long
@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_login_violates_no_rule_in_any_look(
    browser: Browser, page: PageStandIn, width: int, theme: str
) -> None:
    examine_login(browser, page, width, theme)


@pytest.mark.long
@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_dialogs_outage_and_quiet_page_violate_no_rule(
    browser: Browser, page: PageStandIn, width: int, theme: str
) -> None:
    open_page(browser, page, width, theme)
    browser.run(AXE.read_text())
    browser.run("ask('hold', page.overview.waiting.rows[0])")
    examine(browser)
    browser.press(Keys.ESCAPE)
    browser.wait_until(lambda: not browser.is_shown("#ask"))
    messages = [{"message": "long " * 600, "receivedAt": page.overview.now_ms}, "another program's"] * 20
    browser.run("showGone('79001234567', {messages: arguments[0], text: '{}'})", messages)
    assert browser.is_shown("#gone-more")
    examine(browser)
    browser.press(Keys.ESCAPE)
    browser.wait_until(lambda: not browser.is_shown("#gone"))
    browser.run("byId('help').showModal()")
    examine(browser)
    browser.press(Keys.ESCAPE)
    page.tell_outage("it refuses connections", page.overview.now_ms)
    browser.run("toast('the message is lost', 'fail')")
    browser.wait_until(lambda: browser.is_shown("#outage"))
    examine(browser)
    page.show(make_quiet_overview())
    browser.wait_for_text("#word", "WORKING")
    examine(browser)
    browser.run("logOut()")
    examine(browser)


def open_page(browser: Browser, page: PageStandIn, width: int = 1200, theme: str = "light") -> None:
    browser.open(page.url, width=width, theme=theme)
    browser.wait_for_text("#word", "FAILING")
    wait_until(lambda: page.streams)


def examine_login(browser: Browser, page: PageStandIn, width: int, theme: str) -> None:
    """Log in with a wrong token, and run the rules over the form that says so."""
    page.token = "secret"
    browser.open(page.url, width=width, theme=theme)
    browser.find("#token").send_keys("wrong", Keys.ENTER)
    browser.wait_for_text("#problem", "this is not the admin token")
    browser.run(AXE.read_text())
    examine(browser)
    browser.take_problems()  # it complains of the 401
