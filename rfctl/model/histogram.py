"""A histogram as plain ints: whoever counts touches no object of a metrics library."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence


class Histogram:
    """Counts values by upper bounds; the values and the bounds have the same unit. What is above the last is counted too."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        """How many values there are up to each bound and above the one before it, then above the last."""
        self.total: float = 0
        """The sum of all values."""

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def accumulate(self) -> Iterator[tuple[float, int]]:
        """Yield each bound with the number of values up to it; the last bound is infinite."""
        number = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            number += count
            yield bound, number
