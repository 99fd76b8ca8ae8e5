"""axe-core's rules (WCAG 2.2 AA and good practice) find nothing: each theme, narrow and wide, page, dialogs, login.

`scripts/test` fetches axe-core and names its file in TEST_AXE.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.support.browser import Browser
from tests.support.page import PageStandIn
from tests.support.page_overviews import make_quiet_overview
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
    """Run all rules over what is shown. Raises AssertionError with each violation.

    A contrast that axe-core cannot tell counts as one, unless the edge of a dialog cuts the text,
    or it is a sign: the words beside it have its colour.
    """
    browser.run(AXE.read_text())
    browser.driver.set_script_timeout(45)
    passes, violations = browser.driver.execute_async_script(EXAMINE)
    assert violations == []
    assert passes > 10


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_page_and_its_dialogs_violate_no_rule(
    browser: Browser, page: PageStandIn, width: int, theme: str
) -> None:
    browser.open(page.url, width=width, theme=theme)
    browser.wait_for_text("#word", "FAILING")
    wait_until(lambda: page.streams)
    examine(browser)
    browser.run("ask('hold', page.overview.waiting.rows[0])")
    examine(browser)
    browser.press(Keys.ESCAPE)
    wait_until(lambda: not browser.is_shown("#ask"))
    browser.run("byId('help').showModal()")
    examine(browser)
    browser.press(Keys.ESCAPE)
    page.tell_outage("it refuses connections", page.overview.now_ms)
    browser.run("toast('the message is lost', 'fail')")
    wait_until(lambda: browser.is_shown("#outage"))
    examine(browser)
    page.show(make_quiet_overview())
    browser.wait_for_text("#word", "WORKING")
    examine(browser)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_login_violates_no_rule(browser: Browser, page: PageStandIn, width: int, theme: str) -> None:
    page.token = "secret"
    browser.open(page.url, width=width, theme=theme)
    browser.find("#token").send_keys("wrong", Keys.ENTER)
    browser.wait_for_text("#problem", "this is not the admin token")
    examine(browser)
    browser.take_problems()  # it complains of the 401
