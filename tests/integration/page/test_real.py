"""The page of a real daemon with real traffic: what is on it is true, and what it does is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.support.browser import Browser
from tests.support.house import House
from tests.support.servers import RedisServer, ServerMaker
from tests.support.waiting import wait_until

ANNA, BORIS, CARLA = "79001234567", "5511998765400", "4915112345678"


def act(browser: Browser, row: str, action: str) -> None:
    """Do an action of a row, and wait until the page says what came of it."""
    browser.run("document.getElementById('heard').textContent = ''")
    script = """return [...document.querySelectorAll('li')].find((row) => row.textContent.includes(arguments[0])
        )?.querySelector(`[data-name='${arguments[1]}']`) ?? null"""
    browser.wait_until(lambda: browser.run(script, row, action)).click()
    browser.wait_until(lambda: browser.is_shown("#ask"))
    browser.find("#ask-go").click()
    browser.wait_until(lambda: browser.is_shown("#toast") and browser.read("#heard"))
    assert not browser.is_shown("#ask"), browser.read("#ask-problem")


def test_page_shows_real_traffic_acts_on_it_and_tells_of_an_outage(
    browser: Browser, tmp_path: Path, own_server: ServerMaker
) -> None:
    """One daemon and one Redis for all of it: they cost more than the page."""
    server = own_server()
    with House(tmp_path, server.url, quiet_ms=600_000, max_wait_ms=3_600_000) as patient:
        see_and_act(browser, patient)
        browser.wait_for_text("#redis-line", str(server.port))
        server.kill()
        browser.wait_until(lambda: browser.is_shown("#outage"))
        server.start()
        browser.wait_until(lambda: not browser.is_shown("#outage"))
    browser.wait_until(lambda: browser.is_shown("#lost"))
    browser.take_problems()  # it complains of the connection that ended


def see_and_act(browser: Browser, patient: House) -> None:
    patient.write(ANNA, "Привет", "запишите меня", "на завтра")
    patient.write(BORIS, "oi")
    patient.write(CARLA, "<b>hallo</b>")
    patient.statuses["crm"] = 503
    browser.open(patient.url + "/")
    for phone, size in (("+7 900 •••67", "3/10"), ("+55 11 •••00", "1/10"), ("+49 15 •••78", "1/10")):
        browser.wait_for_text("#waiting", phone)
        assert size in browser.read("#waiting")
    browser.wait_for_text("#waiting", "<b>hallo</b>")
    assert browser.read("#waiting-count").startswith("3 batches · 5 messages · oldest ")

    act(browser, "+7 900", "hand-over")
    browser.wait_until(lambda: "+7 900" not in browser.read("#waiting"))
    act(browser, "+49 15", "discard")
    assert "<b>hallo</b>" in browser.read("#gone-list")
    browser.find("#gone button").click()
    browser.wait_until(lambda: "+49 15" not in browser.read("#waiting"))
    act(browser, "+55 11", "hold")
    browser.wait_until(lambda: browser.is_shown(".batch .tag"))
    act(browser, "+55 11", "hold")
    browser.wait_for_text("#waiting-empty", "Nobody waits.")
    browser.wait_until(lambda: browser.is_shown("#waiting-empty"))

    browser.wait_until(lambda: "crm" in browser.read("#findings"))
    act(browser, "audit list", "pause")
    browser.wait_until(lambda: "sink audit is paused" in browser.read("#findings"))
    act(browser, "sink audit is paused", "resume")
    browser.wait_until(lambda: "sink audit is paused" not in browser.read("#findings"))

    browser.find("#phone").send_keys(ANNA, Keys.ENTER)
    browser.wait_for_text("#timeline", "3 → 1")
    browser.wait_until(lambda: browser.find_all("#timeline .outcomes li"))
    patient.statuses.clear()
    act(browser, "bot http", "pause")
    wait_until(
        lambda: [sink["name"] for sink in patient.read_state()["sinks"] if sink["is_paused"]] == ["bot"]
    )


@pytest.mark.long
def test_token_of_the_settings_opens_the_page(
    browser: Browser, tmp_path: Path, own_server: ServerMaker
) -> None:
    with House(tmp_path, own_server().url, token="a token of 20 chars!") as house:
        browser.open(house.url + "/")
        browser.find("#token").send_keys("another", Keys.ENTER)
        browser.wait_for_text("#problem", "this is not the token")
        browser.press("a token of 20 chars!", Keys.ENTER)
        browser.wait_for_text("#daemons-line", "1 daemon")
        browser.take_problems()  # it complains of the 401
        browser.driver.get(f"data:text/html,<a href='{house.url}/'>the alarm</a>")
        browser.find("a").click()
        browser.wait_for_text("#daemons-line", "1 daemon")
        browser.take_problems()  # it complains of the 401 without the cookie
        browser.find("#logout button").click()
        browser.find("#token")
        browser.take_problems()  # it complains of the 401


def test_without_scripts_there_is_a_way_in_and_out(
    browser: Browser, tmp_path: Path, server: RedisServer
) -> None:
    token = "a token of 20 chars!"
    with House(tmp_path, server.url, token=token) as house, browser.without_scripts():
        browser.open(house.url + "/")
        browser.find("#token").send_keys("another", Keys.ENTER)
        browser.wait_for_text("#problem", "This is not the token.")
        browser.find("#token").send_keys(token, Keys.ENTER)
        browser.wait_for_text("noscript", "This page needs JavaScript.")
        assert browser.is_shown("noscript .banner")
        browser.find("#logout button").click()
        browser.find("#token")
        browser.driver.get(house.url + "/")
        browser.find("#token")
    browser.take_problems()  # it complains of each 401
