"""How the page changes while it is open: nothing that a person does is disturbed, and nothing old looks new."""

from __future__ import annotations

import time

import msgspec

from rfctl.observe.overview import Overview
from tests.support.browser import Browser
from tests.support.overviews import (
    make_busy_overview,
    make_full_overview,
    make_quiet_overview,
    make_row,
    make_waiting,
)
from tests.support.page import PageStandIn
from tests.support.waiting import wait_until

FOCUS = "return document.activeElement.closest('li')?.querySelector('.phone')?.textContent + document.activeElement.dataset.name"
HIDE = """Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});
document.dispatchEvent(new Event('visibilitychange'))"""


def house_of(*phones: str, text: str = "hi", word: str = "WORKING") -> Overview:
    """Return an Overview in which these wait, in this order."""
    rows = [make_row(phone, f"{text} {phone}", due_in_ms=60_000) for phone in phones]
    return msgspec.structs.replace(make_busy_overview(), waiting=make_waiting(*rows), word=word)


def open_page(browser: Browser, page: PageStandIn, overview: Overview) -> None:
    """Open the page, and wait until it listens to events."""
    page.overview = overview
    browser.open(page.url)
    browser.wait_for_text("#word", overview.word)
    wait_until(lambda: page.streams)


def show(browser: Browser, page: PageStandIn, overview: Overview) -> None:
    """Let the next state come, and wait until the page shows its word."""
    page.show(overview)
    browser.wait_for_text("#word", overview.word)


def phones(browser: Browser) -> list[str]:
    texts = browser.run(
        "return [...document.querySelectorAll('.batch:not([data-gone]) .phone')].map((n) => n.textContent)"
    )
    return [str(phone) for phone in texts]


def test_focus_stays_while_rows_come_go_and_change_places(browser: Browser, page: PageStandIn) -> None:
    open_page(browser, page, house_of("11111111", "22222222", "33333333"))
    browser.press("n")  # by keyboard: the focus can be seen
    browser.run("document.querySelectorAll('.batch')[1].querySelector('[data-name=discard]').focus()")
    browser.run("document.activeElement.addEventListener('blur', () => { window.wasLost = true })")
    show(browser, page, house_of("33333333", "44444444", "11111111", "22222222", word="second"))
    assert phones(browser) == ["33333333", "44444444", "11111111", "22222222"]
    assert browser.run(FOCUS) == "22222222discard"
    show(browser, page, house_of("22222222", "44444444", text="more", word="third"))
    assert phones(browser) == ["22222222", "44444444"]
    assert browser.run(FOCUS) == "22222222discard"
    assert browser.run("return window.wasLost") is None


def test_row_with_the_focus_stays_until_it_is_left(browser: Browser, page: PageStandIn) -> None:
    open_page(browser, page, house_of("11111111", "22222222"))
    browser.press("n")  # by keyboard: the focus can be seen
    browser.run("document.querySelector('[data-name=discard]').focus()")
    show(browser, page, house_of("22222222", word="second"))
    assert browser.run("return document.activeElement.dataset.name") == "discard"
    assert browser.read(".batch[data-gone] [data-part=due]") == "gone"
    browser.press("\n")
    browser.wait_for_text("#ask-words", "They do not wait any more")
    assert not browser.find("#ask-go").is_enabled()
    browser.press("\ue00c")
    # The browser gives the focus back at once, and the page once more a moment later.
    browser.wait_until(
        lambda: browser.run("return asked === null && document.activeElement.dataset.name") == "discard"
    )
    browser.run("document.activeElement.blur()")
    show(browser, page, house_of("22222222", word="third"))
    assert len(browser.find_all(".batch")) == 1
    assert page.posted == []


def test_selection_and_scroll_stay(browser: Browser, page: PageStandIn) -> None:
    open_page(browser, page, msgspec.structs.replace(make_full_overview(), word="first"))
    browser.run(
        "getSelection().selectAllChildren(document.querySelectorAll('.batch .text')[20]); scrollTo(0, 900)"
    )
    before = browser.run("return scrollY")
    rows = make_full_overview().waiting.rows[3:]
    changed = msgspec.structs.replace(make_full_overview(), waiting=make_waiting(*rows), word="second")
    show(browser, page, changed)
    assert browser.run("return getSelection().toString()").strip() == "message 20"
    # The browser keeps what is on the screen where it is: rows above are gone, so it scrolls by their height.
    assert 0 <= before - browser.run("return scrollY") < 400


def test_same_state_again_writes_nothing(browser: Browser, page: PageStandIn) -> None:
    open_page(browser, page, make_busy_overview())
    browser.run("""window.changes = []; new MutationObserver((all) => changes.push(...all.map(({target}) =>
        (target.closest ? target : target.parentElement).className))).observe(document.querySelector('main'),
        {subtree: true, childList: true, characterData: true})""")
    page.show(page.overview)
    show(browser, page, msgspec.structs.replace(page.overview, word="again"))
    browser.run("tick()")
    changes = set(browser.run("return window.changes"))
    assert changes <= {""}, changes  # the words of the due times alone, which have no class


def test_times_go_on_between_two_states_and_stop_in_an_outage(browser: Browser, page: PageStandIn) -> None:
    open_page(browser, page, house_of("11111111"))
    due = ".batch [data-part=due]"
    first = browser.read(due)
    browser.wait_until(lambda: browser.read(due) != first)
    page.tell_outage("redis.url 10.0.0.5:6379 refuses connections", int(time.time() * 1000) - 1000)
    browser.wait_until(lambda: browser.is_shown("#outage"))
    still = browser.read(due)
    age = browser.read("#outage-age")
    browser.wait_until(lambda: browser.read("#outage-age") not in (age, ""))
    assert browser.read(due) == still


def test_outage_is_told_with_its_begin_and_the_age_of_the_facts(browser: Browser, page: PageStandIn) -> None:
    open_page(browser, page, make_busy_overview())
    page.tell_outage("10.0.0.5:6379 refuses connections", int(time.time() * 1000) - 3000)
    browser.wait_for_text("#outage-words", "Redis away since ")
    assert browser.is_shown("#outage")
    assert browser.read("#outage-fact") == "10.0.0.5:6379 refuses connections."
    assert browser.read("#outage-age").startswith("What follows is ")
    assert browser.read("#news").startswith("Redis away since ")
    assert browser.driver.title == "rfctl · Redis away"
    show(browser, page, house_of(word="back"))
    assert not browser.is_shown("#outage")


def test_lost_connection_is_said_and_tried_again(browser: Browser, page: PageStandIn) -> None:
    open_page(browser, page, make_busy_overview())
    page.break_off()
    browser.wait_for_text("#lost-words", "Connection to rfctl lost, trying again.")
    assert browser.is_shown("#lost")
    assert browser.read("#lost-age").startswith("What follows is ")
    page.overview = msgspec.structs.replace(page.overview, word="back")
    page.come_back()
    browser.wait_for_text("#word", "back")
    browser.wait_until(lambda: not browser.is_shown("#lost"))
    wait_until(lambda: page.streams)
    show(browser, page, msgspec.structs.replace(page.overview, word="live again"))
    browser.take_problems()  # it complains of the broken connections


def test_page_says_that_the_login_is_over(browser: Browser, page: PageStandIn) -> None:
    open_page(browser, page, make_busy_overview())
    page.token = "secret"
    page.break_off()
    wait_until(lambda: not page.streams)
    page.come_back()
    browser.wait_for_text("#lost-words", "You are logged out.")
    browser.find("#log-in").click()
    browser.find("#token")
    browser.take_problems()  # it complains of the 401


def test_page_of_whoever_is_logged_out_has_nobody_on_it(browser: Browser, page: PageStandIn) -> None:
    page.persons["79001234567"] = {
        "phone": "79001234567",
        "timeline": [{"event": "pending", "line": "hello"}],
    }
    open_page(browser, page, make_busy_overview())
    browser.press("n")
    browser.find("#phone").send_keys("79001234567", "\n")
    browser.wait_for_text("#timeline", "hello")
    browser.run("ask('discard', page.overview.waiting.rows[0])")
    page.token = "secret"
    browser.find("#ask-go").click()
    browser.wait_until(lambda: browser.is_shown("#log-in"))
    browser.wait_until(lambda: browser.run("return document.activeElement.id") == "log-in")
    assert not browser.is_shown("#main > *, dialog, #toast, .find, .tools, .facts, .state")
    shown = browser.run("return document.body.innerText + document.querySelector('main').textContent")
    for text in ("900", "Привет", "hello", "crm", "prod-1", "10.0.0.5"):
        assert text not in shown
    page.token = ""  # somebody has logged in beside it
    browser.run("connect()")
    browser.wait_until(lambda: browser.is_shown("#main .flow") and not browser.is_shown("#lost"))
    assert len(phones(browser)) == 5
    browser.take_problems()  # it complains of the 401


def test_silence_is_taken_for_a_lost_connection(browser: Browser, page: PageStandIn) -> None:
    open_page(browser, page, make_busy_overview())
    browser.run("""const later = setTimeout; window.setTimeout = (act, ms) => later(act, ms === SILENCE_MS ? 0 : ms);
        watchSilence()""")
    browser.wait_for_text("#lost-words", "rfctl has said nothing for 15 s, trying again.")
    assert browser.is_shown("#lost")


def test_stream_that_is_refused_is_said_once_and_tried_less_and_less(
    browser: Browser, page: PageStandIn
) -> None:
    page.has_room = False
    browser.open(page.url)
    browser.wait_until(lambda: browser.is_shown("#lost"))
    assert browser.read("#word") == page.overview.word, "what could be read is there"
    browser.run("""window.changes = 0; new MutationObserver((all) => { changes += all.length }).observe(
        document.getElementById('lost'), {attributes: true}); new MutationObserver((all) => { changes += all.length })
        .observe(document.getElementById('news'), {childList: true, characterData: true, subtree: true})""")
    asked = len(page.requested)
    wait_until(lambda: len(page.requested) >= asked + 4)
    assert browser.run("return [changes, failures >= 2]") == [0, True]
    page.has_room = True
    browser.wait_until(lambda: not browser.is_shown("#lost"))
    browser.take_problems()  # it complains of the 503


def test_page_rests_in_a_hidden_tab(browser: Browser, page: PageStandIn) -> None:
    open_page(browser, page, make_busy_overview())
    browser.run(HIDE, True)
    wait_until(lambda: not page.streams)
    assert browser.driver.title == "rfctl · not live"
    asked = len(page.requested)
    page.overview = msgspec.structs.replace(page.overview, word="meanwhile")
    browser.run(HIDE, False)
    browser.wait_for_text("#word", "meanwhile")
    wait_until(lambda: page.streams)
    assert [path.rpartition("/")[2] for path in page.requested[asked:]] == ["state", "events"]


def test_screen_reader_hears_of_findings_alone(browser: Browser, page: PageStandIn) -> None:
    busy = make_busy_overview()
    open_page(browser, page, busy)
    assert browser.read("#news") == ""
    show(browser, page, house_of("11111111", word="second"))
    assert browser.read("#news") == ""
    fresh = msgspec.structs.replace(busy.findings[1], subject="bot", fact="sink bot: 3 attempts have failed")
    show(browser, page, msgspec.structs.replace(busy, findings=(fresh, *busy.findings), word="third"))
    assert browser.read("#news") == "Needs you: FAIL sink bot: 3 attempts have failed"
    show(browser, page, msgspec.structs.replace(make_quiet_overview(), word="fourth"))
    assert browser.read("#news") == "Nothing needs you any more."
    flood = tuple(msgspec.structs.replace(fresh, subject=str(number)) for number in range(10_000))
    show(browser, page, msgspec.structs.replace(busy, findings=flood, word="fifth"))
    assert browser.read("#news").endswith("attempts have failed. And 9,997 more")
    assert len(browser.find_all(".finding")) == 100
    assert browser.read("#needs-more").startswith("… 9,900 more")
    show(browser, page, msgspec.structs.replace(busy, findings=flood[1:], word="sixth"))
    live = "return [...document.querySelectorAll('[aria-live], [role=status], [role=alert], [role=log]')].map((n) => n.id)"
    assert browser.run(live) == ["heard", "news", "ask-problem"]
