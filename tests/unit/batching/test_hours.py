"""When hours of the week begin and end, also where clocks are moved."""

from __future__ import annotations

import zoneinfo
from datetime import datetime

import pytest

from rfctl.batching.hours import build_hours, find_zone, parse_span

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


def at(text: str, zone: str = "UTC", *, fold: int = 0) -> int:
    """Return a moment, Unix ms, by the clock on the wall there."""
    return int(datetime.fromisoformat(text).replace(tzinfo=find_zone(zone), fold=fold).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("09:00-18:00", ["2026-06-03T09:00", "2026-06-07T17:59"], ["2026-06-03T08:59", "2026-06-03T18:00"]),
        ("mon-fri 09:00-18:00", ["2026-06-05T12:00"], ["2026-06-06T12:00"]),
        ("Sat Sun 10:00 - 14:00", ["2026-06-07T10:00"], ["2026-06-05T12:00"]),
        ("sat-mon", ["2026-06-06T00:00", "2026-06-08T23:59"], ["2026-06-09T00:00", "2026-06-05T23:59"]),
        (
            "fri 22:00-06:00",
            ["2026-06-05T22:00", "2026-06-06T05:59"],
            ["2026-06-06T22:00", "2026-06-05T05:00"],
        ),
        ("00:00-24:00", ["2026-06-03T00:00", "2026-06-03T23:59"], []),
    ],
)
def test_hours_have_the_minutes_between_their_ends(text: str, inside: list[str], outside: list[str]) -> None:
    hours = build_hours([text], "Europe/Moscow")
    assert [hours.has(at(moment, "Europe/Moscow")) for moment in inside] == [True] * len(inside)
    assert [hours.has(at(moment, "Europe/Moscow")) for moment in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "names no hours"), ("nine to five", "nine is no day"), ("+9", "names no hours"), ("9:00-18:00", "names no hours"),
        ("09:00-25:00", "24:00"), ("09:60-18:00", "24:00"), ("09:00-09:00", "no minute"), ("mo-fr 09:00-18:00", "mo-fr is no day"),
    ],
)  # fmt: skip
def test_span_that_is_none_says_how_to_write_one(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        parse_span(text)


def test_wait_ends_when_the_next_hours_begin() -> None:
    hours = build_hours(["mon-fri 09:00-18:00", "sat 10:00-14:00"], "Europe/Moscow")
    for moment, opening in [
        ("2026-06-05T18:00", "2026-06-06T10:00"),
        ("2026-06-05T20:00", "2026-06-06T10:00"),
        ("2026-06-06T14:00", "2026-06-08T09:00"),
        ("2026-06-08T08:59", "2026-06-08T09:00"),
    ]:
        now_ms = at(moment, "Europe/Moscow")
        assert hours.measure_wait(now_ms) == at(opening, "Europe/Moscow") - now_ms
    assert hours.measure_wait(at("2026-06-08T09:00", "Europe/Moscow")) == 0


def test_wait_asked_again_in_the_same_night_ends_at_the_same_moment() -> None:
    hours = build_hours(["09:00-18:00"], "UTC")
    opening = at("2026-06-06T09:00")
    for moment in ("2026-06-05T18:00", "2026-06-06T03:00", "2026-06-06T08:59", "2026-06-05T18:00"):
        now_ms = at(moment)
        assert now_ms + hours.measure_wait(now_ms) == opening
    assert hours.measure_wait(opening) == 0
    assert hours.measure_wait(at("2026-06-05T12:00")) == 0


@pytest.mark.parametrize(
    ("evening", "night_h"),
    [("2026-03-28T18:00", 14), ("2026-10-24T18:00", 16), ("2026-06-01T18:00", 15)],
)
def test_night_is_as_long_as_the_clock_on_the_wall_makes_it(evening: str, night_h: int) -> None:
    hours = build_hours(["09:00-18:00"], "Europe/Berlin")
    assert hours.measure_wait(at(evening, "Europe/Berlin")) == night_h * HOUR_MS


def test_hours_that_begin_in_a_skipped_hour_begin_when_clocks_are_moved() -> None:
    hours = build_hours(["02:30-10:00"], "Europe/Berlin")
    moved = at("2026-03-29T03:00", "Europe/Berlin")
    assert hours.measure_wait(moved - 5 * MINUTE_MS) == 5 * MINUTE_MS
    assert hours.has(moved)


def test_hours_inside_a_skipped_hour_begin_a_day_later() -> None:
    hours = build_hours(["02:10-02:50"], "Europe/Berlin")
    now_ms = at("2026-03-29T01:00", "Europe/Berlin")
    assert now_ms + hours.measure_wait(now_ms) == at("2026-03-30T02:10", "Europe/Berlin")
    weekly = build_hours(["sun 02:10-02:50"], "Europe/Berlin")
    assert now_ms + weekly.measure_wait(now_ms) == at("2026-04-05T02:10", "Europe/Berlin")


def test_hours_that_a_clock_shows_twice_are_there_twice() -> None:
    hours = build_hours(["02:30-02:50"], "Europe/Berlin")
    first, second = (at("2026-10-25T02:30", "Europe/Berlin", fold=fold) for fold in (0, 1))
    assert second - first == HOUR_MS
    assert hours.measure_wait(first - MINUTE_MS) == MINUTE_MS
    assert hours.has(first)
    assert hours.has(second)
    assert hours.measure_wait(first + 20 * MINUTE_MS) == 40 * MINUTE_MS


def test_midnight_that_a_clock_skips_is_no_obstacle() -> None:
    hours = build_hours(["00:00-08:00"], "Africa/Cairo")  # 2026-04-24 begins at 01:00 there
    moved = at("2026-04-24T01:00", "Africa/Cairo")
    assert hours.measure_wait(moved - 10 * MINUTE_MS) == 10 * MINUTE_MS


def test_longest_closed_time_bounds_every_wait() -> None:
    hours = build_hours(["mon-fri 09:00-18:00"], "Europe/Berlin")
    longest = hours.longest_closed_ms
    assert 63 * HOUR_MS <= longest <= 67 * HOUR_MS
    for hour in range(0, 400 * 24, 5):
        now_ms = at("2026-01-01T00:30", "Europe/Berlin") + hour * HOUR_MS
        wait = hours.measure_wait(now_ms)
        assert wait <= longest
        assert hours.has(now_ms + wait)
        assert not wait or not hours.has(now_ms + wait - 1)


def test_unknown_zone_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no time zone Europe/Moskow; did you mean Europe/Moscow\?"):
        find_zone("Europe/Moskow")
    for name in ("Europe", "../etc/passwd", "/etc/localtime"):
        with pytest.raises(ValueError, match="there is no time zone"):
            find_zone(name)


def test_machine_without_zones_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none(name: str) -> None:
        raise zoneinfo.ZoneInfoNotFoundError(name)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", find_none)
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    with pytest.raises(ValueError, match="install the package tzdata"):
        find_zone("Europe/Moscow")
    assert find_zone("utc").utcoffset(None) is not None
