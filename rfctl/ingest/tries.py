"""How many wrong tokens may come within a minute: of one address, and of all together."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 60.0
MOST_OF_ONE, MOST = 10, 50


class Tries:
    """The wrong tokens of the last minute. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: deque[tuple[float, str]] = deque()

    def measure_wait_s(self, peer: str) -> int:
        """Return how long nobody may try from there, s; 0 when they may."""
        now = self._clock()
        while self._failures and now - self._failures[0][0] >= WINDOW_S:
            self._failures.popleft()
        own = [at for at, address in self._failures if address == peer]
        blocking = [
            times[0] for times, most in ((own, MOST_OF_ONE), (self._times(), MOST)) if len(times) >= most
        ]
        return math.ceil(max(blocking) + WINDOW_S - now) if blocking else 0

    def record_failure(self, peer: str) -> None:
        """Remember a wrong token."""
        self._failures.append((self._clock(), peer))

    def _times(self) -> list[float]:
        return [at for at, _ in self._failures]
