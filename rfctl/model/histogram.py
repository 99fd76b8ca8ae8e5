"""A histogram as plain ints: whoever counts touches no object of a metrics library."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence


class Histogram:
    """Counts values by upper bounds; what is above the last is counted too.

    Values and bounds have one unit, of which `per_unit` make a base unit: 1000 for ms. It is read in base units.
    """

    __slots__ = ("_sum", "bounds", "counts", "per_unit")

    def __init__(self, bounds: Sequence[float], per_unit: int = 1) -> None:
        self.bounds = tuple(bounds)
        self.per_unit = per_unit
        self.counts = [0] * (len(self.bounds) + 1)
        """How many values there are up to each bound and above the one before it, then above the last."""
        self._sum: float = 0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self._sum += value

    def add_all(self, values: Iterable[float]) -> None:
        """Count each of some values."""
        for value in values:
            self.add(value)

    @property
    def total(self) -> float:
        """The sum of all values, in base units."""
        return self._sum / self.per_unit

    def accumulate(self) -> Iterator[tuple[float, int]]:
        """Yield each bound (in base units) with the number of values up to it; the last bound is infinite."""
        number = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            number += count
            yield bound / self.per_unit, number
