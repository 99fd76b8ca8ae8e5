"""What the totals were up to a minute ago, and at each of some minutes: it says how much is going on, and was.

Each daemon samples the totals as it beats, in the call that writes its record. They are the totals of all daemons, so the
sample of any of them will do, and no message costs a command more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise

import msgspec

from rfctl.store.recent_work import MinuteCounts

WINDOW_MS = 60_000
_NAMES = ("messages_in", "messages_out", "merged")
_MINUTES = 15


class TotalsSample(msgspec.Struct, frozen=True):
    """Some totals over all shards, and when they were read (Unix ms by the clock of Redis)."""

    at_ms: int
    counts: dict[str, int]


class RecentTotals:
    """The samples of the last minute, oldest first."""

    def __init__(self) -> None:
        self._samples: deque[TotalsSample] = deque()

    def keep(self, sample: TotalsSample) -> None:
        """Take a new sample, and forget those that are older than the window; all of them where the clock went back."""
        if self._samples and sample.at_ms < self._samples[-1].at_ms:
            self._samples.clear()
        self._samples.append(sample)
        while sample.at_ms - self._samples[0].at_ms > WINDOW_MS:
            self._samples.popleft()

    @property
    def oldest(self) -> TotalsSample | None:
        """The oldest sample of the window, None before the first."""
        return self._samples[0] if self._samples else None


class TotalsByMinute:
    """A sample of each of the last fifteen minutes: what lies between two is what a minute has brought."""

    def __init__(self) -> None:
        self._samples: deque[TotalsSample] = deque(maxlen=_MINUTES + 1)

    def keep(self, sample: TotalsSample) -> None:
        """Take a new sample if a minute has passed. All are forgotten where the clock or a total went back."""
        if not self._samples:
            self._samples.append(sample)
            return
        last = self._samples[-1]
        went_back = any(sample.counts.get(name, 0) < last.counts.get(name, 0) for name in _NAMES)
        if went_back or sample.at_ms < last.at_ms:
            self._samples.clear()
        if not self._samples or sample.at_ms - last.at_ms >= WINDOW_MS:
            self._samples.append(sample)

    def count(self) -> MinuteCounts:
        """Return what each whole minute has brought."""
        return MinuteCounts(self._differ("messages_in"), self._differ("merged"))

    def _differ(self, name: str) -> tuple[int, ...]:
        numbers = [sample.counts.get(name, 0) for sample in self._samples]
        return tuple(after - before for before, after in pairwise(numbers))


def list_sampled(sinks: Iterable[str]) -> list[str]:
    """Return the names of the totals that a sample has, with those of these sinks."""
    return [*_NAMES, *(f"sink:{sink}:{what}" for sink in sinks for what in ("delivered", "failures"))]
