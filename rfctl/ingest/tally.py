"""What became of the requests and messages of each source, in memory.

The totals in Redis only grow, so they cannot say what is going on now. The heartbeat carries the last minutes instead.
The metrics read what this process has counted since its start.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter

from rfctl.model.message import Message
from rfctl.model.stored import Added
from rfctl.store import RecentRequests

_ACCEPTED = ""
_ACCEPTED_OUTCOME = "accepted"
_MINUTE_S = 60.0
_MINUTES = 10


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
            self._older.update(self._minutes.pop(old))

    def read(self) -> dict[str, RecentRequests]:
        """Return the counts of each source that had a request rejected within the last ten minutes."""
        self._forget(int(self._clock() / _MINUTE_S))
        sums: Counter[tuple[str, str]] = Counter()
        for counts in self._minutes.values():
            sums.update(counts)
        rejected: dict[str, dict[str, int]] = {}
        for (source, result), count in sums.items():
            if source and result != _ACCEPTED:
                rejected.setdefault(source, {})[result] = count
        return {
            source: RecentRequests(sums[source, _ACCEPTED], reasons) for source, reasons in rejected.items()
        }

    def sum_up(self) -> dict[tuple[str, str], int]:
        """Return the counts since the start, by source ("" for none) and outcome: `accepted`, or why it was rejected."""
        sums = Counter(self._older)
        for counts in self._minutes.values():
            sums.update(counts)
        return {(source, result or _ACCEPTED_OUTCOME): count for (source, result), count in sums.items()}


_read_source = attrgetter("channel")


class MessageTally:
    """Counts the messages of each source that this daemon has stored, or had stored before.

    Every message passes here: a call costs a dict for each page of messages, and no function for each.
    """

    def __init__(self) -> None:
        self._came: dict[str, int] = {}
        self._repeated: dict[str, int] = {}
        self._refused: dict[str, int] = {}

    def count(self, messages: Sequence[Message], results: Sequence[Added]) -> None:
        """Count messages by what became of each, in their order."""
        came = self._came
        for source, count in Counter(map(_read_source, messages)).items():
            came[source] = came.get(source, 0) + count
        for message, result in zip(messages, results, strict=True):
            if not result.added or result.rejected:
                counts = self._refused if result.rejected else self._repeated
                counts[message.channel] = counts.get(message.channel, 0) + 1

    def sum_up(self) -> Mapping[tuple[str, str], int]:
        """Return the counts since the start, by source and outcome: `stored`, `duplicate`, or `refused` by Redis."""
        sums: dict[tuple[str, str], int] = {}
        for source, count in self._came.items():
            repeated, refused = self._repeated.get(source, 0), self._refused.get(source, 0)
            sums[source, "stored"] = count - repeated - refused
            sums[source, "duplicate"], sums[source, "refused"] = repeated, refused
        return sums
