"""Addresses by which somebody meant a source: few are kept, whatever strangers ask for."""

from __future__ import annotations

import pytest

from rfctl.ingest.unknown_paths import UnknownPaths
from rfctl.store import UnknownPath
from tests.unit.ingest.test_tally import Clock

SOURCES = ("salon", "telegram")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/webhook/salom", UnknownPath("/webhook/salom", 1, "salon")),
        ("/webhook/nobody", UnknownPath("/webhook/nobody", 1, "")),
        ("/webhooks/salon", UnknownPath("/webhooks/salon", 1, "salon")),
        ("/salon", UnknownPath("/salon", 1, "salon")),
        ("/webhook/salom/a-secret", UnknownPath("/webhook/salom", 1, "salon")),
        ("/wp-login.php", None),
        ("/.env", None),
        ("", None),
    ],
)
def test_address_is_shown_where_a_source_was_meant(path: str, shown: UnknownPath | None) -> None:
    paths = UnknownPaths(Clock())
    paths.count(path)
    assert paths.list_meant(SOURCES) == ((shown,) if shown else ())


def test_scanner_does_not_push_out_what_is_asked_for_often() -> None:
    paths = UnknownPaths(Clock())
    for _ in range(3):
        paths.count("/webhook/salom")
    for number in range(1000):
        paths.count(f"/{number}")
    assert paths.list_meant(SOURCES) == (UnknownPath("/webhook/salom", 3, "salon"),)
    assert len(paths._asked) == 16


def test_long_addresses_are_cut_and_three_are_shown() -> None:
    paths = UnknownPaths(Clock())
    for number in range(9):
        paths.count(f"/webhook/{number}" + "x" * 1000)
    shown = paths.list_meant(SOURCES)
    assert [len(path.path) for path in shown] == [64, 64, 64]


def test_address_is_forgotten_ten_minutes_after_its_last_request() -> None:
    clock = Clock()
    paths = UnknownPaths(clock)
    paths.count("/webhook/salom")
    clock.now = 600.0
    assert paths.list_meant(SOURCES)
    clock.now = 600.1
    assert not paths.list_meant(SOURCES)
    assert not paths._asked
