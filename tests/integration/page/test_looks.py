"""What the page shows of an Overview, in a real browser, at each width and in each theme."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import pytest

from tests.support.browser import Browser
from tests.support.masks import MASKED, WHOLE
from tests.support.overviews import (
    make_busy_overview,
    make_full_overview,
    make_quiet_overview,
    make_row,
    make_waiting,
)
from tests.support.page import PREFIX, PageStandIn
from tests.support.waiting import wait_until
from tests.unit.cli.test_folding import list_cures

LONG = "W" * 400


def texts(browser: Browser, selector: str) -> list[str]:
    """Return the text of each element, with single spaces."""
    script = "return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent)"
    return [re.sub(r"\s+", " ", text).strip() for text in browser.run(script, selector)]


def open_page(browser: Browser, page: PageStandIn, theme: str = "light") -> None:
    browser.open(page.url, theme=theme)
    browser.wait_for_text("#word", page.overview.word)


@pytest.fixture(scope="module")
def busy() -> Iterator[PageStandIn]:
    """A busy house for all tests that only read."""
    with PageStandIn(make_busy_overview()) as stand_in:
        yield stand_in


@pytest.fixture
def shown(chromium: Browser, busy: PageStandIn) -> Browser:
    """Chromium with the page of the busy house, which is opened anew only where another test has left it."""
    if chromium.driver.current_url != busy.url:
        open_page(chromium, busy)
    return chromium


def test_busy_page_shows_everything_in_words(shown: Browser) -> None:
    assert shown.read("#daemons-line") == "2 daemons (0.3.1), other settings"
    assert shown.read("#redis-line").startswith("10.0.0.5:6379/0")
    assert shown.driver.title == "rfctl · failing"
    assert texts(shown, ".flow dd") == [
        "41/min", "12/min", "3.4 → 1", "p50 5.0 s p95 7.8 s", "p99 3 ms", "0", "4", "1",
    ]  # fmt: skip
    assert texts(shown, ".finding .severity") == ["FAIL", "FAIL", "warn", "warn"]
    assert texts(shown, ".finding .set-by:not([hidden])") == ["set by /etc/rfctl/rfctl.toml:31"]
    assert texts(shown, ".sink .words:not([hidden])") == [
        "503 since 02:10 (41 attempts) · next try in 1 min 20 s", 'paused for 3 d: "moving"',
        "28 waiting, 2 in hand, 1 again, 3 dead; nobody asked for 12 min",
    ]  # fmt: skip
    assert texts(shown, ".sink .measures")[0] == "12/min · ok 100 % · p95 8 ms · 0 left · daemon 812"
    assert texts(shown, ".sink .measures")[-1] == "31 left"
    assert texts(shown, ".batch .phone") == [
        "+7 900 •••67", "+55 11 •••00", "+49 15 •••78", "+972 54 •••12", "@•••",
    ]  # fmt: skip
    assert texts(shown, ".batch .size")[0] == "4/10 messages"
    assert texts(shown, "#last .kind") == ["→ in", "⇒ out", "✓ delivered", "✕ dead", "– dropped", "→ in"]
    assert texts(shown, "#waiting-count") == ["5 batches · 19 messages · oldest 4.1 s · 1 held"]


def test_each_batch_has_the_buttons_that_work_for_it(shown: Browser) -> None:
    names = """return [...document.querySelectorAll('.batch')].map((row) =>
        [...row.querySelectorAll('.buttons button')].map((button) => button.firstChild.data).join())"""
    *waiting, held = shown.run(names)
    assert set(waiting) == {"Hand over,Discard,Hold"}
    assert held == "Discard,Release"


def test_every_request_stays_below_the_prefix_of_the_proxy(shown: Browser, busy: PageStandIn) -> None:
    wait_until(lambda: f"{PREFIX}/page/events" in busy.requested)
    assert {path.startswith(PREFIX + "/") for path in busy.requested} == {True}


def test_signs_go_with_their_states(shown: Browser) -> None:
    signs = (
        "return [...document.querySelectorAll('.sink > .sign use')].map((use) => use.getAttribute('href'))"
    )
    assert shown.run(signs) == ["#sign-ok", "#sign-fail", "#sign-paused", "#sign-idle"]
    assert texts(shown, ".sink [data-part=state]") == ["ok", "failing", "paused", "idle"]


def test_sparkline_says_its_counts_in_words(shown: Browser) -> None:
    label = shown.find("#ins").get_attribute("aria-label")
    assert label == "messages in in each of the last 25 minutes: from 12 to 58, 41 in the last"


def test_command_of_a_cure_ends_where_the_sentence_goes_on(shown: Browser) -> None:
    assert texts(shown, ".cure code") == [
        "rfctl source try salon", "rfctl resume crm", "rfctl pause crm", "rfctl dead list", "systemctl reload rfctl",
    ]  # fmt: skip
    cures = {
        "rfctl adopt --dry-run shows them; rfctl adopt takes them in": [
            "rfctl adopt --dry-run",
            "rfctl adopt",
        ],
        "mend them (rfctl config check), then kill -HUP 12": ["rfctl config check", "kill -HUP 12"],
        "rfctl serve, in the role all or forwarder": ["rfctl serve"],
        "run rfctl doctor again": ["rfctl doctor"],
        "Start its workers.": [],
        "stop it; then `rfctl adopt` takes the lists in": ["rfctl adopt"],
        "`rfctl held` lists all 3, `rfctl release PHONE` ends it": ["rfctl held", "rfctl release PHONE"],
        "make another with `openssl rand -hex 24`": ["openssl rand -hex 24"],
    }
    split = "return splitCure(arguments[0]).filter((piece) => piece.isCommand === arguments[1]).map(({text}) => text)"
    assert {cure: shown.run(split, cure, True) for cure in cures} == cures
    assert shown.run(split, "run rfctl doctor again", False) == ["run ", " again"]


def test_cure_loses_no_word_and_no_command_of_it(shown: Browser) -> None:
    split = "return arguments[0].map((cure) => splitCure(cure).map(({text, isCommand}) => [text, isCommand]))"
    cures = list_cures()
    for cure, pieces in zip(cures, shown.run(split, cures), strict=True):
        assert "".join(text for text, _ in pieces) == cure.replace("`", ""), cure
        assert set(re.findall("`([^`]+)`", cure)) <= {text for text, is_command in pieces if is_command}


def test_phones_are_masked_as_on_a_terminal(shown: Browser) -> None:
    words = "return Object.fromEntries(arguments[0].map((phone) => [phone, phoneWords(phone)]))"
    assert shown.run(words, list(MASKED)) == MASKED
    shown.press("n")
    assert shown.run(words, list(WHOLE)) == WHOLE
    shown.press("n")


def test_quiet_page_says_so_in_words(browser: Browser, page: PageStandIn) -> None:
    page.overview = make_quiet_overview()
    open_page(browser, page)
    assert texts(browser, ".empty:not([hidden])") == [
        "Nothing needs you.",
        "Nobody waits. Who writes now shows up here until the bot gets it.",
        "No sink, and no worker reads yet: rfctl sinks and rfctl.toml say where messages go.",
        "Nothing has happened yet.",
    ]
    assert texts(browser, ".flow dd")[:2] == ["–", "–"]


def test_full_page_shows_what_comes_and_counts_the_rest(browser: Browser, page: PageStandIn) -> None:
    page.overview = make_full_overview()
    open_page(browser, page)
    assert len(browser.find_all(".batch")) == 50
    assert browser.read("#waiting-more") == "… 99,950 more"


def test_text_of_strangers_stays_text(browser: Browser, page: PageStandIn) -> None:
    evil = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    row = make_row(evil, f"{evil} a\u202eb\x1b[2J\u0000", source=evil, chat=evil, account=evil)
    busy = make_busy_overview()
    page.overview = msgspec.structs.replace(
        busy, word=evil, daemons_line=evil, redis_line=evil, waiting=make_waiting(row),
        daemons=(msgspec.structs.replace(busy.daemons[0], host=evil, listener=f"javascript:{evil}"),),
        findings=(msgspec.structs.replace(busy.findings[0], fact=evil, fix=f"rfctl {evil}", set_by=evil, subject=evil),),
        sinks=(msgspec.structs.replace(busy.sinks[1], name=evil, words=evil, type=evil),),
        workers=(msgspec.structs.replace(busy.workers[0], group=evil, words=evil),),
        last=(msgspec.structs.replace(busy.last[0], line=evil, phone=evil),),
    )  # fmt: skip
    page.persons[evil] = {
        "timeline": [{"at": "2026-01-01T00:00:00Z", "event": evil, "line": evil, "outcomes": [{"sink": evil, "state": evil, "error": evil}]}],
    }  # fmt: skip
    open_page(browser, page)
    browser.press("n")
    browser.find("#phone").send_keys(evil, "\n")
    browser.wait_for_text("#timeline", evil)
    assert browser.find_all("img, script:not([src])") == []
    assert "taken" not in browser.driver.title.replace(evil.lower(), "")
    assert f"[{busy.findings[0].code}]" in browser.read(".fact")
    assert texts(browser, ".batch .text") == [f"{evil} a\\u202eb\\u001b[2J\\u0000"]
    for place in (".batch .phone", "[data-part=where]", ".fact", ".sink h3", "#last .line", "#daemon-list"):
        assert evil in browser.read(place), place


def test_no_width_needs_to_scroll_sideways(browser: Browser, page: PageStandIn) -> None:
    busy = page.overview
    row = make_row("7" * 60, LONG, source=LONG, chat=LONG, account=LONG, size=123_456, max_size=1_000_000)
    keys = " ".join(f"rfctl:worker:bot:{number}" for number in range(9))
    many_words = msgspec.structs.replace(busy.findings[0], fix=f"redis-cli DEL {keys}")
    page.overview = msgspec.structs.replace(
        busy, daemons_line=LONG, redis_line=LONG,
        waiting=make_waiting(row, *busy.waiting.rows),
        findings=(msgspec.structs.replace(busy.findings[0], fact=LONG, fix=f"rfctl {LONG}", set_by=LONG), many_words, *busy.findings),
        sinks=(msgspec.structs.replace(busy.sinks[1], name=LONG, words=LONG), *busy.sinks),
        last=(msgspec.structs.replace(busy.last[0], line=LONG), *busy.last),
        flow=msgspec.structs.replace(busy.flow, in_per_min=1_234_567, wait_p50_ms=400_000, wait_p95_ms=5_999_000),
    )  # fmt: skip
    open_page(browser, page)
    outside = """return [...document.querySelectorAll('main *, header *')].filter((node) =>
        node.checkVisibility() && !node.closest('.unseen, .store') && node.getBoundingClientRect().right > innerWidth + 0.5
    ).map((node) => `${node.tagName}.${node.getAttribute('class')} ${node.textContent.slice(0, 30)}`)"""
    squeezed = """return [...document.querySelectorAll('.cure .copy')].filter((node) => node.scrollWidth > node.clientWidth)
        .map((node) => node.textContent)"""
    for width in (360, 800, 1200, 1600):
        browser.resize(width)
        assert browser.run(outside) == [], width
        assert browser.run(squeezed) == [], width
        assert browser.run("return document.documentElement.scrollWidth") == width


def test_theme_is_the_systems_until_somebody_chooses(browser: Browser, page: PageStandIn) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    open_page(browser, page, theme="light")
    light = browser.run(ground)
    browser.prefer("prefers-color-scheme", "dark")
    dark = browser.run(ground)
    assert dark != light
    browser.find("#theme").click()
    assert (browser.read("#theme"), browser.run(ground)) == ("Theme: light", light)
    browser.driver.refresh()
    browser.wait_for_text("#theme", "Theme: light")
    assert browser.run(ground) == light
    browser.find("#theme").click()
    assert (browser.read("#theme"), browser.run(ground)) == ("Theme: dark", dark)


def test_bar_moves_without_motion_where_none_is_wanted(browser: Browser, page: PageStandIn) -> None:
    duration = "return getComputedStyle(document.querySelector('.bar > span')).transitionDuration"
    open_page(browser, page)
    assert browser.run(duration) == "0.2s"
    browser.prefer("prefers-reduced-motion", "reduce")
    assert browser.run(duration) == "0s"


def test_reader_who_may_not_act_sees_no_action(browser: Browser, page: PageStandIn) -> None:
    page.may_act = False
    open_page(browser, page)
    assert browser.is_shown("#read-only")
    assert browser.find_all("li .buttons button") == []
    browser.find("#phone").send_keys("79001234567", "\n")
    browser.wait_for_text("#answer-words", "nothing is known of 79001234567")
    assert browser.find_all("#answer-buttons button") == []
    browser.take_problems()  # it complains of the 404
