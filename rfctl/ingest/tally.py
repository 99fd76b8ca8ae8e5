"""What became of the requests and messages of each source, in memory.

The totals in Redis only grow, so they cannot say what is going on now. The heartbeat carries the last minutes instead.
The metrics read what this process has counted since its start.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from rfctl.model.message import Message
from rfctl.model.stored import Added
from rfctl.store import RecentRequests

_ACCEPTED = ""
_ACCEPTED_OUTCOME = "accepted"
_MINUTE_S = 60.0
_MINUTES = 10
_HOUR = 60
_MOST_SOURCES = 50


@dataclass(slots=True)
class _Course:
    """When a source had its last accepted and its last rejected request, in minutes of the clock; None: never.

    `rejected` counts by reason what was rejected since the minute of the last accepted one.
    """

    accepted_minute: int | None = None
    rejected_minute: int | None = None
    rejected: Counter[str] = field(default_factory=Counter)

    def copy(self) -> _Course:
        """Return another that goes on from here."""
        return _Course(self.accepted_minute, self.rejected_minute, self.rejected.copy())

    def is_recent(self, now: int) -> bool:
        """Say whether it had a request within ten minutes, or if all were rejected lately, within an hour."""
        accepted, rejected = (_age(minute, now) for minute in (self.accepted_minute, self.rejected_minute))
        return min(accepted, rejected) < _MINUTES or (bool(self.rejected) and rejected < _HOUR)

    def describe(self, counts: Mapping[str, int], now: int) -> RecentRequests:
        """Return it with the counts of the last ten minutes, by result."""
        rejected = {reason: count for reason, count in counts.items() if reason != _ACCEPTED}
        ago = None if self.accepted_minute is None else int((now - self.accepted_minute) * _MINUTE_S)
        return RecentRequests(
            counts.get(_ACCEPTED, 0), rejected, accepted_ago_s=ago, rejected_since=dict(self.rejected)
        )


def _age(minute: int | None, now: int) -> float:
    return float("inf") if minute is None else now - minute


def _follow(courses: dict[str, _Course], minute: int, counts: Mapping[tuple[str, str], int]) -> None:
    """Go on by a minute. Which of its requests came first is not known: after an accepted one none counts as rejected."""
    for source, result in counts:
        if source and result == _ACCEPTED:
            courses[source] = _Course(minute, courses[source].rejected_minute if source in courses else None)
    for (source, result), count in counts.items():
        if source and result != _ACCEPTED:
            course = courses.setdefault(source, _Course())
            course.rejected_minute = minute
            if course.accepted_minute != minute:
                course.rejected[result] += count


class Tally:
    """Counts the requests of one daemon, minute by minute; only their sums are kept for longer than ten minutes.

    `clock` counts seconds. Sources are those of the settings, or "" for a request of none, so strangers cannot let it
    grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._minutes: dict[int, dict[tuple[str, str], int]] = {}
        self._counts: dict[tuple[str, str], int] = {}
        """The counts of the minute that ends at `_ends_at_s`, by the clock."""
        self._ends_at_s = float("-inf")
        self._older: Counter[tuple[str, str]] = Counter()
        """The sums of all minutes that are forgotten."""
        self._courses: dict[str, _Course] = {}
        """How each source did until the minutes that are kept."""

    def count(self, source: str, reason: str = _ACCEPTED) -> None:
        """Count a request that was rejected for this reason, or that was accepted."""
        if self._clock() >= self._ends_at_s:
            self._begin_minute()
        counts, key = self._counts, (source, reason)
        counts[key] = counts.get(key, 0) + 1

    def _begin_minute(self) -> None:
        minute = int(self._clock() / _MINUTE_S)
        self._forget(minute)
        self._counts = self._minutes[minute] = {}
        self._ends_at_s = (minute + 1) * _MINUTE_S

    def _forget(self, minute: int) -> None:
        for old in [number for number in self._minutes if number <= minute - _MINUTES]:
            _follow(self._courses, old, self._minutes[old])
            self._older.update(self._minutes.pop(old))

    def begin_anew(self) -> None:
        """Forget what was rejected lately: the settings are others now. The sums stay, and when a request was accepted."""
        self._forget(int(self._clock() / _MINUTE_S) + _MINUTES)
        self._courses = {source: _Course(course.accepted_minute) for source, course in self._courses.items()}
        self._counts, self._ends_at_s = {}, float("-inf")

    def read(self) -> dict[str, RecentRequests]:
        """Return how each source did within the last ten minutes, those with rejected requests first.

        A source whose last requests were all rejected is there for an hour. There are `_MOST_SOURCES` at most.
        """
        now = int(self._clock() / _MINUTE_S)
        self._forget(now)
        sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
        courses = {source: course.copy() for source, course in self._courses.items()}
        for minute, counts in self._minutes.items():
            _follow(courses, minute, counts)
            for (source, result), count in counts.items():
                sums[source][result] += count
        recent = {
            source: course.describe(sums[source], now)
            for source, course in courses.items()
            if course.is_recent(now)
        }
        order = sorted(recent.items(), key=lambda item: (-sum(item[1].rejected.values()), -item[1].accepted))
        return dict(order[:_MOST_SOURCES])

    def sum_up(self) -> dict[tuple[str, str], int]:
        """Return the counts since the start, by source ("" for none) and outcome: `accepted`, or why it was rejected."""
        sums = Counter(self._older)
        for counts in self._minutes.values():
            sums.update(counts)
        return {(source, result or _ACCEPTED_OUTCOME): count for (source, result), count in sums.items()}


_read_source = attrgetter("channel")
_was_added = attrgetter("added")
_read_refusal = attrgetter("rejected")


class MessageTally:
    """Counts the messages of each source that this daemon has stored, or had stored before.

    Every message passes here: what is usual is counted without a step of Python for each.
    """

    def __init__(self) -> None:
        self._came: dict[str, int] = {}
        self._repeated: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._dropped: dict[str, int] = {}
        self._own: dict[str, int] = {}

    def count(self, messages: Sequence[Message], results: Sequence[Added]) -> None:
        """Count messages by what became of each, in their order."""
        sources = list(map(_read_source, messages))
        self._count_sources(sources)
        if not all(map(_was_added, results)) or any(map(_read_refusal, results)):
            for source, result in zip(sources, results, strict=True):
                if not result.added or result.rejected:
                    self._count_unusual(source, result)

    def _count_sources(self, sources: list[str]) -> None:
        first, came = sources[0], self._came
        if sources.count(first) == len(sources):  # nearly always
            came[first] = came.get(first, 0) + len(sources)
            return
        for source, count in Counter(sources).items():
            came[source] = came.get(source, 0) + count

    def _count_unusual(self, source: str, result: Added) -> None:
        if result.rejected:
            counts = self._refused
        elif result.is_own:
            counts = self._own
        else:
            counts = self._dropped if result.dropped_by else self._repeated
        counts[source] = counts.get(source, 0) + 1

    def sum_up(self) -> Mapping[tuple[str, str], int]:
        """Return the counts since the start, by source and outcome.

        The outcome is `stored`, `duplicate`, `dropped` by a rule, `refused` by Redis, or `own`: words of
        our side, which did what the settings say.
        """
        sums: dict[tuple[str, str], int] = {}
        for source, count in self._came.items():
            repeated, refused = self._repeated.get(source, 0), self._refused.get(source, 0)
            dropped, own = self._dropped.get(source, 0), self._own.get(source, 0)
            sums[source, "stored"] = count - repeated - refused - dropped - own
            sums[source, "duplicate"], sums[source, "refused"] = repeated, refused
            if dropped:
                sums[source, "dropped"] = dropped
            if own:
                sums[source, "own"] = own
        return sums
