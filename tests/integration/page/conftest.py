from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.browser import Browser, opening_chromium
from tests.support.overviews import make_busy_overview
from tests.support.page import PageStandIn


@pytest.fixture(scope="session")
def chromium(run_leaves_nothing: None) -> Iterator[Browser]:
    with opening_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def still() -> Iterator[str]:
    """The address of a picture. On about:blank each test would cost a new process of Chromium: it is another site."""
    with PageStandIn(make_busy_overview()) as stand_in:
        yield stand_in.url + "page/rfctl.svg"


@pytest.fixture
def browser(chromium: Browser, still: str) -> Iterator[Browser]:
    """Chromium, which is asked at the end what it had to complain of: nothing, unless the test has taken it."""
    yield chromium
    problems = chromium.take_problems()
    chromium.driver.get(still)
    chromium.take_problems()
    assert problems == []


@pytest.fixture
def page() -> Iterator[PageStandIn]:
    """A stand-in whose house is busy."""
    with PageStandIn(make_busy_overview()) as stand_in:
        yield stand_in
