"""What became of the requests of each source within the last minutes, in memory.

The totals in Redis only grow, so they cannot say what is going on now. The heartbeat carries this instead.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from rfctl.store import RecentRequests

_ACCEPTED = ""
_MINUTE_S = 60.0
_MINUTES = 10


class Tally:
    """Counts the requests of one daemon, minute by minute, and forgets those of ten minutes ago.

    `clock` counts seconds. Sources are those of the settings, so strangers cannot let it grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._minutes: dict[int, dict[tuple[str, str], int]] = {}
        self._counts: dict[tuple[str, str], int] = {}
        """The counts of the minute that ends at `_ends_at_s`, by the clock."""
        self._ends_at_s = float("-inf")

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
            del self._minutes[old]

    def read(self) -> dict[str, RecentRequests]:
        """Return the counts of each source that had a request rejected within the last ten minutes."""
        self._forget(int(self._clock() / _MINUTE_S))
        sums: Counter[tuple[str, str]] = Counter()
        for counts in self._minutes.values():
            sums.update(counts)
        rejected: dict[str, dict[str, int]] = {}
        for (source, result), count in sums.items():
            if result != _ACCEPTED:
                rejected.setdefault(source, {})[result] = count
        return {
            source: RecentRequests(sums[source, _ACCEPTED], reasons) for source, reasons in rejected.items()
        }
