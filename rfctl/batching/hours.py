"""Hours of the week in a time zone, such as `mon-fri 09:00-18:00`. Pure, but for the zone's data.

Times are those of the clock on the wall there. Where a clock goes forward, hours that it skips are not there; where it
goes back, hours that it shows twice are there twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise

from rfctl.text import did_you_mean

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MIN = 24 * 60
_WEEK_MIN = 7 * _DAY_MIN
_MINUTE_MS = 60_000
_SHIFT_MIN = 180
"""No clock is moved further at once."""
_DAYS_AHEAD = 15
"""Hours that a clock skips are there again a week later."""
_HOURS = re.compile(r"(?:(?P<days>[a-z -]+?)\s*)?(?P<span>\b(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d))?")
_EXAMPLE = "write hours as 09:00-18:00 or mon-fri 09:00-18:00"


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of a day, counted from its midnight, on some days of the week (0 is Monday).

    `till` is beyond 24 hours where the span goes on into the next day.
    """

    days: frozenset[int]
    start: int
    till: int

    def has(self, weekday: int, minute: int) -> bool:
        """Say whether a minute of a day is in it."""
        before = (weekday - 1) % 7
        return (weekday in self.days and self.start <= minute < self.till) or (
            before in self.days and minute + _DAY_MIN < self.till
        )


@dataclass(slots=True)
class Hours:
    """Spans of the week in a time zone. Moments are Unix ms."""

    spans: Sequence[Span]
    zone: tzinfo
    longest_closed_ms: int = field(init=False)
    """The longest time from their end until they begin again."""
    _closed: tuple[int, int] = field(default=(0, 0), init=False, repr=False, compare=False)
    """From when until when they are known to be closed: the same is asked for each message of a night."""

    def __post_init__(self) -> None:
        self.longest_closed_ms = _measure_longest_gap(self.spans)

    def has(self, now_ms: int) -> bool:
        """Say whether a moment is within the hours."""
        now = datetime.fromtimestamp(now_ms / 1000, self.zone)
        weekday, minute = now.weekday(), now.hour * 60 + now.minute
        return any(span.has(weekday, minute) for span in self.spans)

    def measure_wait(self, now_ms: int) -> int:
        """Return how long it is until the hours begin, ms; 0 within them."""
        since, until = self._closed
        if not since <= now_ms < until:
            if self.has(now_ms):
                return 0
            until = min(
                moment for moment in self._list_changes(now_ms) if moment > now_ms and self.has(moment)
            )
            self._closed = now_ms, until
        return until - now_ms

    def _list_changes(self, now_ms: int) -> Iterator[int]:
        """Yield the moments of the next days at which the hours may begin: their beginnings, and moves of the clock."""
        today = datetime.fromtimestamp(now_ms / 1000, self.zone).date()
        for day in (today + timedelta(days=number) for number in range(_DAYS_AHEAD)):
            for span in self.spans:
                if day.weekday() in span.days:
                    yield from self._find_moments(day, span.start)
            yield from self._find_move(day)

    def _find_moments(self, day: date, minute: int) -> set[int]:
        """Return the one or two moments at which clocks show a time. One that is skipped is at a move of the clock."""
        shown = datetime.combine(day, time(minute // 60, minute % 60), self.zone)
        return {int(shown.replace(fold=fold).timestamp() * 1000) for fold in (0, 1)}

    def _find_move(self, day: date) -> list[int]:
        """Return the moment of a day at which clocks are moved, to the second, if they are."""
        low, high = (
            int(datetime.combine(day + timedelta(days=number), time(), self.zone).timestamp())
            for number in (0, 1)
        )
        before = self._find_offset(low)
        if before == self._find_offset(high):
            return []
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._find_offset(middle) == before else (low, middle)
        return [high * 1000]

    def _find_offset(self, moment_s: int) -> timedelta | None:
        return datetime.fromtimestamp(moment_s, self.zone).utcoffset()


def _measure_longest_gap(spans: Sequence[Span]) -> int:
    """Return the longest time between two minutes of spans, ms, with room for a move of the clock."""
    opened = {
        (day * _DAY_MIN + minute) % _WEEK_MIN
        for span in spans
        for day in span.days
        for minute in range(span.start, span.till)
    }
    minutes = sorted(opened)
    gaps = [later - earlier for earlier, later in pairwise([*minutes, minutes[0] + _WEEK_MIN])]
    return (max(gaps) + _SHIFT_MIN) * _MINUTE_MS


def parse_span(text: str) -> Span:
    """Return the span that a text names: days, a time, or both. Raises ValueError."""
    match = _HOURS.fullmatch(text.strip().lower())
    if match is None or not match[0]:
        raise ValueError(f"{text or 'an empty text'} names no hours: {_EXAMPLE}")
    days = _parse_days(match["days"].split(), text) if match["days"] else frozenset(range(7))
    if not match["span"]:
        return Span(days, 0, _DAY_MIN)
    start, till = _parse_minute(match[3], match[4]), _parse_minute(match[5], match[6])
    if max(start, till) > _DAY_MIN or start == _DAY_MIN or int(match[4]) > 59 or int(match[6]) > 59:
        raise ValueError(f"{text}: a day goes from 00:00 to 24:00")
    if start == till:
        raise ValueError(f"{text} has no minute in it; a whole day is 00:00-24:00")
    return Span(days, start, till if till > start else till + _DAY_MIN)


def _parse_minute(hour: str, minute: str) -> int:
    return int(hour) * 60 + int(minute)


def _parse_days(words: Sequence[str], text: str) -> frozenset[int]:
    days: set[int] = set()
    for word in words:
        first, _, last = word.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError(
                f"{text}: {word} is no day; days are {', '.join(DAYS)}, or two of them as mon-fri"
            )
        start, end = DAYS.index(first), DAYS.index(last or first)
        days |= {number % 7 for number in range(start, end + 1 if end >= start else end + 8)}
    return frozenset(days)


def find_zone(name: str) -> tzinfo:
    """Return a time zone by its name, such as Europe/Moscow. Raises ValueError with what to do."""
    if name.upper() == "UTC":
        return UTC
    # Few settings name a zone, and every command reads the settings.
    from zoneinfo import ZoneInfo, available_timezones  # noqa: PLC0415

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        names = available_timezones()
    if not names:
        raise ValueError("this machine has no data about time zones: install the package tzdata")
    raise ValueError(f"there is no time zone {name}{did_you_mean(name, sorted(names))}")


def build_hours(texts: Sequence[str], zone: str) -> Hours:
    """Return the hours that these texts name. Raises ValueError."""
    return Hours([parse_span(text) for text in texts], find_zone(zone))
