"""What the totals were up to a minute ago: with the totals of now it says how much is going on.

Each daemon samples the totals as it beats, in the call that writes its record. They are the totals of all daemons, so the
sample of any of them will do, and no message costs a command more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

WINDOW_MS = 60_000
_NAMES = ("messages_in", "messages_out", "merged")


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


def list_sampled(sinks: Iterable[str]) -> list[str]:
    """Return the names of the totals that a sample has, with those of these sinks."""
    return [*_NAMES, *(f"sink:{sink}:{what}" for sink in sinks for what in ("delivered", "failures"))]
