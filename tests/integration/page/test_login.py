"""The login: a token opens the page, and a wrong one is refused in words beside the field."""

from __future__ import annotations

from selenium.webdriver.common.keys import Keys

from tests.support.browser import Browser
from tests.support.page import PageStandIn


def test_token_opens_the_page_after_a_wrong_one_was_refused_in_words(
    browser: Browser, page: PageStandIn
) -> None:
    page.token = "the admin's"
    browser.open(page.url)
    token = browser.find("#token")
    assert (token.get_attribute("type"), token.get_attribute("autocomplete")) == (
        "password",
        "current-password",
    )
    assert browser.run("return document.activeElement.id") == "token"
    browser.press("wrong", Keys.ENTER)
    browser.wait_for_text("#problem", "this is not the admin token")
    assert browser.driver.current_url == page.url
    browser.press("the admin's", Keys.ENTER)  # the wrong one is selected, and gives way
    browser.wait_for_text("#word", page.overview.word)
    assert browser.driver.current_url == page.url
    browser.take_problems()  # it complains of the 401


def test_login_says_that_nobody_answers(browser: Browser, page: PageStandIn) -> None:
    page.token = "the admin's"
    browser.open(page.url)
    browser.find("#token").send_keys("wrong")
    page.break_off()
    browser.press(Keys.ENTER)
    browser.wait_for_text("#problem", "rfctl did not answer. Try again in a moment.")
    browser.take_problems()  # it complains of the broken connection
