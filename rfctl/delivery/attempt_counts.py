"""What the attempts of one sink came to in this daemon, and how long each took: plain ints for the metrics."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from rfctl.delivery.attempt import DeadLettered, Delivered, Failed, Outcome, PauseRequested
from rfctl.model.histogram import Histogram
from rfctl.model.recent_values import RecentValues

_BOUNDS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""From what a queue on this machine takes up to the longest time that a receiver is given."""
_WORDS: dict[type[Outcome], str] = {
    Delivered: "delivered",
    Failed: "failed",
    DeadLettered: "dead",
    PauseRequested: "paused",
}
"""A message that is missing is no attempt, and neither is one in which our own Redis fails."""


class AttemptCounts:
    """Counts since the start of this process. `seconds` has how long attempts took, by what came of them.

    `delivered` and `failed` have the last minutes (ms). `clock` counts seconds.
    """

    __slots__ = ("_clock", "delivered", "failed", "seconds")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.seconds = {word: Histogram(_BOUNDS_S) for word in _WORDS.values()}
        self.delivered, self.failed = RecentValues(clock), RecentValues(clock)

    async def measure(self, attempt: Awaitable[Outcome]) -> Outcome:
        """Wait for an attempt, and count it. Returns and raises what it does."""
        began_at = self._clock()
        outcome = await attempt
        if word := _WORDS.get(type(outcome)):
            took_s = self._clock() - began_at
            self.seconds[word].add(took_s)
            recent = self.delivered if word == "delivered" else self.failed
            recent.add(took_s * 1000)
        return outcome
