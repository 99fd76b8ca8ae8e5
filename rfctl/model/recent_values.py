"""Values of the last minutes, and what so large a share of them does not exceed.

A histogram since the start is for a metrics program, and its bounds are few. A person asks for the wait of now.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping

_KEPT_S = 300
_SLOT_S = 30
_FRESH = 1000
"""So many of the newest values are kept until somebody counts them: they stand for all of a flood."""


class RecentValues:
    """The values (ms, 0 or more) of about five minutes. To add one is cheap; `count` is for every few seconds.

    `clock` counts seconds.
    """

    __slots__ = ("_clock", "_fresh", "_slots", "add")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._fresh: deque[float] = deque(maxlen=_FRESH)
        self._slots: deque[tuple[float, Counter[int]]] = deque()
        self.add = self._fresh.append
        """Keep a value: a batch or an attempt costs no call more."""

    def count(self) -> Counter[int]:
        """Return how many there are of each value, to two digits."""
        now_s = self._clock()
        while self._slots and now_s - self._slots[0][0] >= _KEPT_S:
            self._slots.popleft()
        if self._fresh:
            if not self._slots or now_s - self._slots[-1][0] >= _SLOT_S:
                self._slots.append((now_s, Counter()))
            self._slots[-1][1].update(map(round_ms, self._fresh))
            self._fresh.clear()
        return sum((counts for _, counts in self._slots), Counter())


def round_ms(value: float) -> int:
    """Return a value to the nearest ms, and to two digits: 5003 is 5000, and 7849 is 7800."""
    whole = max(0, round(value))
    unit: int = 10 ** max(0, len(str(whole)) - 2)
    return round(whole / unit) * unit


def find_percentile(counts: Mapping[int, int], share: float) -> int | None:
    """Return the value that this share (0 to 1) of the values does not exceed; None where there are none."""
    rest = share * sum(counts.values())
    for value in sorted(counts):
        rest -= counts[value]
        if rest <= 0:
            return value
    return None
